// The page Draw: it finds the model's picture that is nearest to a drawing, and leads to the page Play.

import { h } from "./web/play.js";
import { paint } from "./web/files.js";
import { t } from "./web/strings.js";
import { getJson, imageFromBytes, post } from "./api.js";
import { pickModel } from "./picker.js";

const BOARD_SIZE = 280; // pixels of a side
const BRUSH_WIDTH = BOARD_SIZE / 13;
const MIN_INK = 32; // darker pixels do not count as drawn
const DIGIT_SHARE = 20 / 28; // of a side: MNIST's digits fill a box of 20 of 28 pixels

/** Return the drawing's size and its center of mass, in pixels; null if the board is empty. */
function measureDrawing(board) {
  const { data } = board.getContext("2d").getImageData(0, 0, board.width, board.height);
  let [left, top, right, bottom, sum, sumX, sumY] = [board.width, board.height, 0, 0, 0, 0, 0];
  for (let y = 0; y < board.height; y++)
    for (let x = 0; x < board.width; x++) {
      const ink = data[4 * (y * board.width + x)];
      if (ink < MIN_INK) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      [sum, sumX, sumY] = [sum + ink, sumX + ink * x, sumY + ink * y];
    }
  if (!sum) return null;
  return { size: Math.max(right - left + 1, bottom - top + 1), centerX: sumX / sum, centerY: sumY / sum };
}

/** Return the board, halved as often as it stays twice as large as needed: browsers smooth over two pixels only. */
function halveRepeatedly(board, scale) {
  let [canvas, size] = [board, board.width];
  while (scale * board.width * 2 < size) {
    size /= 2;
    const half = h("canvas", { width: Math.round(size), height: Math.round(size) });
    half.getContext("2d").drawImage(canvas, 0, 0, half.width, half.height);
    canvas = half;
  }
  return canvas;
}

/** Return the drawing as MNIST has its digits, of their size and with the center of mass in the middle, as a canvas. */
function centerDrawing(board, width, height) {
  const drawing = measureDrawing(board);
  if (!drawing) return null;
  const scale = (DIGIT_SHARE * Math.min(width, height)) / drawing.size;
  const canvas = h("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const [x, y] = [width / 2 - drawing.centerX * scale, height / 2 - drawing.centerY * scale];
  context.drawImage(halveRepeatedly(board, scale), x, y, board.width * scale, board.width * scale);
  return canvas;
}

/** Return a canvas's pixels as the model has them, bytes (H, W, C) in base64. */
function readPixels(canvas, channels) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const valueAt = (i) => data[4 * Math.floor(i / channels) + (i % channels)];
  const length = canvas.width * canvas.height * channels;
  return btoa(Array.from({ length }, (_, i) => String.fromCharCode(valueAt(i))).join(""));
}

/** Make a board to draw on. `toInput` returns what is on it in the model's size, as a canvas; null if it is empty. */
function makeBoard(width, height) {
  const size = { width: BOARD_SIZE, height: BOARD_SIZE };
  const canvas = h("canvas", { class: "board", ...size, role: "img", "aria-label": t("board") });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let fileImage = null; // a picture file in the model's size: it is not moved to the middle

  function clear() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, BOARD_SIZE, BOARD_SIZE);
    fileImage = null;
  }

  function drawStroke(event) {
    if (!event.buttons) return;
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * BOARD_SIZE;
    const y = ((event.clientY - box.top) / box.height) * BOARD_SIZE;
    if (event.type === "pointerdown") {
      canvas.setPointerCapture(event.pointerId);
      if (fileImage) clear();
      context.beginPath();
      context.moveTo(x, y);
    }
    Object.assign(context, { strokeStyle: "#fff", lineWidth: BRUSH_WIDTH, lineCap: "round", lineJoin: "round" });
    context.lineTo(x, y);
    context.stroke();
  }

  async function showFile(file) {
    clear();
    const bitmap = await createImageBitmap(file);
    fileImage = h("canvas", { width, height });
    fileImage.getContext("2d").drawImage(bitmap, 0, 0, width, height);
    context.drawImage(bitmap, 0, 0, BOARD_SIZE, BOARD_SIZE);
  }

  canvas.addEventListener("pointerdown", drawStroke);
  canvas.addEventListener("pointermove", drawStroke);
  clear();
  return { canvas, clear, showFile, toInput: () => fileImage || centerDrawing(canvas, width, height) };
}

export async function drawPage(root, { name: requestedName, signal }) {
  const picker = await pickModel(root, "draw", requestedName, signal);
  if (!picker) return;
  const { shape, classes } = await getJson(`models/${picker.name}`, "", signal);
  const [channels, height, width] = shape;
  const board = makeBoard(width, height);
  const nearest = h("canvas", { width, height, role: "img", "aria-label": t("nearest") });
  const status = h("p", { role: "status", class: "result" });
  const playLink = h("a", { hidden: true }, t("walkOn"));
  const searchButton = h("button", { type: "button", class: "main", onclick: search }, t("find"));
  const clearButton = h("button", { type: "button", onclick: clear }, t("clear"));
  const upload = h("input", { type: "file", accept: "image/*" });

  let searchCount = 0; // an answer that comes after another search, or after Clear, is not shown

  upload.addEventListener("change", async () => {
    if (!upload.files.length) return;
    const [file] = upload.files;
    clear();
    try {
      await board.showFile(file);
    } catch {
      status.textContent = t("noPicture");
      return;
    }
    await search();
  });

  /** Clear the board and everything that belonged to what was drawn there. */
  function clear() {
    board.clear();
    upload.value = "";
    clearResult();
  }

  function clearResult() {
    searchCount += 1;
    nearest.getContext("2d").clearRect(0, 0, width, height);
    status.textContent = "";
    playLink.hidden = true;
    searchButton.disabled = false;
  }

  function showInversion({ pixels, z, label, error }) {
    const hasLabel = label !== null;
    paint(nearest, imageFromBytes(pixels, 0, shape));
    status.textContent = t("found", error.toFixed(1)) + (hasLabel ? ` ${t("ofClass", classes[label])}` : "");
    const params = `from=${z.join(",")}${hasLabel ? `&label=${label}` : ""}`;
    playLink.href = `#/play/${encodeURIComponent(picker.name)}?${params}`;
    playLink.hidden = false;
    root.dataset.found = String(Number(root.dataset.found || 0) + 1);
  }

  async function search() {
    const input = board.toInput();
    clearResult();
    const number = searchCount;
    if (!input) return void (status.textContent = t("drawFirst"));
    status.textContent = t("searching");
    searchButton.disabled = true;
    try {
      const content = { pixels: readPixels(input, channels) };
      const inversion = await (await post(`models/${picker.name}/invert`, content)).json();
      if (number === searchCount) showInversion(inversion);
    } catch (error) {
      if (number === searchCount) status.textContent = t("failed", error.message);
    }
    if (number === searchCount) searchButton.disabled = false;
  }

  const uploadField = h("label", { class: "field" }, h("span", {}, t("orFile")), upload);
  const buttons = h("div", { class: "row" }, searchButton, clearButton);
  root.replaceChildren(
    h("h2", {}, t("draw")),
    picker.element,
    h("p", { class: "quiet" }, t("drawHow")),
    h(
      "div",
      { class: "draw" },
      h("figure", {}, board.canvas, buttons, uploadField),
      h("figure", {}, nearest, h("figcaption", {}, status, playLink)),
    ),
  );
}
