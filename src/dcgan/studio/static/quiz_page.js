// The page "Real or fake?": the visitor guesses of some pictures, twenty as a rule, which ones are real.

import { h, leaveRoomBelow, MAX_SEED, readWholeNumber } from "./web/play.js";
import { paint } from "./web/files.js";
import { t } from "./web/strings.js";
import { getJson, imageFromBytes } from "./api.js";
import { makeHelp } from "./help.js";
import { pickModel } from "./picker.js";

const Z_95 = 1.96; // quantile of the normal distribution for an interval of 95%
const GUESSES_PARAM = "said"; // its name in the address, where one letter stands for each guess
const LETTERS = { r: true, f: false }; // real, fake; any other letter is no guess

/** Return the 95% interval of a share of n (Wilson 1927). */
function wilsonInterval(share, n) {
  const square = Z_95 * Z_95;
  const middle = (share + square / (2 * n)) / (1 + square / n);
  const half = (Z_95 * Math.sqrt((share * (1 - share)) / n + square / (4 * n * n))) / (1 + square / n);
  return [middle - half, middle + half].map((value) => `${Math.round(100 * value)}%`);
}

const toLetter = (guess) => (guess === null ? "-" : guess ? "r" : "f");
const countEqual = (values, others) => values.filter((value, i) => value === others[i]).length;

/** Return the text of the result, once everything is guessed. */
function resultText(guesses, { is_real: isReal, says_real: discriminatorAnswers }) {
  const [n, rightCount] = [guesses.length, countEqual(guesses, isReal)];
  const score = t("quizScore", rightCount, n, ...wilsonInterval(rightCount / n, n));
  return discriminatorAnswers ? `${score} ${t("quizCritic", countEqual(discriminatorAnswers, isReal), n)}` : score;
}

/** Make the list item of one picture, with a button for each of the two guesses. */
function makeItem(image, i, guess, onGuess) {
  const canvas = h("canvas", { role: "img", "aria-label": t("pictureNo", i + 1) });
  paint(canvas, image);
  const buttons = [true, false].map((isReal) => {
    const text = t(isReal ? "real" : "fake");
    const label = `${t("pictureNo", i + 1)}: ${text}`;
    const button = h("button", { type: "button", "aria-pressed": String(guess === isReal), "aria-label": label }, text);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      onGuess(isReal);
    });
    return button;
  });
  return h("li", {}, canvas, h("div", { class: "row" }, ...buttons));
}

/** Replace the buttons of an item by the answer. */
function revealItem(item, guess, isReal) {
  const isRight = guess === isReal;
  item.className = isRight ? "right" : "wrong";
  item.lastChild.replaceChildren(h("strong", {}, `${isRight ? "✓" : "✗"} ${t(isReal ? "real" : "fake")}`));
}

export async function quizPage(root, address) {
  const { params, signal } = address;
  const picker = await pickModel(root, "quiz", address);
  if (!picker) return;
  const seed = readWholeNumber(params, "seed", [0, MAX_SEED], Math.floor(Math.random() * 1e6) + 1);
  const quiz = await getJson(`models/${picker.name}/quiz`, `?seed=${seed}`, signal);
  const letters = params.get(GUESSES_PARAM) || "";
  const guesses = quiz.is_real.map((_, i) => LETTERS[letters[i]] ?? null);
  const pageUrl = (query) => `#/quiz/${encodeURIComponent(picker.name)}?${query}`;

  /** Put the seed and the guesses into the address: a link, a reload or another language shows the same quiz. */
  function updateAddress() {
    if (!root.isConnected) return; // the visitor has gone to another page
    history.replaceState(null, "", pageUrl(`seed=${seed}&${GUESSES_PARAM}=${guesses.map(toLetter).join("")}`));
  }

  function update() {
    updateAddress();
    const openCount = guesses.filter((guess) => guess === null).length;
    status.textContent = openCount ? t("quizLeft", openCount) : resultText(guesses, quiz);
    if (openCount) return;
    [...items.children].forEach((item, i) => revealItem(item, guesses[i], quiz.is_real[i]));
    nextButton.focus(); // the buttons that had the focus are gone
  }

  const items = h("ol", { class: "quiz" });
  quiz.pictures.forEach((pixels, i) => {
    const onGuess = (isReal) => {
      guesses[i] = isReal;
      update();
    };
    items.append(makeItem(imageFromBytes(pixels, 0, quiz.shape), i, guesses[i], onGuess));
  });
  const status = h("p", { role: "status", class: "result" });
  const nextButton = h("button", { type: "button" }, t("quizAgain"));
  nextButton.addEventListener("click", () => (location.hash = pageUrl(`seed=${seed + 1}`)));
  const score = h("div", { class: "row score" }, status, nextButton);
  picker.show(h("p", { class: "quiet" }, t("quizHow")), makeHelp("quiz"), score, items);
  leaveRoomBelow(score, root);
  update();
}
