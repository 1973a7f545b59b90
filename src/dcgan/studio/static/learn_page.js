// The page Learn: what the curves and figures mean, and two figures to play with.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { topics } from "./topics.js";

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

/** Load the figures, which are plain scripts as in the documentation, once. */
function loadFigures() {
  loading ||= SCRIPTS.reduce((before, src) => before.then(() => loadScript(src)), Promise.resolve());
  return loading;
}

function makeTopic({ id, page, title, text }) {
  const language = document.documentElement.lang === "ko" ? "ko" : "en";
  const more = h("p", { class: "quiet" }, t("learnPage"), " ", h("code", {}, `docs/learn/${language}/${page}.md`));
  return h("section", { id: `topic-${id}`, tabindex: -1, class: "panel topic" }, h("h3", {}, title), h("p", {}, text), more);
}

function makeFigure(name, title) {
  const figure = h("div", { class: "interactive", "data-figure": name });
  return { figure, element: h("section", { class: "panel" }, h("h3", {}, t(title)), figure) };
}

export async function learnPage(root, { name, signal }) {
  const figures = [makeFigure("gan", "figureGan"), makeFigure("transposed-convolution", "figureConvolution")];
  const list = topics();
  root.replaceChildren(h("h2", {}, t("learn")), ...list.map(makeTopic), ...figures.map(({ element }) => element));
  await loadFigures();
  if (signal.aborted) return;
  for (const { figure } of figures) dcganFigures.builders[figure.dataset.figure](figure);
  root.dataset.figures = String(figures.length);
  const topic = list.some(({ id }) => id === name) && document.getElementById(`topic-${name}`);
  if (!topic) return;
  topic.scrollIntoView();
  topic.focus({ preventScroll: true });
}
