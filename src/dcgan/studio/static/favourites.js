// The visitor's favourite samples of a model, with their latents. They stay in this browser.

import { downloadFile, paint, toGif, toNpz, toPng } from "./web/files.js";
import { walkLatents } from "./web/latents.js";
import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { withServerTexts } from "./server_texts.js";

const MAX_FAVOURITES = 64; // pictures in one request
const FRAMES_PER_STOP = 12;
const DECIMALS = 4; // as in the requests: what is kept is what was drawn

const keyOf = (name) => `dcgan.favourites.${name}`;

/** Return what is stored of a model: [{z, label}, …], without what does not fit it. */
function read(name, zDim) {
  try {
    const stored = JSON.parse(localStorage.getItem(keyOf(name)) || "[]");
    return stored.filter(({ z }) => z.length === zDim && z.every(Number.isFinite)).slice(0, MAX_FAVOURITES);
  } catch {
    return []; // nothing that could be read
  }
}

function write(name, favourites) {
  try {
    localStorage.setItem(keyOf(name), JSON.stringify(favourites));
  } catch {
    // not stored: they last until the page is left
  }
}

/** Make the panel. `shown` returns what the play page shows. A favourite of a mixed class keeps its mix. */
export function makeFavourites(name, engine, shown) {
  const { z_dim: zDim, classes } = engine.generator;
  let favourites = read(name, zDim);
  let images = [];
  const list = h("ul", { class: "favourites" });
  const status = h("p", { role: "status", class: "quiet" });
  const labels = () => (classes.length ? favourites.map(({ label }) => label ?? 0) : null);
  const latents = () => favourites.map(({ z }) => Float32Array.from(z));

  /** Draw latents, each with its own mix: those of one mix in one request. */
  async function drawAll(all) {
    const drawn = Array(all.length);
    const groups = Map.groupBy(all.keys(), (i) => JSON.stringify(all[i].mix ?? null));
    for (const [mix, members] of groups) {
      for (let i = 0; i < members.length; i += MAX_FAVOURITES) {
        const part = members.slice(i, i + MAX_FAVOURITES);
        const z = part.map((k) => all[k].z);
        const answer = await engine.drawImages(z, classes.length ? part.map((k) => all[k].label ?? 0) : null, JSON.parse(mix));
        part.forEach((k, j) => (drawn[k] = answer[j]));
      }
    }
    return drawn;
  }

  async function show() {
    try {
      images = favourites.length ? await drawAll(favourites) : [];
    } catch (error) {
      return status.replaceChildren(...withServerTexts("failed", error.message));
    }
    status.textContent = favourites.length ? "" : t("keepHow");
    list.replaceChildren(...images.map(makeItem));
    exports.hidden = !favourites.length;
    gifButton.disabled = favourites.length < 2;
  }

  function makeItem(image, i) {
    const canvas = h("canvas", { role: "img", "aria-label": t("favourite", i + 1) });
    paint(canvas, image);
    const remove = h("button", { type: "button", "aria-label": t("forget", i + 1), title: t("forget", i + 1) }, "×");
    remove.addEventListener("click", () => {
      change(favourites.filter((_, k) => k !== i));
      keepButton.focus(); // the button that had the focus is gone
    });
    return h("li", {}, canvas, remove);
  }

  function change(newFavourites) {
    favourites = newFavourites;
    write(name, favourites);
    return show();
  }

  function keep() {
    const chosen = shown.getChosen();
    if (favourites.length + chosen.length > MAX_FAVOURITES) return void (status.textContent = t("keepFull", favourites.length));
    const [z, ownLabels, mix] = [shown.getLatents(), shown.getLabels(), shown.getMix()];
    const round = (value) => Number(value.toFixed(DECIMALS));
    change([...favourites, ...chosen.map((i) => ({ z: Array.from(z[i], round), label: ownLabels?.[i], mix: mix ?? undefined }))]);
  }

  /** Return the walk through all favourites and back; each frame has the class of the favourite before it. */
  async function drawWalk() {
    const path = walkLatents(latents(), FRAMES_PER_STOP);
    return drawAll(path.map((z, i) => ({ ...favourites[Math.floor(i / FRAMES_PER_STOP)], z })));
  }

  const makeButton = (text, onclick) => h("button", { type: "button", onclick }, t(text));
  const keepButton = makeButton("keepChosen", keep);
  const gifButton = makeButton("saveGif", async () => downloadFile(toGif(await drawWalk()), "favourites.gif"));
  const exports = h(
    "div",
    { class: "row", hidden: true },
    makeButton("savePng", async () => downloadFile(await toPng(images), "favourites.png")),
    gifButton,
    makeButton("saveNpz", () => downloadFile(toNpz(images, latents(), labels()), "favourites.npz")),
  );
  const element = h("section", { class: "panel" }, h("h3", {}, t("favourites")), keepButton, status, list, exports);
  const update = () => (keepButton.disabled = !shown.getChosen().length);
  show();
  return { element, update };
}
