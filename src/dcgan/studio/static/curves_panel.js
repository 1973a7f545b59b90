// The panel of a run's curves: smoothing, a logarithmic axis, and other runs drawn over it.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { RefusedError } from "./api.js";
import { makeChart } from "./chart.js";
import { poll } from "./polling.js";
import { translateText } from "./server_texts.js";

const MAX_OTHERS = 3;
const REFRESH_INTERVAL_MS = 2000;
const NOT_FOUND = 404;

const isGrowing = (state) => ["running", "loading"].includes(state);

/** Return whether the values of two charts of a key can be compared: distances only if they were measured alike. */
const isComparable = (key, title, otherTitle) => key !== "quality" || title === otherTitle;

/** Return the charts of a key of other runs that have curves: [{name, state, title, curves, number}, …]. */
function otherCharts(others, key) {
  const found = others.map((run, i) => ({ ...run, ...run?.charts.find((chart) => chart.key === key), name: run?.name, number: i + 1 }));
  return found.filter(({ curves = [] }) => curves.some(({ points }) => points.length));
}

/** Return the curves of other runs for a chart, each with the style of its run. */
function otherCurves(charts) {
  return charts.flatMap(({ name, state, curves, number }) =>
    curves
      .filter(({ points }) => points.length)
      .map((curve, k) => ({
        ...curve,
        name: `${name}: ${translateText(curve.name)}`,
        style: `other-${number}${k ? " dashed" : ""}`,
        isGrowing: isGrowing(state),
      })),
  );
}

/**
 * Make the choice of other runs, which are asked for again and again as long as they are chosen: they may train.
 * `onContent` gets what the server says of each chosen one, or undefined; `onChosen` gets their names.
 */
function makeOverlay(runName, names, chosenNames, { signal, onContent, onChosen }) {
  const others = names.filter((name) => name !== runName);
  const chosen = new Map(); // by name: {leave: its AbortController, run: the last answer}
  const boxes = new Map(others.map((name) => [name, h("input", { type: "checkbox" })]));
  const show = () => onContent([...chosen.values()].map(({ run }) => run));

  function follow(name) {
    const entry = { leave: new AbortController(), run: undefined };
    chosen.set(name, entry);
    poll(`runs/${name}`, {
      intervalMs: REFRESH_INTERVAL_MS,
      signal: AbortSignal.any([signal, entry.leave.signal]), // an answer about a run that is no longer chosen is too late
      onContent: (run) => {
        entry.run = run;
        show();
      },
      onError: (error) => {
        const isGone = error instanceof RefusedError && error.status === NOT_FOUND;
        if (isGone) change(name, false);
        return isGone;
      },
    });
  }

  function change(name, isChosen) {
    if (isChosen) follow(name);
    else {
      chosen.get(name).leave.abort();
      chosen.delete(name);
    }
    showChoice();
    onChosen([...chosen.keys()]);
    show();
  }

  function showChoice() {
    for (const [name, box] of boxes) {
      box.checked = chosen.has(name);
      box.disabled = chosen.size >= MAX_OTHERS && !box.checked;
    }
  }

  for (const name of new Set(chosenNames.filter((name) => boxes.has(name)))) if (chosen.size < MAX_OTHERS) follow(name);
  showChoice();
  for (const [name, box] of boxes) box.addEventListener("change", () => change(name, box.checked));
  const labels = [...boxes].map(([name, box]) => h("label", { class: "option" }, box, name));
  const list = h("div", { class: "row" }, ...labels);
  return h("details", { open: chosen.size > 0, hidden: !others.length }, h("summary", {}, t("overlay", MAX_OTHERS)), list);
}

/**
 * Make the panel. names: of all runs; chosenNames: those that are drawn over it at first; `onChosen` gets the names
 * whenever they change. `update` takes the run as it is now.
 */
export function makeCurves(runName, { names, chosenNames, onChosen, signal }) {
  const [charts, options, list] = [new Map(), { isSmooth: false, isLogarithmic: false }, h("div", {})];
  let [shown, others] = [{ charts: [] }, []];

  /** Return a chart with the curves of the other runs, and a line that says which of them it leaves out. */
  function drawChart(content) {
    const { key, title } = content;
    if (!charts.has(key)) charts.set(key, { chart: makeChart(), note: h("p", { class: "quiet" }) });
    const { chart, note } = charts.get(key);
    const found = otherCharts(others, key);
    const [kept, leftOut] = [true, false].map((kind) => found.filter((other) => isComparable(key, title, other.title) === kind));
    const describe = ({ name, title: otherTitle }) => `${name}: ${translateText(otherTitle)}`;
    note.textContent = leftOut.length ? t("otherMeasure", leftOut.map(describe).join("; ")) : "";
    note.hidden = !leftOut.length;
    chart.update({ ...content, isGrowing: isGrowing(shown.state), others: otherCurves(kept) }, options);
    return [chart.element, note];
  }

  function draw() {
    const drawable = shown.charts.filter(({ curves }) => curves.every(({ points }) => points.length));
    const elements = drawable.flatMap(drawChart);
    controls.hidden = !elements.length;
    if (!elements.length) return list.replaceChildren(h("p", { class: "quiet" }, t("noLines")));
    // A chart that is there stays, with the focus that it may have.
    if (elements.some((element, i) => list.children[i] !== element)) list.replaceChildren(...elements);
  }

  function makeOption(name, text) {
    const onchange = (event) => {
      options[name] = event.currentTarget.checked;
      draw();
    };
    return h("label", { class: "option" }, h("input", { type: "checkbox", onchange }), t(text));
  }

  const controls = h("div", { class: "row" }, makeOption("isSmooth", "smooth"), makeOption("isLogarithmic", "logScale"));
  function update(run) {
    shown = run;
    draw();
  }

  function onContent(runs) {
    others = runs;
    draw();
  }

  const overlay = makeOverlay(runName, names, chosenNames, { signal, onContent, onChosen });
  return { element: h("div", {}, controls, overlay, list), update };
}
