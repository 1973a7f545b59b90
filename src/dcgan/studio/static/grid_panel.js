// The panel with the grids of a run: a slider back through time, and the film to save.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { gridUrl } from "./api.js";
import { downloadFilm } from "./film.js";
import { makeHelp } from "./help.js";

/** Make the panel with the latest grid of a run, and a slider that goes back to earlier ones. */
export function makeGridPanel(root, runName) {
  const image = h("img", { class: "grid", alt: t("gridOf", runName) });
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": t("back") });
  const imagesSeen = h("output", {});
  let [run, isAtEnd] = [{ samples: [] }, true];

  function showGrid() {
    const name = run.samples[Number(slider.value)];
    panel.hidden = !name;
    if (!name || gridUrl(runName, run, name) === image.getAttribute("src")) return;
    image.src = gridUrl(runName, run, name);
    root.dataset.grid = name;
    imagesSeen.textContent = t("imagesSeen", Number(name.replace(".png", "")).toLocaleString());
    slider.setAttribute("aria-valuetext", imagesSeen.textContent);
  }

  /** Show the grids of a run as it is now: the last one, unless the visitor looks at an earlier one. */
  function update(newRun) {
    run = newRun;
    slider.max = Math.max(0, run.samples.length - 1);
    films.hidden = run.samples.length < 2;
    if (isAtEnd) slider.value = slider.max;
    showGrid();
  }

  slider.addEventListener("input", () => {
    isAtEnd = Number(slider.value) === run.samples.length - 1;
    showGrid();
  });
  const sliderRow = h("label", { class: "slider" }, h("span", {}, t("back")), slider, imagesSeen);
  const status = h("span", { role: "status", class: "quiet" });
  const makeFilmButton = (kind) => h("button", { type: "button", onclick: () => downloadFilm(runName, kind, status) }, t("film", kind.toUpperCase()));
  const films = h("div", { class: "row" }, makeFilmButton("gif"), makeFilmButton("mp4"), status);
  const panel = h("div", { class: "panel", hidden: true }, image, sliderRow, films, makeHelp("grid"));
  return { panel, update };
}
