// Draw a digit; the nearest latent is found, and one can walk on from it.

import { h } from "./web/play.js";
import { paint } from "./web/files.js";
import { t } from "./web/strings.js";
import { get, picture, post } from "./api.js";
import { pickModel } from "./picker.js";

const SIDE = 280;

/** The board as the data has its digits: in a box of 20/28 of the side, its weight in the middle. */
function centred(board, width, height) {
  const ink = board.getContext("2d").getImageData(0, 0, board.width, board.height).data;
  let [left, top, right, bottom, sum, sumX, sumY] = [board.width, board.height, 0, 0, 0, 0, 0];
  for (let y = 0; y < board.height; y++)
    for (let x = 0; x < board.width; x++) {
      const value = ink[4 * (y * board.width + x)];
      if (value < 32) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      [sum, sumX, sumY] = [sum + value, sumX + value * x, sumY + value * y];
    }
  if (!sum) return null;
  const scale = ((20 / 28) * Math.min(width, height)) / Math.max(right - left + 1, bottom - top + 1);
  // twice as large first: the browser's smoothing reaches over two pixels only
  let [from, size] = [board, board.width];
  const steps = [];
  while (scale * board.width * 2 < size) steps.push((size /= 2));
  for (const side of steps) {
    const half = h("canvas", { width: Math.round(side), height: Math.round(side) });
    half.getContext("2d").drawImage(from, 0, 0, half.width, half.height);
    from = half;
  }
  const small = h("canvas", { width, height });
  const context = small.getContext("2d");
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const wide = board.width * scale;
  context.drawImage(from, width / 2 - (sumX / sum) * scale, height / 2 - (sumY / sum) * scale, wide, wide);
  return small;
}

/** A canvas's pixels as the model has them, (H, W, C). */
function pixels(canvas, channels) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: canvas.width * canvas.height * channels }, (_, i) => data[4 * Math.floor(i / channels) + (i % channels)]);
}

export async function drawPage(root, { run: wanted }) {
  const picked = await pickModel(root, "draw", wanted);
  if (!picked) return undefined;
  const { shape, classes } = await get(`models/${picked.run}`);
  const [channels, height, width] = shape;
  const board = h("canvas", { class: "board", width: SIDE, height: SIDE, role: "img", "aria-label": t("board") });
  const context = board.getContext("2d", { willReadFrequently: true });
  const result = h("canvas", { role: "img", "aria-label": t("nearest") });
  const note = h("p", { role: "status", class: "result" });
  const on = h("a", { hidden: true }, t("walkOn"));
  let file = null;

  function clear() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    file = null;
  }
  function stroke(event) {
    if (!event.buttons) return;
    const box = board.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
    if (event.type === "pointerdown") {
      board.setPointerCapture(event.pointerId);
      if (file) clear();
      context.beginPath();
      context.moveTo(x, y);
    }
    Object.assign(context, { strokeStyle: "#fff", lineWidth: SIDE / 13, lineCap: "round", lineJoin: "round" });
    context.lineTo(x, y);
    context.stroke();
  }
  board.addEventListener("pointerdown", stroke);
  board.addEventListener("pointermove", stroke);

  const upload = h("input", { type: "file", accept: "image/*" });
  upload.addEventListener("change", async () => {
    if (!upload.files.length) return;
    try {
      const image = await createImageBitmap(upload.files[0]);
      clear();
      file = h("canvas", { width, height });
      file.getContext("2d").drawImage(image, 0, 0, width, height);
      context.drawImage(image, 0, 0, SIDE, SIDE);
      await find();
    } catch {
      note.textContent = t("noPicture");
    }
  });

  async function find() {
    const small = file || centred(board, width, height);
    if (!small) return void (note.textContent = t("drawFirst"));
    note.textContent = t("searching");
    search.disabled = true;
    try {
      const found = await (await post(`models/${picked.run}/invert`, { pixels: pixels(small, channels) })).json();
      paint(result, picture(found.pixels, 0, channels, height, width));
      const name = found.label === null ? "" : ` ${t("ofClass", classes[found.label])}`;
      note.textContent = t("found", found.error.toFixed(1)) + name;
      const label = found.label === null ? "" : `&label=${found.label}`;
      on.href = `#/play/${encodeURIComponent(picked.run)}?from=${found.z.join(",")}${label}`;
      on.hidden = false;
      root.dataset.found = String(Number(root.dataset.found || 0) + 1);
    } catch (error) {
      note.textContent = t("failed", error.message);
    }
    search.disabled = false;
  }

  const search = h("button", { type: "button", class: "main", onclick: find }, t("find"));
  const again = h("button", { type: "button", onclick: clear }, t("clear"));
  root.replaceChildren(
    h("h2", {}, t("draw")),
    picked.head,
    h("p", { class: "quiet" }, t("drawHow")),
    h("div", { class: "draw" },
      h("figure", {}, board, h("div", { class: "row" }, search, again), h("label", { class: "field" }, h("span", {}, t("orFile")), upload)),
      h("figure", {}, result, h("figcaption", {}, note, on))),
  );
  result.width = width;
  result.height = height;
  clear();
  return undefined;
}
