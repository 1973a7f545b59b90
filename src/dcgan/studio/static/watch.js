// A run while it trains: the grid as it changes, curves, what went wrong, speed and time left.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { address } from "./api.js";
import { chart } from "./chart.js";
import { pickRun } from "./picker.js";
import { controls, figures } from "./runs.js";

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The curves of scores, by what the objective's scores are. */
function scores(run) {
  const x = run.lines.map((line) => line.images_seen);
  const real = run.lines.map((line) => line.d_real);
  const fake = run.lines.map((line) => line.d_fake);
  if (run.scores === "relative") {
    const wins = real.map((value, i) => sigmoid(value - fake[i]));
    return chart(x, [["σ(D(x) − D(G(z)))", wins]], { low: 0, high: 1, half: true, title: t("scoresOf") });
  }
  const about = run.scores === "probability" ? { low: 0, high: 1, half: true } : {};
  return chart(x, [["D(x)", real], ["D(G(z))", fake]], { ...about, title: t("scoresOf") });
}

function losses(run) {
  const x = run.lines.map((line) => line.images_seen);
  const of = (name) => run.lines.map((line) => line[name]);
  return chart(x, [["Loss_D", of("loss_d")], ["Loss_G", of("loss_g")]], { title: t("losses") });
}

function health(run) {
  const said = run.events.filter((event) => event.event === "health");
  if (!said.length) return [h("p", { class: "quiet" }, t("healthy"))];
  const words = (event) => [event.diagnosis, event.evidence, event.advice && t("advice", event.advice)].filter(Boolean).join(": ");
  return [h("ul", { class: "health" }, ...said.map((event) => h("li", {}, `${t("step")} ${event.step.toLocaleString()}: ${words(event)}`)))];
}

function metrics(run) {
  const last = run.events.filter((event) => event.event === "measured").at(-1);
  if (!last) return [];
  const numbers = Object.entries(last).filter(([name, value]) => typeof value === "number" && !["step", "images_seen"].includes(name));
  return [h("h3", {}, t("metrics")), h("dl", {}, ...numbers.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value.toPrecision(4))]))];
}

export async function watchPage(root, { run: wanted }) {
  const picked = await pickRun(root, "watch", wanted);
  if (!picked) return undefined;
  const image = h("img", { class: "grid", alt: t("gridOf", picked.run) });
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": t("back") });
  const when = h("output", {});
  const [state, curves, told, buttons] = [h("div", { "aria-live": "off" }), h("div"), h("div", { role: "status" }), h("div", { class: "row" })];
  let [grids, follows, was] = [[], true, ""];

  function shown() {
    const name = grids[Number(slider.value)];
    if (!name) return;
    image.src = address(`runs/${picked.run}/samples/${name}`);
    root.dataset.grid = name;
    when.textContent = t("imagesSeen", Number(name.slice(0, -4)).toLocaleString());
    slider.setAttribute("aria-valuetext", when.textContent);
  }
  slider.addEventListener("input", () => {
    follows = Number(slider.value) === grids.length - 1;
    shown();
  });

  function update(run) {
    grids = run.samples;
    slider.max = Math.max(0, grids.length - 1);
    if (follows) slider.value = slider.max;
    shown();
    state.replaceChildren(h("span", { class: `badge ${run.state}` }, t(run.state)), run.problem ? h("p", { class: "bad" }, run.problem) : figures(run));
    curves.replaceChildren(...(run.lines.length > 1 ? [losses(run), scores(run)] : [h("p", { class: "quiet" }, t("noLines"))]));
    const words = JSON.stringify(run.events);
    if (was !== words + run.state) {
      told.replaceChildren(h("h3", {}, t("health")), ...health(run), ...metrics(run));
      buttons.replaceChildren(...controls(run, () => {}));
      was = words + run.state;
    }
    root.dataset.state = run.state;
  }

  root.replaceChildren(
    h("h2", {}, t("watch")),
    picked.head,
    h("div", { class: "watch" },
      h("div", {}, h("div", { class: "panel" }, image, h("label", { class: "slider" }, h("span", {}, t("back")), slider, when)), h("div", { class: "panel" }, state, buttons)),
      h("div", {}, h("div", { class: "panel" }, curves), h("div", { class: "panel" }, told))),
  );
  let [source, timer] = [null, 0];
  function listen() {
    source = new EventSource(address(`runs/${picked.run}/events`));
    source.onmessage = (event) => update(JSON.parse(event.data));
    source.onerror = () => {
      root.dataset.state = "unreachable";
      // The browser asks again by itself, but not after a refusal: a run that was just started has no folder yet.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(listen, 1500);
    };
  }
  listen();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
