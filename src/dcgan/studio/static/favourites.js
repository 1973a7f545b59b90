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

/** Return whether the model can draw a favourite; the name may have been another model's, of other classes. */
function fits({ z, label = 0, mix }, { z_dim: zDim, classes }) {
  const isClass = (value) => Number.isInteger(value) && value >= 0 && value < classes.length;
  const isMix = mix && isClass(mix.label) && mix.share >= 0 && mix.share <= 1;
  return z.length === zDim && z.every(Number.isFinite) && (!classes.length || isClass(label)) && (!mix || isMix);
}

/** Return what is stored of a model: [{z, label, mix}, …], without what does not fit it. */
function read(name, generator) {
  try {
    const stored = JSON.parse(localStorage.getItem(keyOf(name)) || "[]");
    return stored.filter((favourite) => fits(favourite, generator)).slice(0, MAX_FAVOURITES);
  } catch {
    return []; // nothing that could be read
  }
}

/** Store favourites and return whether that was possible: otherwise they last until the page is left. */
function write(name, favourites) {
  try {
    localStorage.setItem(keyOf(name), JSON.stringify(favourites));
    return true;
  } catch {
    return false;
  }
}

/** Let the favourites of a run follow it to its new name. They replace what an earlier run of that name has left. */
export function moveFavourites(name, newName) {
  try {
    const stored = localStorage.getItem(keyOf(name));
    if (stored === null) localStorage.removeItem(keyOf(newName));
    else localStorage.setItem(keyOf(newName), stored);
    localStorage.removeItem(keyOf(name));
  } catch {
    // the browser stores nothing
  }
}

/** Forget the favourites of a run that is deleted: the next run of this name has none. */
export function forgetFavourites(name) {
  try {
    localStorage.removeItem(keyOf(name));
  } catch {
    // the browser stores nothing
  }
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Make the panel. `shown` returns what the play page shows. A favourite of a mixed class keeps its mix. */
export function makeFavourites(name, engine, shown) {
  const { classes } = engine.generator;
  let [favourites, isStored] = [read(name, engine.generator), true];
  let [listed, images, number] = [[], [], 0]; // what the list shows; one that is drawn after another change is not shown
  const list = h("ul", { class: "favourites" });
  const status = h("p", { role: "status", class: "quiet" });
  const labels = () => (classes.length ? listed.map(({ label }) => label ?? 0) : null);
  const latents = () => listed.map(({ z }) => Float32Array.from(z));

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

  const fail = (error) => status.replaceChildren(...withServerTexts("failed", error.message));

  async function show() {
    const [own, all] = [++number, favourites];
    try {
      const drawn = all.length ? await drawAll(all) : [];
      if (own !== number) return;
      [listed, images] = [all, drawn];
    } catch (error) {
      return void (own === number && fail(error));
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
    const favourite = listed[i];
    remove.addEventListener("click", () => {
      remove.disabled = true; // until the list is drawn again: a second click would remove one that is the same
      const current = latest();
      const place = current.findIndex((other) => isSame(other, favourite));
      change(current.filter((_, k) => k !== place));
      keepButton.focus(); // the button that had the focus is gone
    });
    return h("li", {}, canvas, remove);
  }

  /** Return the favourites as they are now: a page in another tab may have changed them. */
  const latest = () => (isStored ? read(name, engine.generator) : favourites);

  function change(newFavourites) {
    favourites = newFavourites;
    isStored = write(name, favourites);
    return show();
  }

  function keep() {
    const [chosen, current] = [shown.getChosen(), latest()];
    if (current.length + chosen.length > MAX_FAVOURITES) return void (status.textContent = t("keepFull", current.length));
    const [z, ownLabels, mix] = [shown.getLatents(), shown.getLabels(), shown.getMix()];
    const round = (value) => Number(value.toFixed(DECIMALS));
    change([...current, ...chosen.map((i) => ({ z: Array.from(z[i], round), label: ownLabels?.[i], mix: mix ?? undefined }))]);
  }

  /** Save the walk through all favourites and back; each frame has the class of the favourite before it. */
  async function saveWalk() {
    const path = walkLatents(latents(), FRAMES_PER_STOP);
    const frames = path.map((z, i) => ({ ...listed[Math.floor(i / FRAMES_PER_STOP)], z }));
    try {
      downloadFile(toGif(await drawAll(frames)), "favourites.gif");
    } catch (error) {
      fail(error);
    }
  }

  const makeButton = (text, onclick) => h("button", { type: "button", onclick }, t(text));
  const keepButton = makeButton("keepChosen", keep);
  const gifButton = makeButton("saveGif", saveWalk);
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
