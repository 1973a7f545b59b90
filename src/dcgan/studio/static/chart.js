// A line chart as SVG, with axes, values under the pointer, smoothing and a logarithmic axis. What it shows is described
// by the server, as for the report of a run.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { formatTick, logTicks, niceTicks, robustRange, smooth } from "./chart_scale.js";
import { makeHelp } from "./help.js";
import { translateText } from "./server_texts.js";

const [WIDTH, HEIGHT] = [480, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 10, 8, 34]; // margins
const POINT_RADIUS = 3; // of a curve that has one point
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const TITLES = { losses: "losses", scores: "scoresOf", quality: "qualityOf" };
const KEY_STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

function svg(tag, attributes, text = "") {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** Return the functions from values to pixels, and the ticks of both axes. */
function makeScales({ key, curves, others = [], reference, y_limits: limits }, isLogarithmic) {
  const points = [...curves, ...others].flatMap((curve) => curve.points);
  const xs = points.map(([x]) => x);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const values = points.map(([, y]) => y).filter((y) => !isLogarithmic || y > 0);
  let [bottom, top] = limits && !isLogarithmic ? limits : robustRange(values, isLogarithmic);
  // How far a curve is from its floor is what one wants to see, so the floor is always in the range.
  if (key === "quality" && reference && (!isLogarithmic || reference.y > 0)) {
    [bottom, top] = [Math.min(bottom, reference.y), Math.max(top, reference.y)];
  }
  const place = isLogarithmic ? (y) => Math.log(Math.max(y, bottom)) : (y) => y;
  const share = (y) => (place(Math.max(bottom, Math.min(top, y))) - place(bottom)) / (place(top) - place(bottom));
  return {
    toX: (x) => LEFT + ((x - left) / (right - left || 1)) * (WIDTH - LEFT - RIGHT),
    toY: (y) => TOP + (1 - share(y)) * (HEIGHT - BOTTOM - TOP),
    toImages: (x) => left + ((x - LEFT) / (WIDTH - LEFT - RIGHT)) * (right - left),
    xTicks: niceTicks(left, right, 4),
    yTicks: isLogarithmic ? logTicks(bottom, top) : niceTicks(bottom, top, 4),
    isInside: (y) => y >= bottom && y <= top,
  };
}

function drawAxes(plot, scales, unit) {
  for (const value of scales.yTicks) {
    const y = scales.toY(value);
    plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "axis" }));
    plot.append(svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, formatTick(value)));
  }
  for (const value of scales.xTicks) {
    const x = scales.toX(value);
    plot.append(svg("line", { x1: x, x2: x, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4, class: "axis" }));
    plot.append(svg("text", { x, y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, formatTick(value)));
  }
  plot.append(svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end", class: "unit" }, unit));
}

/** Return the index of the point of a curve that is nearest to a number of images. */
function nearestIndex(points, images) {
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < images) low = middle;
    else high = middle;
  }
  return images - points[low][0] < points[high][0] - images ? low : high;
}

/**
 * Make a chart of curves over images seen, as an element that stays while its content changes.
 *
 * `update` takes what the server describes: {key, title, curves: [{name, points: [[x, y], …]}, …] (at most two),
 * reference: {y, name} of a line to compare with, or null, y_limits: [low, high] of the vertical axis, or null for those
 * of the values, others: curves of other runs, {name, points, style}}, and the options of the visitor: {isSmooth, isLogarithmic}.
 */
export function makeChart() {
  const title = h("h3", {});
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", tabindex: 0 });
  const legend = h("div", { class: "legend", "aria-live": "polite" });
  const element = h("div", { class: "chart-box" }, title, plot, legend);
  let help = null;
  let [content, scales, chosenImages] = [null, null, null]; // `chosenImages`: where the visitor reads values

  const styledCurves = () => [
    ...content.curves.map((curve, i) => ({ ...curve, style: `series-${i + 1}` })),
    ...(content.others || []),
  ];

  /** Show the values where the visitor points, or the last ones. */
  function showValues() {
    plot.querySelector(".cursor")?.remove();
    const longest = content.curves.reduce((a, b) => (a.points.length >= b.points.length ? a : b)).points;
    const at = chosenImages === null ? null : longest[nearestIndex(longest, chosenImages)][0];
    const spans = styledCurves().map(({ name, points, style }) => {
      const [, y] = points[at === null ? points.length - 1 : nearestIndex(points, at)];
      return h("span", { class: style }, h("i"), `${name} ${Number(y.toPrecision(4))}`);
    });
    if (at !== null) {
      const x = scales.toX(at);
      plot.append(svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor" }));
      spans.push(h("span", {}, t("imagesSeen", Math.round(at).toLocaleString())));
    }
    legend.replaceChildren(...spans.flatMap((span) => [span, " "]));
  }

  function update(newContent, { isSmooth, isLogarithmic }) {
    content = newContent;
    const isPositive = content.curves.some(({ points }) => points.some(([, y]) => y > 0));
    scales = makeScales(content, isLogarithmic && isPositive);
    if (!element.contains(help) && TITLES[content.key]) {
      help = makeHelp(content.key);
      element.append(help);
    }
    title.textContent = TITLES[content.key] ? t(TITLES[content.key], content.title) : content.title;
    const names = content.curves.map(({ name, points }) => `${name} ${points.at(-1)[1].toFixed(3)}`);
    const { reference } = content;
    const label = [`${title.textContent}: ${names.join(", ")}`, ...(reference ? [translateText(reference.name)] : [])];
    plot.setAttribute("aria-label", label.join("; "));
    plot.replaceChildren();
    drawAxes(plot, scales, t("imagesAxis"));
    if (reference && scales.isInside(reference.y)) {
      const y = scales.toY(reference.y);
      plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "midline" }));
      plot.append(svg("text", { x: WIDTH - RIGHT, y: y - 4, "text-anchor": "end" }, translateText(reference.name)));
    }
    styledCurves().forEach(({ points, style }) => {
      if (points.length === 1) {
        const [[x, y]] = points;
        return plot.append(svg("circle", { cx: scales.toX(x), cy: scales.toY(y), r: POINT_RADIUS, class: style }));
      }
      const toLine = (shown) => shown.map(([x, y]) => `${scales.toX(x).toFixed(1)},${scales.toY(y).toFixed(1)}`).join(" ");
      if (isSmooth) plot.append(svg("polyline", { points: toLine(points), class: `${style} faint` }));
      plot.append(svg("polyline", { points: toLine(isSmooth ? smooth(points) : points), class: style }));
    });
    showValues();
  }

  function choose(images) {
    chosenImages = images;
    showValues();
  }

  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    choose(scales.toImages(((event.clientX - box.left) / box.width) * WIDTH));
  });
  plot.addEventListener("pointerleave", () => choose(null));
  plot.addEventListener("blur", () => choose(null));
  plot.addEventListener("keydown", (event) => {
    const steps = KEY_STEPS[event.key];
    if (steps === undefined) return;
    event.preventDefault();
    const { points } = content.curves[0];
    const current = chosenImages === null ? points.length - 1 : nearestIndex(points, chosenImages);
    choose(points[Math.max(0, Math.min(points.length - 1, current + steps))][0]);
  });
  return { element, update };
}
