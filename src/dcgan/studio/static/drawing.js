// Pictures on canvases as a model has them: its size, its background, its colors, and uploads cut as the training was.

import { h } from "./web/play.js";

const MIN_INK = 32; // smaller differences from the background do not count as drawn
const DIGIT_SHARE = 20 / 28; // of a side: MNIST's digits fill a box of 20 of 28 pixels
const MNIST_SIDE = 28;
const DARK = 128;
const OPAQUE = 255;
const VISIBLE = 128; // the opacity from which on a pixel of the border counts as visible
const WHITE = [255, 255, 255];
const BLACK = [0, 0, 0];
/** Nothing: what is transparent is on white wherever a picture without transparency is made of it. */
const TRANSPARENT = [...WHITE, 0];

const luma = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;
export const toCss = ([r, g, b, alpha = OPAQUE]) => `rgba(${[r, g, b].map(Math.round).join(",")},${alpha / OPAQUE})`;
export const toHex = (color) => `#${color.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
export const isDark = (color) => luma(color) < DARK;

/** Return the median [r, g, b] of what is visible at the borders of images; `TRANSPARENT` if most is transparent. */
export function borderColor(images) {
  const values = [[], [], []];
  let hiddenCount = 0;
  for (const { width, height, channels, data } of images)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        if (y % (height - 1) && x % (width - 1)) continue;
        const at = channels * (y * width + x);
        if (channels === 4 && data[at + 3] < VISIBLE) hiddenCount += 1;
        else for (let c = 0; c < 3; c++) values[c].push(data[at + (channels > 1 ? c : 0)]);
      }
  if (hiddenCount > values[0].length) return TRANSPARENT;
  return values.map((channel) => channel.sort((p, q) => p - q)[channel.length >> 1]);
}

/** Return whether a model draws light digits on black as MNIST has them, which are centered. */
export const isDigitLike = ([channels, height, width], background) =>
  channels === 1 && height === MNIST_SIDE && width === MNIST_SIDE && isDark(background);

/** Return the drawing's size and its center of mass, in pixels; null if the board is empty. */
function measureDrawing(board) {
  const { data } = board.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, board.width, board.height);
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
    const half = h("canvas", { width: Math.round(size), height: Math.round((size * board.height) / board.width) });
    half.getContext("2d").drawImage(canvas, 0, 0, half.width, half.height);
    canvas = half;
  }
  return canvas;
}

/** Return the drawing as MNIST has its digits, of their size and with the center of mass in the middle, as a canvas. */
export function centerDrawing(board, width, height) {
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

/** Return the board in the size of the model. */
export function shrink(board, width, height) {
  const canvas = h("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(halveRepeatedly(board, width / board.width), 0, 0, width, height);
  return canvas;
}

/** Return where a picture stands in the frame of the model: {x, y, width, height}, in pixels of the frame. */
function placeInFrame(bitmap, [, height, width], fit) {
  if (fit === "stretch") return { x: 0, y: 0, width, height };
  const scales = [width / bitmap.width, height / bitmap.height];
  if (fit === "pad") {
    const scale = Math.min(...scales); // whole pixels: an edge that covers half of one would look transparent
    const [w, hgt] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    return { x: Math.floor((width - w) / 2), y: Math.floor((height - hgt) / 2), width: w, height: hgt };
  }
  const scale = Math.max(...scales);
  const [w, hgt] = [bitmap.width * scale, bitmap.height * scale];
  return { x: (width - w) / 2, y: (height - hgt) / 2, width: w, height: hgt };
}

/** Return whether the part of a canvas that a picture covers, or all of it, has pixels that are not opaque. */
function isTransparent({ canvas, context }, { x, y, width, height }) {
  const size = [Math.min(canvas.width, width), Math.min(canvas.height, height)];
  const { data } = context.getImageData(Math.max(0, x), Math.max(0, y), ...size);
  for (let i = 3; i < data.length; i += 4) if (data[i] < OPAQUE) return true;
  return false;
}

/**
 * Return a picture in the shape [C, H, W] of the model: cut, padded or stretched as its training pictures were, and
 * transparent parts as there: kept by a model with transparency, on white for another one, which includes the padding.
 * The padding of an opaque picture is black.
 */
export function fitPicture(bitmap, shape, fit) {
  const [channels, height, width] = shape;
  const canvas = h("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  const place = placeInFrame(bitmap, shape, fit);
  context.drawImage(bitmap, place.x, place.y, place.width, place.height);
  const hasTransparency = isTransparent({ canvas, context }, place);
  if (hasTransparency && channels === 4) return canvas;
  context.globalCompositeOperation = "destination-over"; // behind the picture
  context.fillStyle = toCss(hasTransparency ? WHITE : BLACK);
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-over";
  return canvas;
}

/** Make a picture gray, as a model that draws gray pictures gets it. */
export function makeGray(canvas) {
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data.fill(Math.round(luma(pixels.data.subarray(i, i + 3))), i, i + 3);
  context.putImageData(pixels, 0, 0);
}

/** Invert a picture whose border is light where the model's is dark, or the other way. Returns whether it did. */
export function invertIfNeeded(canvas, background) {
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const image = { width: canvas.width, height: canvas.height, channels: 4, data: pixels.data };
  if (isDark(borderColor([image])) === isDark(background)) return false;
  for (let i = 0; i < pixels.data.length; i++) if (i % 4 !== 3) pixels.data[i] = 255 - pixels.data[i];
  context.putImageData(pixels, 0, 0);
  return true;
}

/** Return a canvas's pixels as the model has them, bytes (H, W, C) in base64. */
export function readPixels(canvas, channels) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const valueAt = (i) => {
    const at = 4 * Math.floor(i / channels);
    return channels === 1 ? Math.round(luma(data.subarray(at, at + 3))) : data[at + (i % channels)];
  };
  const length = canvas.width * canvas.height * channels;
  return btoa(Array.from({ length }, (_, i) => String.fromCharCode(valueAt(i))).join(""));
}
