// The figures to play with, which are plain scripts as in the documentation: they are loaded once, when a page has some.

import { h } from "./web/play.js";

const SCRIPTS = ["plot.js", "transposed-convolution.js", "gan.js"]; // each after the one that it needs
const loaded = new Set();
let loading = null;

function loadScript(src) {
  return new Promise((resolve, reject) => {
    const script = h("script", { src });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error(src)));
    document.head.append(script);
  });
}

/** Load the scripts that are not there yet: after one that failed, only that one and the next. */
async function loadScripts() {
  for (const src of SCRIPTS) {
    if (!loaded.has(src)) await loadScript(src);
    loaded.add(src);
  }
}

/** Build the figures in the elements that have the name of one as `data-figure`; nothing after `signal` has aborted. */
export async function buildFigures(root, signal) {
  const places = [...root.querySelectorAll("[data-figure]")];
  if (!places.length) return;
  loading ||= loadScripts().finally(() => (loading = null));
  await loading;
  if (signal.aborted) return;
  for (const place of places) dcganFigures.builders[place.dataset.figure]?.(place);
  root.dataset.figures = String(places.length);
}
