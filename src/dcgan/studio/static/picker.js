// Which run a page is about: the one in the address, else the newest that fits.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { get } from "./api.js";

/** The run to show and a select to change it; null where there is none, and the page says so. */
export async function pick(root, page, wanted, fits = () => true) {
  const found = (await get("runs")).runs.filter((run) => run.state !== "broken" && fits(run)).map((run) => run.name);
  if (wanted && !found.includes(wanted)) found.unshift(wanted);
  if (!found.length) {
    root.replaceChildren(h("h2", {}, t(page)), h("p", {}, t("noRuns"), " ", h("a", { href: "#/runs" }, t("runs"))));
    return null;
  }
  const run = wanted || found[0];
  const select = h("select", {}, ...found.map((name) => h("option", { value: name, selected: name === run }, name)));
  select.addEventListener("change", () => (location.hash = `#/${page}/${encodeURIComponent(select.value)}`));
  return { run, head: h("div", { class: "row" }, h("label", { class: "field" }, h("span", {}, t("run")), select)) };
}

export const hasModel = (run) => run.has_model;
