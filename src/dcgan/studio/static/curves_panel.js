// The panel of a run's curves: smoothing, a logarithmic axis, and other runs drawn over it.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson } from "./api.js";
import { makeChart } from "./chart.js";
import { translateText } from "./server_texts.js";

const MAX_OTHERS = 3;

/** Return the curves of other runs for a chart of this key, each with the style of its run. */
function otherCurves(others, key) {
  return others.flatMap(({ name, charts }, i) => {
    const chart = charts.find((chart) => chart.key === key);
    const drawable = chart ? chart.curves.filter(({ points }) => points.length) : [];
    return drawable.map((curve, k) => ({ ...curve, name: `${name}: ${translateText(curve.name)}`, style: `other-${i + 1}${k ? " dashed" : ""}` }));
  });
}

/** Make the choice of other runs. `onChange` gets what the server says of each chosen one, with the list of names. */
function makeOverlay(runName, names, chosenNames, signal, onChange) {
  const chosen = new Set(chosenNames.filter((name) => names.includes(name) && name !== runName).slice(0, MAX_OTHERS));
  const boxes = new Map();

  async function load() {
    const loaded = [];
    for (const name of chosen) {
      try {
        loaded.push(await getJson(`runs/${name}`, "", signal));
      } catch {
        chosen.delete(name); // it is gone
      }
    }
    if (!signal.aborted) onChange(loaded, [...chosen]);
  }

  function makeBox(name) {
    const box = h("input", { type: "checkbox", checked: chosen.has(name) });
    box.addEventListener("change", () => {
      box.checked ? chosen.add(name) : chosen.delete(name);
      for (const [other, otherBox] of boxes) otherBox.disabled = chosen.size >= MAX_OTHERS && !chosen.has(other);
      load();
    });
    boxes.set(name, box);
    return h("label", { class: "option" }, box, name);
  }

  const others = names.filter((name) => name !== runName);
  const list = h("div", { class: "row" }, ...others.map(makeBox));
  if (chosen.size) load();
  const element = h("details", { open: chosen.size > 0, hidden: !others.length }, h("summary", {}, t("overlay", MAX_OTHERS)), list);
  return element;
}

/**
 * Make the panel. names: of all runs; chosenNames: those that are drawn over it at first; `onChosen` gets the names
 * whenever they change.
 */
export function makeCurves(runName, { names, chosenNames, onChosen, signal }) {
  const [charts, options, list] = [new Map(), { isSmooth: false, isLogarithmic: false }, h("div", {})];
  let [shown, others] = [[], []];

  function draw() {
    const drawable = shown.filter(({ curves }) => curves.every(({ points }) => points.length));
    const elements = drawable.map((content) => {
      if (!charts.has(content.key)) charts.set(content.key, makeChart());
      charts.get(content.key).update({ ...content, others: otherCurves(others, content.key) }, options);
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
  const overlay = makeOverlay(runName, names, chosenNames, signal, (loaded, loadedNames) => {
    others = loaded;
    onChosen(loadedNames);
    draw();
  });
  return { element: h("div", {}, controls, overlay, list), update };
}
