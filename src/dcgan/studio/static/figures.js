// The figures to play with, which are plain scripts as in the documentation: they are loaded once, when a page has some.

import { h } from "./web/play.js";

const SCRIPTS = ["plot.js", "transposed-convolution.js", "gan.js"]; // each after the one that it needs
let loading = null;

function loadScript(src) {
  return new Promise((resolve, reject) => {
    const script = h("script", { src });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error(src)));
    document.head.append(script);
  });
}

/** Build the figures in the elements that have the name of one as `data-figure`; nothing after `signal` has aborted. */
export async function buildFigures(root, signal) {
  const places = [...root.querySelectorAll("[data-figure]")];
  if (!places.length) return;
  loading ||= SCRIPTS.reduce((before, src) => before.then(() => loadScript(src)), Promise.resolve());
  await loading;
  if (signal.aborted) return;
  for (const place of places) dcganFigures.builders[place.dataset.figure]?.(place);
  root.dataset.figures = String(places.length);
}
