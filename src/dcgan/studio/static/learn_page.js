// The page Learn: what the curves and figures mean, and two figures to play with.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { buildFigures } from "./figures.js";
import { hasLessons, lessonFile } from "./lesson_page.js";
import { topics } from "./topics.js";

/** Make a topic, with a link to its learning page, or with the page's name where the documentation is not here. */
function makeTopic({ id, page, title, text }, isLinked) {
  const link = () => h("a", { href: `#/lesson/${page}`, class: "standalone", "aria-label": `${t("readLesson")}: ${title}` }, t("readLesson"));
  const name = () => h("p", { class: "quiet" }, t("learnPage"), " ", h("code", {}, lessonFile(page)));
  const more = isLinked ? link() : name();
  return h("section", { id: `topic-${id}`, tabindex: -1, class: "panel topic" }, h("h3", {}, title), h("p", {}, text), more);
}

function makeFigure(name, title) {
  return h("section", { class: "panel" }, h("h3", {}, t(title)), h("div", { class: "interactive", "data-figure": name }));
}

export async function learnPage(root, { name, signal }) {
  const figures = [makeFigure("gan", "figureGan"), makeFigure("transposed-convolution", "figureConvolution")];
  const [list, isLinked] = [topics(), await hasLessons(signal)];
  if (signal.aborted) return;
  root.replaceChildren(h("h2", {}, t("learn")), ...list.map((topic) => makeTopic(topic, isLinked)), ...figures);
  await buildFigures(root, signal);
  const topic = list.some(({ id }) => id === name) && document.getElementById(`topic-${name}`);
  if (signal.aborted || !topic) return;
  topic.scrollIntoView();
  topic.focus({ preventScroll: true });
}
