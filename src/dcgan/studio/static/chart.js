// A small line chart as SVG. What it shows is described by the server, as for the report of a run.

import { h } from "./web/play.js";
import { t, translate } from "./web/strings.js";

const [WIDTH, HEIGHT] = [480, 170];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 8, 8, 20]; // margins
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

function svg(tag, attributes, text = "") {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Return the range of all values but the lowest and highest 1%, so that one spike does not flatten the curves. */
function robustRange(values) {
  const sorted = values.sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor(sorted.length * 0.01)], sorted[Math.ceil(sorted.length * 0.99) - 1]];
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function formatTick(value) {
  const rounded = Number(value.toPrecision(2));
  return Math.abs(value) >= 1000 ? rounded.toExponential() : String(rounded);
}

/**
 * Return a chart of curves over images seen.
 *
 * key: names the chart; curves: [{name, points: [[x, y], …]}, …], at most two; reference: {y, name} of a line to compare
 * with, or null; y_limits: [low, high] of the vertical axis, or null for those of the values.
 */
export function chart({ key, title, curves, reference, y_limits: limits }) {
  const shownTitle = key === "losses" ? t("losses") : key === "scores" ? t("scoresOf") : title;
  const points = curves.flatMap((curve) => curve.points);
  const [left, right] = [points[0][0], Math.max(...curves.map((curve) => curve.points.at(-1)[0]))];
  const [bottom, top] = limits || robustRange(points.map(([, y]) => y));
  const clamp = (value) => Math.max(bottom, Math.min(top, value));
  const toX = (value) => LEFT + ((value - left) / (right - left || 1)) * (WIDTH - LEFT - RIGHT);
  const toY = (value) => TOP + (1 - (clamp(value) - bottom) / (top - bottom)) * (HEIGHT - BOTTOM - TOP);
  const names = curves.map((curve) => `${curve.name} ${curve.points.at(-1)[1].toFixed(3)}`);
  const isReferenceShown = reference && reference.y >= bottom && reference.y <= top;
  const label = [`${shownTitle}: ${names.join(", ")}`, ...(reference ? [translate(reference.name)] : [])].join("; ");
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": label });

  for (const value of [bottom, (bottom + top) / 2, top]) {
    if (isReferenceShown && value === reference.y) continue;
    plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: toY(value), y2: toY(value), class: "axis" }));
    plot.append(svg("text", { x: LEFT - 6, y: toY(value) + 4, "text-anchor": "end" }, formatTick(value)));
  }
  if (isReferenceShown) {
    const y = toY(reference.y);
    plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "midline" }));
    plot.append(svg("text", { x: WIDTH - RIGHT, y: y - 4, "text-anchor": "end" }, translate(reference.name)));
  }
  plot.append(svg("text", { x: LEFT, y: HEIGHT - 4 }, left.toLocaleString()));
  plot.append(svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, right.toLocaleString()));
  curves.forEach((curve, i) => {
    const line = curve.points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(" ");
    plot.append(svg("polyline", { points: line, class: `series-${i + 1}` }));
  });

  const legend = names.map((name, i) => h("span", { class: `series-${i + 1}` }, h("i"), name));
  return h("div", {}, h("h3", {}, shownTitle), plot, h("div", { class: "legend" }, ...legend));
}
