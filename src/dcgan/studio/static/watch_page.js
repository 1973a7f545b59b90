// The page Watch: a run while it trains, with its grids, curves, problems, metrics, speed and time left.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { apiUrl } from "./api.js";
import { chart } from "./chart.js";
import { pickRun } from "./picker.js";
import { makeDescriptionList, makeProgressList, makeRunControls } from "./run_view.js";

const RETRY_DELAY_MS = 1500;
const POSITION_NAMES = ["step", "images_seen"]; // numbers of an event that are no metrics

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const column = (run, name) => run.lines.map((line) => line[name]);

/** Make the chart of the discriminator's scores, for what the scores of the run's objective mean. */
function makeScoreChart(run) {
  const [x, real, fake] = ["images_seen", "d_real", "d_fake"].map((name) => column(run, name));
  const probability = { low: 0, high: 1, hasMidline: true };
  if (run.scores === "relative") {
    const winProbabilities = real.map((value, i) => sigmoid(value - fake[i]));
    return chart(x, [["σ(D(x) − D(G(z)))", winProbabilities]], { ...probability, title: t("scoresOf") });
  }
  const limits = run.scores === "probability" ? probability : {};
  return chart(x, [["D(x)", real], ["D(G(z))", fake]], { ...limits, title: t("scoresOf") });
}

function makeLossChart(run) {
  const series = [["Loss_D", column(run, "loss_d")], ["Loss_G", column(run, "loss_g")]];
  return chart(column(run, "images_seen"), series, { title: t("losses") });
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

function makeMetricList(run) {
  const event = run.events.filter((event) => event.event === "measured").at(-1);
  if (!event) return [];
  const isMetric = ([name, value]) => typeof value === "number" && !POSITION_NAMES.includes(name);
  const pairs = Object.entries(event).filter(isMetric).map(([name, value]) => [name, value.toPrecision(4)]);
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
    if (!name) return;
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
  return { panel: h("div", { class: "panel" }, image, sliderRow), update };
}

/** Call `onRun` with the run, now and after every change; return a function that ends it. */
function subscribe(runName, onRun, onError) {
  let [source, timer] = [null, 0];
  function connect() {
    source = new EventSource(apiUrl(`runs/${runName}/events`));
    source.onmessage = (event) => onRun(JSON.parse(event.data));
    source.onerror = () => {
      onError();
      // The browser connects again by itself, but not after a refusal: a run that has just been started has no folder.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, RETRY_DELAY_MS);
    };
  }
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

export async function watchPage(root, { name: requestedName }) {
  const picker = await pickRun(root, "watch", requestedName);
  if (!picker) return undefined;
  const grid = makeGridPanel(root, picker.name);
  const [progress, controls] = [h("div", { "aria-live": "off" }), h("div", { class: "row" })];
  const [curves, events] = [h("div"), h("div", { role: "status" })];
  let lastEvents = "";

  function update(run) {
    grid.update(run.samples);
    const badge = h("span", { class: `badge ${run.state}` }, t(run.state));
    progress.replaceChildren(badge, run.problem ? h("p", { class: "bad" }, run.problem) : makeProgressList(run));
    const hasCurves = run.lines.length > 1;
    const charts = hasCurves ? [makeLossChart(run), makeScoreChart(run)] : [h("p", { class: "quiet" }, t("noLines"))];
    curves.replaceChildren(...charts);
    // A screen reader reads these again when they are replaced, and the visitor may be typing there.
    const newEvents = JSON.stringify([run.events, run.state]);
    if (newEvents !== lastEvents) {
      events.replaceChildren(h("h3", {}, t("health")), makeHealthList(run), ...makeMetricList(run));
      controls.replaceChildren(...makeRunControls(run, () => {}));
      lastEvents = newEvents;
    }
    root.dataset.state = run.state;
  }

  const makePanel = (...children) => h("div", { class: "panel" }, ...children);
  root.replaceChildren(
    h("h2", {}, t("watch")),
    picker.element,
    h(
      "div",
      { class: "watch" },
      h("div", {}, grid.panel, makePanel(progress, controls)),
      h("div", {}, makePanel(curves), makePanel(events)),
    ),
  );
  return subscribe(picker.name, update, () => (root.dataset.state = "unreachable"));
}
