// A small line chart as SVG.

import { h } from "./web/play.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [480, 170, 44, 20];
const SPACE = "http://www.w3.org/2000/svg";

function svg(tag, about, text = "") {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(about)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** The range of most values: one spike must not flatten the rest. */
function range(series) {
  const all = series.flatMap(([, values]) => values).sort((a, b) => a - b);
  const [low, high] = [all[Math.floor(all.length * 0.01)], all[Math.ceil(all.length * 0.99) - 1]];
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

const short = (value) => (Math.abs(value) >= 1000 ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(2))));

/** Lines over images seen: series is [[name, values], …], at most two. */
export function chart(x, series, { low, high, half = false, title }) {
  const [least, most] = low === undefined ? range(series) : [low, high];
  const across = (v) => LEFT + ((v - x[0]) / (x.at(-1) - x[0] || 1)) * (WIDTH - LEFT - 8);
  const up = (v) => 8 + (1 - (Math.max(least, Math.min(most, v)) - least) / (most - least)) * (HEIGHT - BOTTOM - 8);
  const names = series.map(([name, values]) => `${name} ${values.at(-1).toFixed(3)}`);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${title}: ${names.join(", ")}` });
  for (const value of [least, (least + most) / 2, most]) {
    picture.append(svg("line", { x1: LEFT, x2: WIDTH - 8, y1: up(value), y2: up(value), class: half && value === 0.5 ? "half" : "axis" }));
    picture.append(svg("text", { x: LEFT - 6, y: up(value) + 4, "text-anchor": "end" }, half && value === 0.5 ? "1/2" : short(value)));
  }
  picture.append(svg("text", { x: LEFT, y: HEIGHT - 4 }, x[0].toLocaleString()));
  picture.append(svg("text", { x: WIDTH - 8, y: HEIGHT - 4, "text-anchor": "end" }, x.at(-1).toLocaleString()));
  series.forEach(([, values], i) => {
    const points = values.map((value, k) => `${across(x[k]).toFixed(1)},${up(value).toFixed(1)}`).join(" ");
    picture.append(svg("polyline", { points, class: i ? "two" : "one" }));
  });
  const key = names.map((name, i) => h("span", { class: i ? "two" : "one" }, h("i"), name));
  return h("div", {}, h("h3", {}, title), picture, h("div", { class: "key" }, ...key));
}
