// The page Watch: a run while it trains, with its grids, curves, problems, metrics, speed and time left.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { apiUrl, RefusedError } from "./api.js";
import { makeChart } from "./chart.js";
import { makeManageForm } from "./manage_view.js";
import { pickRun } from "./picker.js";
import { poll } from "./polling.js";
import { makeBadge, makeDescriptionList, makeFailure, makeProgress, makeRunControls } from "./run_view.js";

const REFRESH_INTERVAL_MS = 1000;
const NOT_FOUND = 404;
const POSITION_NAMES = ["step", "images_seen"]; // numbers of an event that are no metrics

/** Make the panel of the curves, with what the visitor chooses of how they are drawn. */
function makeCurves() {
  const [charts, options, list] = [new Map(), { isSmooth: false, isLogarithmic: false }, h("div", {})];
  let shown = [];

  function draw() {
    const drawable = shown.filter(({ curves }) => curves.every(({ points }) => points.length > 1));
    const elements = drawable.map((content) => {
      if (!charts.has(content.key)) charts.set(content.key, makeChart());
      charts.get(content.key).update(content, options);
      return charts.get(content.key).element;
    });
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
  const update = (newCharts) => {
    shown = newCharts;
    draw();
  };
  return { element: h("div", {}, controls, list), update };
}

function makeHealthList(run) {
  const events = run.events.filter((event) => event.event === "health");
  if (!events.length) return h("p", { class: "quiet" }, t("healthy"));
  const makeItem = ({ step, diagnosis, evidence, advice }) => {
    const text = [diagnosis, evidence, advice && t("advice", advice)].filter(Boolean).join(": ");
    return h("li", {}, `${t("step")} ${step.toLocaleString()}: ${text}`);
  };
  return h("ul", { class: "health" }, ...events.map(makeItem));
}

const formatMetric = (value) => (Number.isInteger(value) ? value.toLocaleString() : String(Number(value.toPrecision(4))));

function makeMetricList(run) {
  const event = run.events.filter((event) => event.event === "measured").at(-1);
  if (!event) return [];
  const isMetric = ([name, value]) => typeof value === "number" && !POSITION_NAMES.includes(name);
  const pairs = Object.entries(event).filter(isMetric).map(([name, value]) => [name, formatMetric(value)]);
  return [h("h3", {}, t("metrics")), makeDescriptionList(pairs)];
}

/** Make the panel with the latest grid of a run, and a slider that goes back to earlier ones. */
function makeGridPanel(root, runName) {
  const image = h("img", { class: "grid", alt: t("gridOf", runName) });
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": t("back") });
  const imagesSeen = h("output", {});
  let [grids, isAtEnd] = [[], true];

  function showGrid() {
    const name = grids[Number(slider.value)];
    panel.hidden = !name;
    if (!name || name === root.dataset.grid) return;
    image.src = apiUrl(`runs/${runName}/samples/${name}`);
    root.dataset.grid = name;
    imagesSeen.textContent = t("imagesSeen", Number(name.replace(".png", "")).toLocaleString());
    slider.setAttribute("aria-valuetext", imagesSeen.textContent);
  }

  /** Show another list of grids: the last one, unless the visitor looks at an earlier one. */
  function update(newGrids) {
    grids = newGrids;
    slider.max = Math.max(0, grids.length - 1);
    if (isAtEnd) slider.value = slider.max;
    showGrid();
  }

  slider.addEventListener("input", () => {
    isAtEnd = Number(slider.value) === grids.length - 1;
    showGrid();
  });
  const sliderRow = h("label", { class: "slider" }, h("span", {}, t("back")), slider, imagesSeen);
  const panel = h("div", { class: "panel", hidden: true }, image, sliderRow);
  return { panel, update };
}

/** Make the panels of a run; `update` shows the run as it is now. */
function makeRunPanels(root, runName, refresh) {
  const grid = makeGridPanel(root, runName);
  const [failure, progress] = [h("div", { role: "alert" }), h("div", { "aria-live": "off" })];
  const controls = makeRunControls(refresh);
  const note = h("p", { class: "note" });
  const manage = makeManageForm(runName, {
    onRenamed: (newName) => (location.hash = `#/watch/${encodeURIComponent(newName)}`),
    onDeleted: () => (location.hash = "#/runs"),
  });
  const [curves, events] = [makeCurves(), h("div", { role: "status" })];
  let [lastEvents, lastFailure] = ["", ""];

  function update(run) {
    grid.update(run.samples);
    progress.replaceChildren(makeBadge(run), makeProgress(run));
    controls.update(run);
    note.textContent = run.note || "";
    note.hidden = !run.note;
    manage.update(run);
    manage.element.hidden = run.state === "failed";
    curves.update(run.charts);
    // A screen reader reads these again when they are replaced.
    if ((run.failure || "") !== lastFailure) {
      lastFailure = run.failure || "";
      // Without its failure, a training that has no run is nothing that this page could show.
      const onDismiss = run.state === "failed" ? () => (location.hash = "#/runs") : refresh;
      failure.replaceChildren(...(lastFailure ? [makeFailure(run.name, lastFailure, onDismiss)] : []));
    }
    const newEvents = JSON.stringify(run.events);
    if (newEvents !== lastEvents) {
      lastEvents = newEvents;
      events.replaceChildren(h("h3", {}, t("health")), makeHealthList(run), ...makeMetricList(run));
    }
    right.hidden = run.state === "failed"; // there is no run that could have curves or problems
    root.dataset.state = run.state;
  }

  const makePanel = (...children) => h("div", { class: "panel" }, ...children);
  const left = h("div", {}, failure, makePanel(progress, note, controls.element, manage.element), grid.panel);
  const right = h("div", {}, makePanel(curves.element), makePanel(events));
  return { element: h("div", { class: "watch" }, left, right), update };
}

export async function watchPage(root, { name: requestedName, signal }) {
  const picker = await pickRun(root, "watch", requestedName, signal);
  if (!picker || signal.aborted) return;
  let refresh = () => {};
  const panels = makeRunPanels(root, picker.name, () => refresh());
  const notice = h("div", { role: "alert" });
  panels.element.hidden = true;

  function onContent(run) {
    panels.element.hidden = false;
    panels.update(run);
  }

  /** Say what is wrong. A run that is gone does not come back: the asking ends. */
  function onError(error) {
    const isGone = error instanceof RefusedError && error.status === NOT_FOUND;
    if (!error) return void notice.replaceChildren();
    const text = isGone ? t("gone", picker.name) : t("unreachable", error.message);
    notice.replaceChildren(h("p", { class: "bad" }, text, " ", h("a", { href: "#/runs" }, t("runs"))));
    root.dataset.state = isGone ? "gone" : "unreachable";
    if (isGone) panels.element.remove(); // it would show what is no longer so
    return isGone;
  }

  root.replaceChildren(h("h2", {}, t("watch")), picker.element, notice, panels.element);
  refresh = poll(`runs/${picker.name}`, { intervalMs: REFRESH_INTERVAL_MS, signal, onContent, onError });
}
