// A small line chart as SVG.

import { h } from "./web/play.js";

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
function robustRange(series) {
  const sorted = series.flatMap(([, values]) => values).sort((a, b) => a - b);
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
 * x: images seen. series: [[name, values], …], at most two.
 * options: low and high (limits of the vertical axis; without them those of the values), hasMidline (marks 1/2), title.
 */
export function chart(x, series, { low, high, hasMidline = false, title }) {
  const [bottom, top] = low === undefined ? robustRange(series) : [low, high];
  const clamp = (value) => Math.max(bottom, Math.min(top, value));
  const toX = (value) => LEFT + ((value - x[0]) / (x.at(-1) - x[0] || 1)) * (WIDTH - LEFT - RIGHT);
  const toY = (value) => TOP + (1 - (clamp(value) - bottom) / (top - bottom)) * (HEIGHT - BOTTOM - TOP);
  const names = series.map(([name, values]) => `${name} ${values.at(-1).toFixed(3)}`);
  const label = `${title}: ${names.join(", ")}`;
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": label });

  for (const value of [bottom, (bottom + top) / 2, top]) {
    const isMidline = hasMidline && value === 0.5;
    const y = toY(value);
    plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: isMidline ? "midline" : "axis" }));
    const tick = isMidline ? "1/2" : formatTick(value);
    plot.append(svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, tick));
  }
  plot.append(svg("text", { x: LEFT, y: HEIGHT - 4 }, x[0].toLocaleString()));
  plot.append(svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, x.at(-1).toLocaleString()));
  series.forEach(([, values], i) => {
    const points = values.map((value, k) => `${toX(x[k]).toFixed(1)},${toY(value).toFixed(1)}`).join(" ");
    plot.append(svg("polyline", { points, class: `series-${i + 1}` }));
  });

  const legend = names.map((name, i) => h("span", { class: `series-${i + 1}` }, h("i"), name));
  return h("div", {}, h("h3", {}, title), plot, h("div", { class: "legend" }, ...legend));
}
