// Style mixing: the chosen samples with the styles of each other, for a model whose layers each take a style.

import { paint } from "./web/files.js";
import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { makeHelp } from "./help.js";
import { withServerTexts } from "./server_texts.js";

const MAX_SAMPLES = 6;
const FIRST_LEVEL = 2; // from the first one on, parts of the shape change too

/** Make the panel. `shown` returns what the play page shows. */
export function makeStyles(engine, shown) {
  const lastLevel = engine.generator.style_levels - 1;
  const status = h("p", { role: "status", class: "quiet" }, t("stylesHow"));
  const table = h("div", { class: "styles" });
  const levels = Array.from({ length: lastLevel }, (_, i) => i + 1);
  const makeOption = (level) => h("option", { value: level, selected: level === Math.min(FIRST_LEVEL, lastLevel) }, level + 1);
  const select = h("select", {}, ...levels.map(makeOption));
  let number = 0; // an answer about samples that are no longer shown is not shown

  function makeCell(image, row, column, name) {
    const canvas = h("canvas", { role: "img", "aria-label": name, title: name, class: row === column ? "own" : "" });
    paint(canvas, image);
    return canvas;
  }

  async function mix() {
    const own = ++number;
    const chosen = shown.getChosen();
    const rows = chosen.slice(0, MAX_SAMPLES);
    const [z, labels] = [shown.getLatents(), shown.getLabels()];
    try {
      const images = await engine.mixStyles(rows.map((i) => z[i]), labels && rows.map((i) => labels[i]), Number(select.value));
      if (own !== number) return;
      const cells = rows.flatMap((row, i) =>
        rows.map((column, k) => makeCell(images[i * rows.length + k], row, column, t("styleOf", row + 1, column + 1))),
      );
      table.style.setProperty("--columns", rows.length);
      table.replaceChildren(...cells);
      status.textContent = chosen.length > MAX_SAMPLES ? t("firstOf", MAX_SAMPLES, chosen.length) : t("stylesHow");
    } catch (error) {
      if (own === number) status.replaceChildren(...withServerTexts("failed", error.message));
    }
  }

  let lastShown = null;
  /** Remove the mixes of other samples. */
  function update() {
    button.disabled = shown.getChosen().length < 2;
    if (shown.getImages() === lastShown) return;
    lastShown = shown.getImages();
    number += 1;
    table.replaceChildren();
  }

  select.addEventListener("change", () => table.childElementCount && mix());
  const button = h("button", { type: "button", disabled: true, onclick: mix }, t("mixChosen"));
  const controls = h("div", { class: "row" }, button, h("label", { class: "field" }, h("span", {}, t("styleFrom")), select));
  const element = h("section", { class: "panel" }, h("h3", {}, t("styles")), controls, status, table, makeHelp("styles"));
  return { element, update };
}
