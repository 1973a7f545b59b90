// Real or fake: twenty pictures to guess.

import { h } from "./web/play.js";
import { paint } from "./web/files.js";
import { t } from "./web/strings.js";
import { get, picture } from "./api.js";
import { pickModel } from "./picker.js";

/** The 95% interval of a share of n (Wilson 1927). */
function interval(share, n) {
  const z = 1.96;
  const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
  return [middle - half, middle + half].map((v) => `${Math.round(100 * v)}%`);
}

export async function quizPage(root, { run: wanted, params }) {
  const picked = await pickModel(root, "quiz", wanted);
  if (!picked) return undefined;
  const seed = Number(params.get("seed")) || Math.floor(Math.random() * 1e6) + 1;
  const quiz = await get(`models/${picked.run}/quiz`, `?seed=${seed}`);
  const [channels, height, width] = quiz.shape;
  const said = params.get("said") || "";
  const guesses = quiz.is_real.map((_, i) => ({ r: true, f: false })[said[i]] ?? null);
  const note = h("p", { role: "status", class: "result" }, t("quizLeft", guesses.length));

  /** The address holds which twenty they are and what was guessed: a link, a reload, another language bring them back. */
  function keep() {
    if (!root.isConnected) return; // the visitor has gone on
    const letters = guesses.map((guess) => (guess === null ? "-" : guess ? "r" : "f")).join("");
    history.replaceState(null, "", `#/quiz/${encodeURIComponent(picked.run)}?seed=${seed}&said=${letters}`);
  }

  function answered() {
    keep();
    const open = guesses.filter((guess) => guess === null).length;
    if (open) return void (note.textContent = t("quizLeft", open));
    const right = guesses.filter((guess, i) => guess === quiz.is_real[i]).length;
    const n = guesses.length;
    note.textContent = t("quizScore", right, n, ...interval(right / n, n));
    if (quiz.says_real) note.textContent += ` ${t("quizCritic", quiz.says_real.filter((says, i) => says === quiz.is_real[i]).length, n)}`;
    [...items.children].forEach((item, i) => {
      item.className = guesses[i] === quiz.is_real[i] ? "right" : "wrong";
      item.lastChild.replaceChildren(h("strong", {}, `${guesses[i] === quiz.is_real[i] ? "✓" : "✗"} ${t(quiz.is_real[i] ? "real" : "fake")}`));
    });
    another.focus(); // the buttons that had it are gone
  }

  function item(pixels, i) {
    const canvas = h("canvas", { role: "img", "aria-label": t("pictureNo", i + 1) });
    paint(canvas, picture(pixels, 0, channels, height, width));
    const buttons = [true, false].map((isReal) => {
      const name = t(isReal ? "real" : "fake");
      const button = h("button", { type: "button", "aria-pressed": String(guesses[i] === isReal), "aria-label": `${t("pictureNo", i + 1)}: ${name}` }, name);
      button.addEventListener("click", () => {
        guesses[i] = isReal;
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        answered();
      });
      return button;
    });
    return h("li", {}, canvas, h("div", { class: "row" }, ...buttons));
  }

  const items = h("ol", { class: "quiz" }, ...quiz.pictures.map(item));
  const another = h("button", { type: "button" }, t("quizAgain"));
  another.addEventListener("click", () => (location.hash = `#/quiz/${encodeURIComponent(picked.run)}?seed=${seed + 1}`));
  root.replaceChildren(h("h2", {}, t("quiz")), picked.head, h("p", { class: "quiet" }, t("quizHow")), h("div", { class: "row score" }, note, another), items);
  answered();
  return undefined;
}
