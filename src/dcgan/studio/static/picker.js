// Which run or model a page is about: the one in the address, else the newest that fits.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { get } from "./api.js";

/** The run to show and a select to change it; null where there is none, and the page says so. */
export async function pickRun(root, page, wanted) {
  const { runs, shipped } = await get("runs");
  const names = runs.filter((run) => run.state !== "broken").map((run) => run.name);
  return choose(root, page, shipped.includes(wanted) ? "" : wanted, { runs: names });
}

/** The same for a model: a run's, or one that comes with the package. */
export async function pickModel(root, page, wanted) {
  const { runs, shipped } = await get("runs");
  const names = runs.filter((run) => run.state !== "broken" && run.has_model).map((run) => run.name);
  return choose(root, page, wanted, { runs: names, shipped });
}

function choose(root, page, wanted, groups) {
  // a run that was just started has no folder yet
  if (wanted && !Object.values(groups).flat().includes(wanted)) groups.runs.unshift(wanted);
  const found = Object.values(groups).flat();
  if (!found.length) {
    root.replaceChildren(h("h2", {}, t(page)), h("p", {}, t("noRuns"), " ", h("a", { href: "#/runs" }, t("runs"))));
    return null;
  }
  const run = wanted || found[0];
  const option = (name) => h("option", { value: name, selected: name === run }, name);
  const filled = Object.entries(groups).filter(([, names]) => names.length);
  const select = h("select", {}, ...filled.map(([name, names]) => h("optgroup", { label: t(name) }, ...names.map(option))));
  select.addEventListener("change", () => (location.hash = `#/${page}/${encodeURIComponent(select.value)}`));
  return { run, head: h("div", { class: "row" }, h("label", { class: "field" }, h("span", {}, t("shipped" in groups ? "model" : "run")), select)) };
}
