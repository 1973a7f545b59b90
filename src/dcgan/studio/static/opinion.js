// What the run's discriminator thinks of the samples: the score of each, and where it looks.

import { paint, toImageData } from "./web/files.js";
import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { makeHelp } from "./help.js";
import { withServerTexts } from "./server_texts.js";

const MAX_SHOWN = 16;
const DIM = 0.45; // brightness of the picture under its map

/** Return the text of a score: a probability as a share, another score as it is. */
function scoreText(kind, score) {
  return kind === "probability" ? t("scoreReal", Math.round(100 * score)) : t("scoreRaw", score.toFixed(2));
}

/** Paint a picture in gray, and over it, in orange, how much each pixel changes the score. */
function paintMap(canvas, image, map) {
  [canvas.width, canvas.height] = [image.width, image.height];
  const pixels = toImageData(image);
  map.forEach((value, i) => {
    const [r, g, b] = pixels.data.subarray(4 * i, 4 * i + 3);
    const gray = DIM * (0.3 * r + 0.6 * g + 0.1 * b);
    const share = value / 255;
    pixels.data.set([gray + (255 - gray) * share, gray + (150 - gray) * share, gray * (1 - share), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Make the panel, for an engine whose model has a discriminator. `shown` returns what the play page shows. */
export function makeOpinion(engine, shown) {
  const list = h("ul", { class: "opinions" });
  const status = h("p", { role: "status", class: "quiet" }, t("opinionHow"));
  let number = 0; // an answer about samples that are no longer shown is not shown

  function makeItem(i, image, kind, score, map) {
    const [picture, view] = [h("canvas", { "aria-hidden": "true" }), h("canvas", { role: "img" })];
    const text = scoreText(kind, score);
    view.setAttribute("aria-label", t("opinionOf", t("sample", i + 1), text));
    paint(picture, image);
    paintMap(view, image, map);
    return h("li", {}, picture, view, h("span", {}, `${i + 1}: ${text}`));
  }

  async function ask() {
    const own = ++number;
    const chosen = shown.getChosen();
    const images = shown.getImages();
    const asked = chosen.length ? chosen : [...images.keys()];
    const rows = asked.slice(0, MAX_SHOWN);
    const [z, labels] = [shown.getLatents(), shown.getLabels()];
    try {
      const answer = await engine.scoreImages(rows.map((i) => z[i]), labels && rows.map((i) => labels[i]), shown.getMix());
      if (own !== number) return;
      const { kind, scores, maps } = answer;
      list.replaceChildren(...rows.map((i, k) => makeItem(i, images[i], kind, scores[k], maps[k])));
      status.textContent = asked.length > MAX_SHOWN ? t("firstOf", MAX_SHOWN, asked.length) : t("opinionHow");
    } catch (error) {
      if (own === number) status.replaceChildren(...withServerTexts("failed", error.message));
    }
  }

  let lastShown = null;
  /** Remove an answer about other samples. */
  function update() {
    if (shown.getImages() === lastShown) return;
    lastShown = shown.getImages();
    number += 1;
    list.replaceChildren();
  }

  const button = h("button", { type: "button", onclick: ask }, t("ask"));
  return { element: h("section", { class: "panel" }, h("h3", {}, t("opinion")), button, status, list, makeHelp("opinion")), update };
}
