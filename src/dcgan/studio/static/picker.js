// The heading of a page, and the choice of what it shows: the run or model in the address, or else the newest that fits.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson } from "./api.js";

/** Which choice had the focus when the visitor chose: the page that is opened by it gives it the focus again. */
let focusedChoice = "";

/** Remember which choice has the focus. Returns whether one has. */
export function rememberFocus() {
  focusedChoice = document.activeElement?.dataset.choice || "";
  return focusedChoice !== "";
}

/** Give the choice in a new page the focus that it had before, unless the visitor has gone on to something else. */
export function restoreFocus(root) {
  const select = root.querySelector(`[data-choice="${focusedChoice}"]`);
  if (select && document.activeElement === document.body) select.focus();
  focusedChoice = "";
}

/**
 * Show the heading of a page, and the choice of the run to show. Returns the run's name, all names, and `show`, which
 * shows the page below the choice; null if there is no run, and the page says so.
 */
export async function pickRun(root, page, address) {
  const { runs, models } = await listNames(address);
  const name = models.shipped.includes(address.name) ? "" : address.name;
  return makePicker(root, page, name, { runs });
}

/** Do the same for a model: a run's model, or one that comes with the package. */
export async function pickModel(root, page, address) {
  const { models } = await listNames(address);
  return makePicker(root, page, address.name, models);
}

/**
 * Return the names of all runs, and of all models: {runs, models: {runs, shipped}}. If nothing has the name in the
 * address, the links to the other pages forget it.
 */
export async function listNames({ name, signal, forgetName }) {
  const { runs, shipped, failed } = await getJson("runs", "", signal);
  const isWhole = (run) => run.state !== "broken";
  const toNames = (some) => some.map((run) => run.name);
  if (name && ![...toNames(runs), ...shipped, ...Object.keys(failed)].includes(name)) forgetName();
  return { runs: toNames(runs.filter(isWhole)), models: { runs: toNames(runs.filter((run) => isWhole(run) && run.has_model)), shipped } };
}

function makePicker(root, page, requestedName, groups) {
  const names = Object.values(groups).flat();
  const heading = h("h2", {}, t(page));
  if (!names.length && !requestedName) {
    root.replaceChildren(heading, h("p", {}, t("noRuns"), " ", h("a", { href: "#/runs" }, t("runs"))));
    return null;
  }
  const name = requestedName || names[0];
  const select = makeSelect(groups, name, "shown");
  select.addEventListener("change", () => (location.hash = `#/${page}/${encodeURIComponent(select.value)}`));
  const label = h("span", {}, t("shipped" in groups ? "model" : "run"));
  const element = h("div", { class: "row picker" }, h("label", { class: "field" }, label, select));
  root.replaceChildren(heading, element, h("p", { role: "status" }, t("loading")));
  restoreFocus(root);
  /** Show elements below the choice, which stays with the focus that it may have. */
  function show(...children) {
    while (element.nextSibling) element.nextSibling.remove();
    root.append(...children);
  }
  return { name, names, show };
}

/**
 * Make a choice of names; `place` tells it from the other ones of the page. A name that is in no group is selected, but
 * cannot be chosen: the page says what became of it.
 */
export function makeSelect(groups, selectedName, place) {
  const isKnown = Object.values(groups).flat().includes(selectedName);
  const lost = isKnown ? [] : [h("option", { value: selectedName, selected: true, disabled: true }, selectedName)];
  const makeOption = (name) => h("option", { value: name, selected: name === selectedName }, name);
  const makeGroup = ([title, names]) => h("optgroup", { label: t(title) }, ...names.map(makeOption));
  return h("select", { "data-choice": place }, ...lost, ...Object.entries(groups).filter(([, names]) => names.length).map(makeGroup));
}
