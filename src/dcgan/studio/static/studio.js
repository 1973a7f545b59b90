// The studio's frame: which page is shown is in the address, `#/watch/NAME?…`.

import { h } from "./web/play.js";
import { language, setLanguage, t } from "./web/strings.js";
import { runsPage } from "./runs.js";
import { watchPage } from "./watch.js";
import { playPage } from "./playing.js";
import { drawPage } from "./draw.js";
import { quizPage } from "./quiz.js";

const PAGES = { runs: runsPage, watch: watchPage, play: playPage, draw: drawPage, quiz: quizPage };
const main = document.getElementById("main");
let leave = () => {};

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody has typed a %
  }
}

/** Where the address leads: page, run, and what follows the question mark. */
function place() {
  const [where, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, run = ""] = where.split("/");
  return { page: page in PAGES ? page : "runs", run: decoded(run), params: new URLSearchParams(query) };
}

export function go(page, run = "", params = "") {
  location.hash = `#/${page}${run ? `/${encodeURIComponent(run)}` : ""}${String(params) ? `?${params}` : ""}`;
}

function frame({ page, run }) {
  document.getElementById("nav").setAttribute("aria-label", t("pages"));
  document.getElementById("skip").textContent = t("skip");
  document.getElementById("nav").replaceChildren(
    ...Object.keys(PAGES).map((name) =>
      h("a", { href: `#/${name}${run && name !== "runs" ? `/${encodeURIComponent(run)}` : ""}`, "aria-current": name === page && "page" }, t(name)),
    ),
  );
  const other = h("button", { type: "button" }, t("language"));
  other.addEventListener("click", () => {
    document.documentElement.lang = document.documentElement.lang === "ko" ? "en" : "ko";
    setLanguage(document.documentElement.lang);
    show();
  });
  document.getElementById("tools").replaceChildren(other);
}

async function show() {
  leave();
  leave = () => {};
  const where = place();
  frame(where);
  document.title = `${t(where.page)} · dcgan studio`;
  const root = h("div", {}, h("p", { role: "status" }, t("loading")));
  main.replaceChildren(root);
  try {
    leave = (await PAGES[where.page](root, where)) || leave;
  } catch (error) {
    root.replaceChildren(h("p", { class: "bad", role: "alert" }, t("failed", error.message)));
  }
}

document.getElementById("skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
document.documentElement.lang = language();
addEventListener("hashchange", () => (show(), main.focus()));
show();
