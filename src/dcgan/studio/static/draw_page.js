// The page Draw: it finds the model's picture that is nearest to a drawing or a file, and leads to the page Play.

import { h } from "./web/play.js";
import { paint } from "./web/files.js";
import { t } from "./web/strings.js";
import { imageFromBytes, post, serverEngine } from "./api.js";
import { makeBoard } from "./board.js";
import * as drawing from "./drawing.js";
import { makeHelp } from "./help.js";
import { pickModel } from "./picker.js";
import { withServerTexts } from "./server_texts.js";

const STYLE_SAMPLES = 16; // samples whose borders say what the background is
const PEN_SHARE = 1 / 13; // of the board

/**
 * What the visitor has drawn for a model, and what was found: another language, or another page and back, shows it again.
 * The picture is of a file, in the model's size, and is not moved to the middle.
 */
let draft = { key: "", board: null, pen: {}, picture: null, isInverted: false, isSearching: false, inversion: null };
const NOTHING_DRAWN = draft;

/** Return the background of what a model draws, see `borderColor`. */
async function findBackground(engine) {
  const { classes } = engine.generator;
  const latents = await engine.drawLatents(0, STYLE_SAMPLES, 0);
  const labels = classes.length ? latents.map((_, i) => i % classes.length) : null;
  return drawing.borderColor(await engine.drawImages(latents, labels));
}

/** Make the fields for the pen: its color if the model draws in color, and its width. */
function makePenFields(channels, background, pen) {
  const contrast = drawing.isDark(background) ? [255, 255, 255] : [0, 0, 0];
  const color = h("input", { type: "color", value: pen.color || drawing.toHex(contrast) });
  const width = h("input", { type: "range", min: 0.03, max: 0.3, step: 0.01, value: pen.width || PEN_SHARE });
  const makeField = (text, input) => h("label", { class: "field" }, h("span", {}, t(text)), input);
  const fields = [...(channels > 1 ? [makeField("penColor", color)] : []), makeField("penWidth", width)];
  return { element: h("div", { class: "row" }, ...fields), getPen: () => ({ color: color.value, width: Number(width.value) }) };
}

export async function drawPage(root, address) {
  const { signal } = address;
  const picker = await pickModel(root, "draw", address);
  if (!picker) return;
  const engine = await serverEngine(picker.name);
  const { shape, classes, fit } = engine.generator;
  const [channels, height, width] = shape;
  const background = await findBackground(engine);
  if (signal.aborted) return;
  const isDigitLike = drawing.isDigitLike(shape, background);
  const key = `${picker.name} ${shape}`; // a run of the same name may have another model
  const before = draft.key === key ? draft : NOTHING_DRAWN;
  draft = { ...before, key };
  const pen = makePenFields(channels, background, before.pen);
  pen.element.addEventListener("input", () => (draft.pen = pen.getPen()));
  const onStroke = () => draft.picture && clear();
  const board = makeBoard(width, height, { background: drawing.toCss(background), getPen: pen.getPen, onStroke });
  const nearest = h("canvas", { width, height, role: "img", "aria-label": t("nearest") });
  // Shown until there is a picture, and behind what is transparent.
  nearest.style.background = board.canvas.style.background = channels === 4 ? "#fff" : drawing.toCss(background);
  const status = h("p", { role: "status", class: "result" });
  const note = h("p", { class: "quiet" });
  const playLink = h("a", { hidden: true }, t("walkOn"));
  const searchButton = h("button", { type: "button", class: "main", onclick: search }, t("find"));
  const clearButton = h("button", { type: "button", onclick: clear }, t("clear"));
  const upload = h("input", { type: "file", accept: "image/*" });

  let searchCount = 0; // an answer that comes after another search, or after Clear, is not shown

  upload.addEventListener("change", async () => {
    if (!upload.files.length) return;
    const [file] = upload.files;
    clear();
    let isInverted = false;
    try {
      const picture = drawing.fitPicture(await createImageBitmap(file), shape, fit);
      if (signal.aborted) return;
      if (channels === 1) drawing.makeGray(picture);
      isInverted = channels === 1 && drawing.invertIfNeeded(picture, background);
      board.showPicture(picture);
      Object.assign(draft, { picture, isInverted });
    } catch {
      status.textContent = t("noPicture");
      return;
    }
    note.textContent = isInverted ? t("inverted") : "";
    await search();
  });

  /** Clear the board and everything that belonged to what was drawn there. */
  function clear() {
    board.clear();
    Object.assign(draft, { picture: null, isInverted: false });
    note.textContent = "";
    upload.value = "";
    clearResult();
  }

  function clearResult() {
    searchCount += 1;
    Object.assign(draft, { inversion: null, isSearching: false });
    nearest.getContext("2d").clearRect(0, 0, width, height);
    status.textContent = "";
    playLink.hidden = true;
    searchButton.disabled = false;
  }

  function showInversion({ pixels, z, label, error }) {
    draft.inversion = { pixels, z, label, error };
    const hasLabel = label !== null;
    paint(nearest, imageFromBytes(pixels, 0, shape));
    status.textContent = t("found", error.toFixed(1)) + (hasLabel ? ` ${t("ofClass", classes[label])}` : "");
    const params = `from=${z.join(",")}${hasLabel ? `&label=${label}` : ""}`;
    playLink.href = `#/play/${encodeURIComponent(picker.name)}?${params}`;
    playLink.hidden = false;
    root.dataset.found = String(Number(root.dataset.found || 0) + 1);
  }

  /** Return what is on the board in the model's size, as a canvas; null if it is empty. */
  function readInput() {
    if (draft.picture || board.isEmpty()) return draft.picture;
    return isDigitLike ? drawing.centerDrawing(board.canvas, width, height) : drawing.shrink(board.canvas, width, height);
  }

  async function search() {
    const input = readInput();
    clearResult();
    const number = searchCount;
    if (!input) return void (status.textContent = t("drawFirst"));
    status.textContent = t("searching");
    searchButton.disabled = draft.isSearching = true;
    try {
      const content = { pixels: drawing.readPixels(input, channels) };
      const inversion = await (await post(`models/${picker.name}/invert`, content)).json();
      if (isShown(number)) showInversion(inversion);
    } catch (error) {
      if (isShown(number)) status.replaceChildren(...withServerTexts("failed", error.message));
    }
    if (isShown(number)) searchButton.disabled = draft.isSearching = false;
  }

  /** Return whether the answer to a search is one about what is on this page. */
  const isShown = (number) => number === searchCount && !signal.aborted;

  /** Show what the visitor has drawn before. A search that was not answered begins again. */
  function restore() {
    if (before.board) board.restore(before.board);
    draft.board = board;
    note.textContent = draft.isInverted ? t("inverted") : "";
    if (draft.inversion) showInversion(draft.inversion);
    else if (draft.isSearching) search();
  }

  const uploadField = h("label", { class: "field" }, h("span", {}, t("orFile")), upload);
  const buttons = h("div", { class: "row" }, searchButton, clearButton);
  picker.show(
    h("p", { class: "quiet" }, t(isDigitLike ? "drawHow" : "drawHowAny")),
    makeHelp("inversion"),
    h(
      "div",
      { class: "draw" },
      h("figure", {}, board.element, pen.element, buttons, uploadField, note, h("p", { class: "quiet" }, t("boardKeys"))),
      h("figure", {}, nearest, h("figcaption", {}, status, playLink)),
    ),
  );
  restore();
}
