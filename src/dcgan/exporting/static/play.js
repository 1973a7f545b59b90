// The play page: sliders that walk through a latent space. An engine draws the images: a server, or the browser itself.

import { moveLatent, walkLatents } from "./latents.js";
import { downloadFile, paint, toGif, toNpz, toPng } from "./files.js";
import { t, tNodes } from "./strings.js";

const MAX_MOVE = 3; // ends of a direction's slider, in standard deviations of z
const MAX_SLIDERS = 8;
const MAX_IMAGES = 64; // in one request
export const MAX_SEED = 2 ** 31 - 1;
const MAX_TRUNCATION = 2;
const FRAMES_PER_STOP = 12;
const FRAME_MS = 60;
const DEFAULT_STOPS = 5; // of a walk for which no samples are chosen

/** Make an element with attributes, event listeners (`onclick`) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const clampMove = (move) => Math.max(-MAX_MOVE, Math.min(MAX_MOVE, move));
const twoDecimals = (value) => value.toFixed(2);

/** Return a number in the parameters of an address; without one that is allowed, the default. */
function readNumber(params, name, [low, high], byDefault) {
  const text = params.get(name)?.trim();
  return text && Number(text) >= low && Number(text) <= high ? Number(text) : byDefault;
}

/** Return a whole number in the parameters of an address; without one that is allowed, the default. */
export function readWholeNumber(params, name, limits, byDefault) {
  const value = readNumber(params, name, limits, byDefault);
  return Number.isInteger(value) ? value : byDefault;
}

/** Return the state that the address holds: seed, n, label (or "every"), truncation (0 is off), moves, chosen. */
function parseState(params, { classes, directions }) {
  const listParam = (name) => (params.get(name) || "").split(",").filter(Boolean).map(Number);
  const moves = listParam("moves");
  return {
    seed: readWholeNumber(params, "seed", [0, MAX_SEED], 0),
    n: readWholeNumber(params, "n", [1, MAX_IMAGES], 16),
    label: readWholeNumber(params, "label", [0, classes.length - 1], "every"),
    truncation: readNumber(params, "truncation", [0, MAX_TRUNCATION], 0),
    moves: directions.slice(0, MAX_SLIDERS).map((_, k) => clampMove(moves[k] || 0)),
    mix: readWholeNumber(params, "mix", [0, classes.length - 1], ""),
    share: readNumber(params, "share", [0, 1], 0.5),
    chosen: new Set(listParam("chosen").filter((i) => Number.isInteger(i) && i >= 0 && i < MAX_IMAGES)),
  };
}

/** Return the parameters of the address from which `parseState` makes the same state. */
function stateParams(state) {
  const params = new URLSearchParams({ seed: state.seed, n: state.n });
  if (state.label !== "every") params.set("label", state.label);
  if (state.mix !== "") [params.set("mix", state.mix), params.set("share", state.share)];
  if (state.truncation) params.set("truncation", state.truncation);
  if (state.moves.some(Boolean)) params.set("moves", state.moves.map((move) => +twoDecimals(move)).join(","));
  if (state.chosen.size) params.set("chosen", [...state.chosen].sort((a, b) => a - b).join(","));
  return params;
}

/** Return a function that runs `work`, and once more if it is called meanwhile: the last state is always drawn. */
function oneAtATime(work) {
  let [isRunning, isRequested] = [false, false];
  return async function run() {
    if (isRunning) return void (isRequested = true);
    isRunning = true;
    do {
      isRequested = false;
      await work();
    } while (isRequested);
    isRunning = false;
  };
}

/** Make a slider with its name and value; `setValue` moves it without calling `onInput`. */
function makeSlider(name, value, [low, high], format, onInput) {
  const output = h("output", {}, format(value));
  const input = h("input", { type: "range", min: low, max: high, step: 0.05, value, "aria-label": name });
  input.addEventListener("input", () => {
    output.textContent = format(Number(input.value));
    onInput(Number(input.value));
  });
  const row = h("label", { class: "slider" }, h("span", {}, name), input, output);
  return { row, input, setValue: (v) => ((input.value = v), (output.textContent = format(v))) };
}

/** Make a field for a whole number; a number that is out of range is replaced by the last valid one. */
export function makeNumberField(name, value, [low, high], onChange) {
  const input = h("input", { type: "number", min: low, max: high, value });
  let lastValid = value;
  input.addEventListener("change", () => {
    const number = Math.floor(Number(input.value));
    if (number >= low && number <= high) lastValid = number;
    input.value = lastValid;
    onChange(lastValid);
  });
  const setNumber = (number) => (input.value = lastValid = number);
  return { row: h("label", { class: "field" }, h("span", {}, name), input), setNumber };
}

/**
 * Make a square to drag a point in, for the first two directions. It is for pointers only: the first two sliders do the
 * same for a keyboard and a screen reader.
 */
function makePad(onDrag) {
  const mark = h("span", { class: "mark" });
  const area = h("div", { class: "pad", "aria-hidden": "true", title: t("pad") }, mark);
  const drag = (event) => {
    if (!event.buttons) return;
    const box = area.getBoundingClientRect();
    const position = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    onDrag(position.map((p) => clampMove((2 * p - 1) * MAX_MOVE)));
  };
  area.addEventListener("pointerdown", (event) => (area.setPointerCapture(event.pointerId), drag(event)));
  area.addEventListener("pointermove", drag);
  const moveMark = (moves) => {
    mark.style.left = `${50 + (50 * (moves[0] || 0)) / MAX_MOVE}%`;
    mark.style.top = `${50 - (50 * (moves[1] || 0)) / MAX_MOVE}%`;
  };
  return { area, moveMark };
}

/** Put a picture at each end of a direction's slider; `update` shows what a sample becomes there. */
function addPreviews({ row, input }) {
  const ends = [0, 1].map(() => h("canvas", { class: "end", "aria-hidden": "true" }));
  const track = h("span", { class: "track" }, ends[0]);
  input.replaceWith(track);
  track.append(input, ends[1]);
  row.classList.add("with-ends");
  return { update: (images) => ends.forEach((canvas, i) => paint(canvas, images[i])) };
}

/** Keep what gets the focus from being hidden under an element that stays in sight, in the styles of `container`. */
export function leaveRoomBelow(element, container) {
  const measure = () => container.style.setProperty("--covered", `${element.offsetHeight}px`);
  new ResizeObserver(measure).observe(element);
}

export const isMotionReduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const makeButton = (name, onclick) => h("button", { type: "button", onclick }, name);

/**
 * Build the page in `root`.
 *
 * engine: generator { z_dim, shape, classes, directions }, drawLatents(seed, n, truncation), drawImages(latents, labels,
 * mix); canMix says whether it draws mixed classes, mix {label, share}.
 * options: params (of the address), onState (gets the parameters of the new address), start (a latent to start from),
 * makePanels (gets functions that return what is shown; returns {elements, update} of further panels, or nothing).
 */
export function showPlayPage(root, engine, options = {}) {
  const { params = new URLSearchParams(), onState = () => {}, start = null, makePanels = () => null } = options;
  const { generator } = engine;
  const hasClasses = generator.classes.length > 0;
  const state = parseState(params, generator);
  let [latents, latentsKey, previewsKey, images, walkTimer] = [[], "", "", [], 0];
  let walkNumber = 0; // a walk that is drawn after a change, or after another click, is not shown

  const status = h("p", { role: "status", class: "quiet" });
  const grid = h("div", { class: "samples", role: "group", "aria-label": t("samples") });
  const stage = h("canvas", { class: "stage", role: "img", "aria-label": t("walk"), hidden: true });
  const position = h("input", { type: "range", min: 0, value: 0, "aria-label": t("walkPosition"), hidden: true });
  const walkButton = makeButton(t("walk"), () => (walkTimer ? stopWalk() : startWalk()));

  const labelOf = (i) => (state.label === "every" ? i % generator.classes.length : state.label);
  const labels = (count) => (hasClasses ? Array.from({ length: count }, (_, i) => labelOf(i)) : null);
  const mix = () => (engine.canMix && state.mix !== "" ? { label: state.mix, share: state.share } : null);
  const drawImages = (z, someLabels) => engine.drawImages(z, someLabels, mix());
  const movedLatents = () => latents.map((z) => moveLatent(z, generator.directions, state.moves));

  async function updateLatents() {
    const key = `${state.seed} ${state.n} ${state.truncation}`;
    if (key === latentsKey) return;
    latents = await engine.drawLatents(state.seed, state.n, state.truncation);
    if (start) latents[0] = Float32Array.from(start);
    latentsKey = key;
  }

  const fail = (error) => status.replaceChildren(...tNodes("failed", error.message));

  const redraw = oneAtATime(async () => {
    try {
      await updateLatents();
      const startTime = performance.now();
      images = await drawImages(movedLatents(), labels(latents.length));
      updateGrid();
      status.textContent = t("drawnIn", images.length, Math.round(performance.now() - startTime));
      await updatePreviews();
      root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
    } catch (error) {
      fail(error);
    }
  });

  /** Show at the ends of each slider what becomes of the first sample there. They do not change while it moves. */
  async function updatePreviews() {
    const key = `${latentsKey} ${state.label} ${state.mix} ${state.share}`;
    if (key === previewsKey || !previews.length) return;
    const moveOne = (k, move) => moveLatent(latents[0], generator.directions, [...Array(k).fill(0), move]);
    const ends = previews.flatMap((_, k) => [moveOne(k, -MAX_MOVE), moveOne(k, MAX_MOVE)]);
    const drawn = await drawImages(ends, hasClasses ? ends.map(() => labelOf(0)) : null);
    previews.forEach((preview, k) => preview.update(drawn.slice(2 * k, 2 * k + 2)));
    previewsKey = key;
  }

  function sampleName(i) {
    if (hasClasses) return t("sampleOf", i + 1, generator.classes[labelOf(i)]);
    return start && i === 0 ? `${t("sample", 1)}, ${t("moveOn")}` : t("sample", i + 1);
  }

  function updateGrid() {
    while (grid.children.length > images.length) grid.lastChild.remove();
    while (grid.children.length < images.length) {
      const i = grid.children.length;
      grid.append(h("button", { type: "button", class: "sample", onclick: () => toggleChosen(i) }, h("canvas")));
    }
    images.forEach((image, i) => {
      const button = grid.children[i];
      button.setAttribute("aria-label", sampleName(i));
      button.setAttribute("aria-pressed", String(state.chosen.has(i)));
      paint(button.firstChild, image);
    });
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(images.length)));
    panels?.update();
    walkButton.disabled = chosenSamples(images.length).length < 2 && !walkTimer;
  }

  const chosenSamples = (count) => [...state.chosen].filter((i) => i < count).sort((a, b) => a - b);

  function applyChange() {
    stopWalk();
    onState(stateParams(state));
    redraw();
  }

  function toggleChosen(i) {
    state.chosen.has(i) ? state.chosen.delete(i) : state.chosen.add(i);
    onState(stateParams(state));
    updateGrid();
  }

  /** Return the frames of the walk between the chosen samples, or between the first ones, and how many it visits. */
  async function drawWalk() {
    const all = movedLatents();
    let stops = chosenSamples(all.length);
    if (stops.length < 2) stops = all.slice(0, DEFAULT_STOPS).map((_, i) => i);
    const path = walkLatents(stops.map((i) => all[i]), FRAMES_PER_STOP);
    const label = hasClasses ? labelOf(stops[0]) : 0;
    const frames = [];
    for (let i = 0; i < path.length; i += MAX_IMAGES) {
      const batch = path.slice(i, i + MAX_IMAGES);
      frames.push(...(await drawImages(batch, hasClasses ? batch.map(() => label) : null)));
    }
    return [frames, stops.length];
  }

  async function startWalk() {
    const own = ++walkNumber;
    try {
      const walk = await drawWalk();
      if (own === walkNumber) showWalk(...walk);
    } catch (error) {
      if (own === walkNumber) fail(error);
    }
  }

  async function saveWalk() {
    try {
      downloadFile(toGif((await drawWalk())[0]), "walk.gif");
    } catch (error) {
      fail(error);
    }
  }

  function showWalk(frames, stopCount) {
    [stage.hidden, position.hidden, position.max, position.value] = [false, false, frames.length - 1, 0];
    position.oninput = () => paint(stage, frames[Number(position.value)]);
    position.oninput();
    stage.setAttribute("aria-label", t("walkShown", stopCount));
    walkButton.textContent = t("stopWalk");
    walkTimer = setInterval(() => {
      if (!root.isConnected) return stopWalk();
      if (isMotionReduced() || document.activeElement === position) return; // the visitor moves it
      position.value = (Number(position.value) + 1) % frames.length;
      position.oninput();
    }, FRAME_MS);
  }

  function stopWalk() {
    clearInterval(walkTimer);
    walkTimer = 0;
    walkNumber += 1;
    stage.hidden = position.hidden = true;
    walkButton.textContent = t("walk");
  }

  const sliders = state.moves.map((value, k) =>
    makeSlider(t("direction", k + 1), value, [-MAX_MOVE, MAX_MOVE], twoDecimals, (move) => applyMoves([[k, move]])),
  );
  const previews = sliders.map(addPreviews);
  const pad = makePad((position) => {
    const moves = [...position.entries()].filter(([k]) => k < state.moves.length);
    moves.forEach(([k, move]) => sliders[k].setValue(move));
    applyMoves(moves);
  });

  function applyMoves(moves) {
    for (const [k, move] of moves) state.moves[k] = move;
    pad.moveMark(state.moves);
    applyChange();
  }

  const resetButton = makeButton(t("reset"), () => {
    sliders.forEach((slider) => slider.setValue(0));
    applyMoves(state.moves.map((_, k) => [k, 0]));
  });

  const seedField = makeNumberField(t("seed"), state.seed, [0, MAX_SEED], (seed) => {
    state.seed = seed;
    applyChange();
  });
  const countField = makeNumberField(t("count"), state.n, [1, MAX_IMAGES], (n) => {
    state.n = n;
    applyChange();
  });
  const randomSeedButton = makeButton(t("another"), () => {
    state.seed = Math.floor(Math.random() * 1e6);
    seedField.setNumber(state.seed);
    applyChange();
  });

  const classPicker = h(
    "select",
    {},
    h("option", { value: "every" }, t("every")),
    ...generator.classes.map((name, i) => h("option", { value: i, selected: state.label === i }, name)),
  );
  classPicker.addEventListener("change", () => {
    state.label = classPicker.value === "every" ? "every" : Number(classPicker.value);
    applyChange();
  });
  const classField = hasClasses ? [h("label", { class: "field" }, h("span", {}, t("label")), classPicker)] : [];

  const mixPicker = h(
    "select",
    {},
    h("option", { value: "" }, t("mixNone")),
    ...generator.classes.map((name, i) => h("option", { value: i, selected: state.mix === i }, name)),
  );
  mixPicker.addEventListener("change", () => {
    state.mix = mixPicker.value === "" ? "" : Number(mixPicker.value);
    applyChange();
  });
  const formatShare = (share) => `${Math.round(100 * share)}%`;
  const mixShare = makeSlider(t("mixShare"), state.share, [0, 1], formatShare, (share) => {
    state.share = share;
    applyChange();
  });
  const hasMix = hasClasses && engine.canMix;
  const mixRows = hasMix ? [h("label", { class: "field" }, h("span", {}, t("mixWith")), mixPicker), mixShare.row] : [];

  const formatTruncation = (value) => (value ? twoDecimals(value) : t("off"));
  const truncation = makeSlider(t("truncation"), state.truncation, [0, MAX_TRUNCATION], formatTruncation, (value) => {
    state.truncation = value;
    applyChange();
  });

  const saveButtons = [
    makeButton(t("savePng"), async () => downloadFile(await toPng(images), "samples.png")),
    makeButton(t("saveGif"), saveWalk),
    makeButton(t("saveNpz"), () => downloadFile(toNpz(images, movedLatents(), labels(images.length)), "samples.npz")),
  ];

  const row = (...children) => h("div", { class: "row" }, ...children);
  const samplesPanel = [row(seedField.row, randomSeedButton), row(countField.row, ...classField), truncation.row, ...mixRows];
  const directionsPanel = [pad.area, ...sliders.map((slider) => slider.row), resetButton];
  const panels = makePanels({
    getImages: () => images,
    getLatents: movedLatents,
    getLabels: () => labels(images.length),
    getChosen: () => chosenSamples(images.length),
    getMix: mix,
  });
  root.replaceChildren(
    h(
      "div",
      { class: "play" },
      h(
        "div",
        { class: "shown" },
        grid,
        h("p", { class: "quiet" }, t("choose")),
        row(walkButton, ...saveButtons),
        stage,
        position,
        status,
        ...(panels ? panels.elements : []),
      ),
      h(
        "div",
        { class: "controls" },
        h("fieldset", {}, h("legend", {}, t("samples")), ...samplesPanel),
        h("fieldset", {}, h("legend", {}, t("directions")), ...directionsPanel),
      ),
    ),
  );
  leaveRoomBelow(grid, root);
  pad.moveMark(state.moves);
  redraw();
}
