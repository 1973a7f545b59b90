// A learning page of the documentation.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { buildFigures } from "./figures.js";
import { renderMarkdown } from "./markdown.js";
import { topics } from "./topics.js";

const NAME = /^[\w-]+$/;

const pageLanguage = () => (document.documentElement.lang === "ko" ? "ko" : "en");

/** Return the file of a page in the documentation. */
export const lessonFile = (name) => `docs/learn/${pageLanguage()}/${name}.md`;

/** Return whether the pages are here: a package that was installed without setup.py has none. */
export const hasLessons = async (signal) => (await fetch("learn/en/index.md", { method: "HEAD", signal })).ok;

/** Return the text of a page, or null if it is not here. */
async function fetchLesson(name, signal) {
  if (!NAME.test(name)) return null;
  const response = await fetch(`learn/${pageLanguage()}/${name}.md`, { signal });
  return response.ok ? response.text() : null;
}

const LINKS = {
  toPicture: (source) => source.replace(/^(\.\.\/)+/, ""),
  toPage: (target) => (/^[\w-]+\.md(#.*)?$/.test(target) ? `#/lesson/${target.replace(/\.md.*$/, "")}` : null),
};

export async function lessonPage(root, { name: requestedName, signal }) {
  const name = requestedName || "index";
  const text = await fetchLesson(name, signal);
  if (signal.aborted) return;
  const back = h("p", {}, h("a", { href: "#/learn", class: "standalone" }, t("learn")));
  if (text === null) {
    const isPage = topics().some(({ page }) => page === name) && !(await hasLessons(signal)); // it is elsewhere
    const line = isPage ? [t("lessonMissing"), " ", h("code", {}, lessonFile(name))] : [t("lessonUnknown")];
    root.replaceChildren(h("h2", {}, t("learn")), h("p", {}, ...line), back);
    return;
  }
  const article = h("article", { class: "lesson" }, ...renderMarkdown(text, LINKS));
  root.replaceChildren(back, article);
  document.title = `${article.querySelector("h2").textContent} · dcgan studio`;
  await buildFigures(root, signal);
}
