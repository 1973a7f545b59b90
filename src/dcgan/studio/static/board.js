// A board to draw on, with the mouse, a finger or the keyboard.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";

const BOARD_SIZE = 280; // pixels of the longer side
const KEY_STEP = BOARD_SIZE / 28;
const KEY_MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Make the board. background: CSS color; getPen: returns {color, width} of the brush, width as a share of the board.
 * `onStroke` is called before a stroke begins.
 */
export function makeBoard(width, height, { background, getPen, onStroke }) {
  const scale = BOARD_SIZE / Math.max(width, height);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const canvas = h("canvas", { class: "board", ...size, role: "img", tabindex: 0, "aria-label": t("board") });
  const cursor = h("span", { class: "cursor", hidden: true });
  const element = h("div", { class: "board-box" }, canvas, cursor);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let [x, y, isPenDown, isEmpty] = [size.width / 2, size.height / 2, false, true];

  function clear() {
    context.clearRect(0, 0, size.width, size.height); // the background may be transparent
    context.fillStyle = background;
    context.fillRect(0, 0, size.width, size.height);
    [isPenDown, isEmpty] = [false, true];
    cursor.classList.remove("down");
  }

  function begin(startX, startY) {
    onStroke();
    [x, y, isEmpty] = [startX, startY, false];
    const { color, width: share } = getPen(); // a line without a length is not drawn: a dot is
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, (share * BOARD_SIZE) / 2, 0, 2 * Math.PI);
    context.fill();
  }

  function lineTo(newX, newY) {
    const { color, width: share } = getPen();
    Object.assign(context, { strokeStyle: color, lineWidth: share * BOARD_SIZE, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(newX, newY);
    context.stroke();
    [x, y] = [newX, newY];
  }

  function drawStroke(event) {
    if (!event.buttons) return;
    cursor.hidden = true;
    const box = canvas.getBoundingClientRect();
    const newX = ((event.clientX - box.left) / box.width) * size.width;
    const newY = ((event.clientY - box.top) / box.height) * size.height;
    if (event.type === "pointerdown") {
      canvas.setPointerCapture(event.pointerId);
      begin(newX, newY);
    } else if (!isEmpty) lineTo(newX, newY);
  }

  function showCursor() {
    cursor.hidden = false;
    cursor.style.left = `${(100 * x) / size.width}%`;
    cursor.style.top = `${(100 * y) / size.height}%`;
  }

  /** Arrows move the pen, the space bar and Enter put it down or lift it. */
  function drawByKey(event) {
    const move = KEY_MOVES[event.key];
    if (!move && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!move) {
      isPenDown = !isPenDown;
      if (isPenDown) begin(x, y);
      cursor.classList.toggle("down", isPenDown);
    } else {
      const target = [x + move[0] * KEY_STEP, y + move[1] * KEY_STEP];
      const [newX, newY] = [Math.max(0, Math.min(size.width, target[0])), Math.max(0, Math.min(size.height, target[1]))];
      if (isPenDown) lineTo(newX, newY);
      else [x, y] = [newX, newY];
    }
    showCursor();
  }

  function showPicture(picture) {
    clear();
    context.clearRect(0, 0, size.width, size.height); // transparent parts stay so
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0, size.width, size.height);
    context.imageSmoothingEnabled = true;
  }

  /** Show what is on another board of this size. */
  function restore(other) {
    clear();
    context.clearRect(0, 0, size.width, size.height);
    context.drawImage(other.canvas, 0, 0);
    isEmpty = other.isEmpty();
  }

  canvas.addEventListener("pointerdown", drawStroke);
  canvas.addEventListener("pointermove", drawStroke);
  canvas.addEventListener("keydown", drawByKey);
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && showCursor());
  canvas.addEventListener("blur", () => (cursor.hidden = true));
  clear();
  return { element, canvas, clear, showPicture, restore, isEmpty: () => isEmpty };
}
