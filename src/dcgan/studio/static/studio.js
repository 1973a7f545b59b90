// The frame of the studio. The address says which page it shows: `#/PAGE/NAME?PARAMETERS`; NAME is a run or a model.

import { h } from "./web/play.js";
import { language, setLanguage, t } from "./web/strings.js";
import "./texts.js";
import { runsPage } from "./runs_page.js";
import { watchPage } from "./watch_page.js";
import { playPage } from "./play_page.js";
import { drawPage } from "./draw_page.js";
import { comparePage } from "./compare_page.js";
import { learnPage } from "./learn_page.js";
import { lessonPage } from "./lesson_page.js";
import { quizPage } from "./quiz_page.js";

/**
 * Each fills an element with a page. Everything that a page does later ends when `signal` aborts, which happens as soon
 * as the visitor leaves it, even before it has loaded.
 */
const LINKED_PAGES = { runs: runsPage, watch: watchPage, play: playPage, draw: drawPage, compare: comparePage, quiz: quizPage, learn: learnPage };
const PAGES = { ...LINKED_PAGES, lesson: lessonPage };
const TEXT_PAGES = ["learn", "lesson"]; // the name in their address is no run and no model

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const skipLink = document.getElementById("skip");
let visit = new AbortController();

function decodeName(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a % that was typed by hand encodes nothing
  }
}

function parseAddress() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, name = ""] = path.split("/");
  return { page: page in PAGES ? page : "runs", name: decodeName(name), params: new URLSearchParams(query) };
}

function showFrame({ page, name }) {
  nav.setAttribute("aria-label", t("pages"));
  skipLink.textContent = t("skip");
  const makeLink = (linkedPage) => {
    const keepsName = name && !["runs", "learn"].includes(linkedPage) && !TEXT_PAGES.includes(page);
    const suffix = keepsName ? `/${encodeURIComponent(name)}` : "";
    const isCurrent = linkedPage === (page === "lesson" ? "learn" : page) && "page";
    return h("a", { href: `#/${linkedPage}${suffix}`, "aria-current": isCurrent }, t(linkedPage));
  };
  nav.replaceChildren(...Object.keys(LINKED_PAGES).map(makeLink));
  const languageButton = h("button", { type: "button" }, t("language"));
  languageButton.addEventListener("click", () => {
    document.documentElement.lang = document.documentElement.lang === "ko" ? "en" : "ko";
    setLanguage(document.documentElement.lang);
    showPage();
  });
  document.getElementById("tools").replaceChildren(languageButton);
}

async function showPage() {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  const address = parseAddress();
  showFrame(address);
  document.title = `${t(address.page)} · dcgan studio`;
  const root = h("div", {}, h("p", { role: "status" }, t("loading")));
  main.replaceChildren(root);
  try {
    await PAGES[address.page](root, { ...address, signal });
  } catch (error) {
    if (signal.aborted) return;
    root.replaceChildren(h("p", { class: "bad", role: "alert" }, t("failed", error.message)));
  }
}

skipLink.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.documentElement.lang = language();
addEventListener("hashchange", () => {
  showPage();
  main.focus();
});
showPage();
