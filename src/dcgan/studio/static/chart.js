// A line chart as SVG, with axes, values under the pointer, smoothing and a logarithmic axis. What it shows is described
// by the server, as for the report of a run.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { formatTick, keepApart, logTicks, niceTicks, robustRange, smooth } from "./chart_scale.js";
import { makeHelp } from "./help.js";
import { translateText } from "./server_texts.js";

const [FIRST_WIDTH, HEIGHT] = [480, 190]; // pixels of the screen; the width is that of the page, once it is known
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 16, 8, 40]; // margins
const [LINE_HEIGHT, CHARACTER_WIDTH] = [15, 7]; // of the names of ticks, in pixels
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

/** Return the functions from values to pixels, and the ticks of both axes that have room for their names. */
function makeScales({ key, curves, others = [], reference, y_limits: limits }, isLogarithmic, width) {
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
  const end = width - RIGHT;
  const toX = (x) => LEFT + ((x - left) / (right - left || 1)) * (end - LEFT);
  const toY = (y) => TOP + (1 - share(y)) * (HEIGHT - BOTTOM - TOP);
  const xTicks = niceTicks(left, right, 4);
  const yTicks = isLogarithmic ? logTicks(bottom, top) : niceTicks(bottom, top, 4);
  const nameLength = Math.max(...xTicks.map((value) => formatTick(value).length));
  return {
    ...{ end, toX, toY },
    toImages: (x) => left + ((x - LEFT) / (end - LEFT)) * (right - left),
    xTicks: keepApart(xTicks, toX, (nameLength + 1) * CHARACTER_WIDTH),
    yTicks: keepApart(yTicks, toY, LINE_HEIGHT),
    isInside: (y) => y >= bottom && y <= top,
  };
}

function drawAxes(plot, { end, toX, toY, xTicks, yTicks }, unit) {
  for (const value of yTicks) {
    const y = toY(value);
    plot.append(svg("line", { x1: LEFT, x2: end, y1: y, y2: y, class: "axis" }));
    plot.append(svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, formatTick(value)));
  }
  for (const value of xTicks) {
    const x = toX(value);
    plot.append(svg("line", { x1: x, x2: x, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4, class: "axis" }));
    plot.append(svg("text", { x, y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, formatTick(value)));
  }
  plot.append(svg("text", { x: end, y: HEIGHT - 5, "text-anchor": "end", class: "unit" }, unit));
}

/** Return the index of the one of ascending numbers of images that is nearest to another. */
function nearestIndex(xs, images) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < images) low = middle;
    else high = middle;
  }
  return images - xs[low] < xs[high] - images ? low : high;
}

const imagesOf = (points) => points.map(([x]) => x);

/** Return the text of a curve's value at a number of images; null: its last value. Beyond its ends it has none. */
function valueText({ points, isGrowing }, at) {
  if (at !== null && at < points[0][0]) return "–";
  if (at !== null && at > points.at(-1)[0]) return isGrowing ? "–" : t("curveEnded");
  const [, y] = points[at === null ? points.length - 1 : nearestIndex(imagesOf(points), at)];
  return String(Number(y.toPrecision(4)));
}

/**
 * Make a chart of curves over images seen, as an element that stays while its content changes.
 *
 * `update` takes what the server describes: {key, title, curves: [{name, points: [[x, y], …]}, …] (at most two),
 * reference: {y, name} of a line to compare with, or null, y_limits: [low, high] of the vertical axis, or null for those
 * of the values, others: curves of other runs, {name, points, style, isGrowing}, isGrowing: whether the run still trains},
 * and the options of the visitor: {isSmooth, isLogarithmic}.
 */
export function makeChart() {
  const title = h("h3", {});
  const plot = svg("svg", { viewBox: `0 0 ${FIRST_WIDTH} ${HEIGHT}`, class: "chart", role: "img", tabindex: 0 });
  const legend = h("div", { class: "legend", "aria-live": "polite" });
  const element = h("div", { class: "chart-box" }, title, plot, legend);
  let help = null;
  let [content, options, scales, width] = [null, {}, null, FIRST_WIDTH];
  let chosenImages = null; // where the visitor reads values

  const styledCurves = () => [
    ...content.curves.map((curve, i) => ({ ...curve, style: `series-${i + 1}`, isGrowing: content.isGrowing })),
    ...(content.others || []),
  ];

  /** Return where any curve has a point, those of other runs too, which may be longer: ascending numbers of images. */
  const allImages = () => [...new Set(styledCurves().flatMap(({ points }) => imagesOf(points)))].sort((a, b) => a - b);

  /** Show the values where the visitor points, or the last ones. */
  function showValues() {
    plot.querySelector(".cursor")?.remove();
    const xs = allImages();
    const at = chosenImages === null ? null : xs[nearestIndex(xs, chosenImages)];
    const spans = styledCurves().map((curve) =>
      h("span", { class: curve.style }, h("i"), `${translateText(curve.name)} ${valueText(curve, at)}`),
    );
    if (at !== null) {
      const x = scales.toX(at);
      plot.append(svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor" }));
      spans.push(h("span", {}, t("imagesSeen", Math.round(at).toLocaleString())));
    }
    legend.replaceChildren(...spans.flatMap((span) => [span, " "]));
  }

  function update(newContent, newOptions) {
    [content, options] = [newContent, newOptions];
    draw();
  }

  function draw() {
    const { isSmooth, isLogarithmic } = options;
    const isPositive = content.curves.some(({ points }) => points.some(([, y]) => y > 0));
    scales = makeScales(content, isLogarithmic && isPositive, width);
    if (!element.contains(help) && TITLES[content.key]) {
      help = makeHelp(content.key);
      element.append(help);
    }
    title.textContent = TITLES[content.key] ? t(TITLES[content.key], translateText(content.title)) : translateText(content.title);
    const names = content.curves.map(({ name, points }) => `${translateText(name)} ${points.at(-1)[1].toFixed(3)}`);
    const { reference } = content;
    const label = [`${title.textContent}: ${names.join(", ")}`, ...(reference ? [translateText(reference.name)] : [])];
    plot.setAttribute("aria-label", label.join("; "));
    plot.replaceChildren();
    drawAxes(plot, scales, t("imagesAxis"));
    if (reference && scales.isInside(reference.y)) {
      const y = scales.toY(reference.y);
      const isBelow = y < TOP + LINE_HEIGHT; // above the line there is no room for its name
      plot.append(svg("line", { x1: LEFT, x2: scales.end, y1: y, y2: y, class: "midline" }));
      const place = { x: scales.end, y: isBelow ? y + LINE_HEIGHT : y - 4, "text-anchor": "end" };
      plot.append(svg("text", place, translateText(reference.name)));
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
    choose(scales.toImages(((event.clientX - box.left) / box.width) * width));
  });
  plot.addEventListener("pointerleave", () => choose(null));
  plot.addEventListener("blur", () => choose(null));
  plot.addEventListener("keydown", (event) => {
    const steps = KEY_STEPS[event.key];
    if (steps === undefined) return;
    event.preventDefault();
    const xs = allImages();
    const current = chosenImages === null ? xs.length - 1 : nearestIndex(xs, chosenImages);
    choose(xs[Math.max(0, Math.min(xs.length - 1, current + steps))]);
  });
  // A pixel of the chart is one of the screen, so that its texts are as large on a phone.
  new ResizeObserver(([{ contentRect }]) => {
    const newWidth = Math.round(contentRect.width);
    if (!newWidth || newWidth === width) return;
    width = newWidth;
    plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    draw();
  }).observe(plot);
  return { element, update };
}
