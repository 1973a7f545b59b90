// The frame of the studio. The address says which page it shows: `#/PAGE/NAME?PARAMETERS`; NAME is a run or a model.

import { h } from "./web/play.js";
import { language, setLanguage, t } from "./web/strings.js";
import "./texts.js";
import { withServerTexts } from "./server_texts.js";
import { runsPage } from "./runs_page.js";
import { watchPage } from "./watch_page.js";
import { rememberFocus } from "./picker.js";
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
const languageButton = h("button", { type: "button", onclick: switchLanguage });
let visit = new AbortController();

document.getElementById("tools").append(languageButton);

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

function showLinks({ page, name }) {
  const makeLink = (linkedPage) => {
    const keepsName = name && !["runs", "learn"].includes(linkedPage) && !TEXT_PAGES.includes(page);
    const suffix = keepsName ? `/${encodeURIComponent(name)}` : "";
    const isCurrent = linkedPage === (page === "lesson" ? "learn" : page) && "page";
    return h("a", { href: `#/${linkedPage}${suffix}`, "aria-current": isCurrent }, t(linkedPage));
  };
  nav.replaceChildren(...Object.keys(LINKED_PAGES).map(makeLink));
}

function showFrame(address) {
  nav.setAttribute("aria-label", t("pages"));
  skipLink.textContent = t("skip");
  languageButton.textContent = t("language");
  showLinks(address);
}

async function switchLanguage() {
  const place = readPlace();
  document.documentElement.lang = document.documentElement.lang === "ko" ? "en" : "ko";
  setLanguage(document.documentElement.lang);
  await showPage();
  goToPlace(place);
}

/** Return the tops of the headings of the page, and its end, in pixels from the top of the window. */
function readTops() {
  const headings = [...main.querySelectorAll("h2, h3, h4")];
  return [...headings, document.documentElement].map((e, i) => e.getBoundingClientRect()[i < headings.length ? "top" : "bottom"]);
}

/** Return between which headings the page is scrolled to, and how far: both languages have the same headings. */
function readPlace() {
  const tops = readTops();
  const index = tops.findLastIndex((top) => top <= 0);
  return { index, count: tops.length, share: index < 0 ? 0 : -tops[index] / (tops[index + 1] - tops[index]) };
}

function goToPlace({ index, count, share }) {
  const tops = readTops();
  if (index >= 0 && tops.length === count) scrollBy(0, tops[index] + share * (tops[index + 1] - tops[index]));
}

/** Say what went wrong below the heading of the page and its choice of a model, with which the visitor can go on. */
function showFailure(root, page, error) {
  for (const element of [...root.children]) if (!element.matches("h2, .picker")) element.remove();
  if (!root.children.length) root.append(h("h2", {}, t(page)));
  root.append(h("p", { class: "bad", role: "alert" }, ...withServerTexts("failed", error.message)));
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
  const forgetName = () => showLinks({ ...address, name: "" }); // nothing has this name
  try {
    await PAGES[address.page](root, { ...address, signal, forgetName });
  } catch (error) {
    if (!signal.aborted) showFailure(root, address.page, error);
  }
}

skipLink.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.documentElement.lang = language();
addEventListener("hashchange", async () => {
  // Who chooses with the keyboard goes on choosing: the new page gives its choice the focus.
  const isChoosing = rememberFocus();
  const shown = showPage();
  if (!isChoosing) main.focus();
  await shown;
  if (document.activeElement === document.body) main.focus(); // it has no such choice
});
showPage();
