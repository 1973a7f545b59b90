// The choice of the run or model that a page shows: the one in the address, or else the newest one that fits.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson } from "./api.js";

/**
 * Return the name of the run to show, and the element with which the visitor changes it.
 *
 * Returns null if there is no run; the page then says so.
 */
export async function pickRun(root, page, requestedName, signal) {
  const { runs, shipped } = await getJson("runs", "", signal);
  const names = runs.filter((run) => run.state !== "broken").map((run) => run.name);
  return makePicker(root, page, shipped.includes(requestedName) ? "" : requestedName, { runs: names });
}

/** Return the same for a model: a run's model, or one that comes with the package. */
export async function pickModel(root, page, requestedName, signal) {
  return makePicker(root, page, requestedName, await listModels(signal));
}

/** Return the names of all models: {runs, shipped}. */
export async function listModels(signal) {
  const { runs, shipped } = await getJson("runs", "", signal);
  return { runs: runs.filter((run) => run.state !== "broken" && run.has_model).map((run) => run.name), shipped };
}

function makePicker(root, page, requestedName, groups) {
  // A name that is in no list is selected too: the page then says what became of it.
  if (requestedName && !Object.values(groups).flat().includes(requestedName)) groups.runs.unshift(requestedName);
  const names = Object.values(groups).flat();
  if (!names.length) {
    root.replaceChildren(h("h2", {}, t(page)), h("p", {}, t("noRuns"), " ", h("a", { href: "#/runs" }, t("runs"))));
    return null;
  }
  const name = requestedName || names[0];
  const select = makeSelect(groups, name);
  select.addEventListener("change", () => (location.hash = `#/${page}/${encodeURIComponent(select.value)}`));
  const label = h("span", {}, t("shipped" in groups ? "model" : "run"));
  return { name, names, element: h("div", { class: "row" }, h("label", { class: "field" }, label, select)) };
}

export function makeSelect(groups, selectedName) {
  const makeOption = (name) => h("option", { value: name, selected: name === selectedName }, name);
  const makeGroup = ([title, names]) => h("optgroup", { label: t(title) }, ...names.map(makeOption));
  return h("select", {}, ...Object.entries(groups).filter(([, names]) => names.length).map(makeGroup));
}
