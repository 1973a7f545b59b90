// The panel with samples of a run's model, each above the training picture that is nearest to it.

import { paint } from "./web/files.js";
import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson, imageFromBytes } from "./api.js";
import { makeHelp } from "./help.js";
import { serverText } from "./server_texts.js";

function makePair({ shape, samples, nearest, distances }, i) {
  const text = t("nearestPair", i + 1, distances[i]);
  const canvases = [h("canvas", { role: "img", "aria-label": text }), h("canvas", { "aria-hidden": "true" })];
  [samples, nearest].forEach((pictures, k) => paint(canvases[k], imageFromBytes(pictures[i], 0, shape)));
  return h("li", {}, ...canvases, h("span", { "aria-hidden": "true" }, distances[i].toFixed(1)));
}

/** Make the panel, which asks the server only when the visitor wants to see it: all training pictures are compared. */
export function makeNearestPanel(runName) {
  const status = h("p", { role: "status", class: "quiet" }, t("nearestHow"));
  const list = h("ul", { class: "pairs" });
  let seed = 0;

  async function show() {
    status.textContent = t("searching");
    button.disabled = true;
    try {
      const pairs = await getJson(`models/${runName}/nearest`, `?seed=${seed++}`);
      list.replaceChildren(...pairs.samples.map((_, i) => makePair(pairs, i)));
      [status.className, status.textContent] = ["quiet", t("nearestHow")];
    } catch (error) {
      status.className = "bad";
      status.replaceChildren(serverText(error.message));
    }
    button.disabled = false;
  }

  const button = h("button", { type: "button", onclick: show }, t("nearestShow"));
  return { element: h("div", { class: "panel" }, h("h3", {}, t("nearestTitle")), status, button, list, makeHelp("copies")) };
}
