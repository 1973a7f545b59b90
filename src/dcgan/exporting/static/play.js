// The play page: a latent space to walk in. It draws with an engine: a server's, or one in the browser.

import { moved, walk } from "./latents.js";
import { gif, npz, paint, png, save } from "./files.js";
import { t } from "./strings.js";

const REACH = 3; // the ends of a slider, in standard deviations of z
const SLIDERS = 8;
const FRAMES = 12;
const MOST = 64; // pictures in one request

/** An element with attributes, listeners (`onclick`) and children. */
export function h(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** What the address says: seed, n, label (or "every"), truncation (0 off), moves, chosen. */
function read(params, about) {
  const number = (name, low, high, otherwise) => {
    const value = Number(params.get(name) ?? NaN);
    return value >= low && value <= high ? value : otherwise;
  };
  const list = (name) => (params.get(name) || "").split(",").filter(Boolean).map(Number);
  const count = Math.min(SLIDERS, about.directions.length);
  const moves = list("moves").slice(0, count);
  const label = params.get("label");
  return {
    seed: Math.floor(number("seed", 0, 2 ** 31 - 1, 0)),
    n: Math.floor(number("n", 1, MOST, 16)),
    label: label !== null && Number(label) < about.classes.length ? Number(label) : "every",
    truncation: number("truncation", 0, 2, 0),
    moves: Array.from({ length: count }, (_, k) => Math.max(-REACH, Math.min(REACH, moves[k] || 0))),
    chosen: new Set(list("chosen").filter((i) => i >= 0 && i < MOST)),
  };
}

function written(state) {
  const params = new URLSearchParams({ seed: state.seed, n: state.n });
  if (state.label !== "every") params.set("label", state.label);
  if (state.truncation) params.set("truncation", state.truncation);
  if (state.moves.some(Boolean)) params.set("moves", state.moves.map((m) => +m.toFixed(2)).join(","));
  if (state.chosen.size) params.set("chosen", [...state.chosen].sort((a, b) => a - b).join(","));
  return params;
}

/** A function that runs `work` again after it is done if it was asked for meanwhile: the last state is always drawn. */
function latest(work) {
  let [isBusy, again] = [false, false];
  return async function run() {
    if (isBusy) return void (again = true);
    isBusy = true;
    do {
      again = false;
      await work();
    } while (again);
    isBusy = false;
  };
}

/**
 * Build the page into `root`.
 *
 * engine: about { z_dim, shape, classes, directions }, latents(seed, n, truncation), draw(latents, labels).
 * options: params (what the address says), onState (params to put there), start (a latent to go on from).
 */
export function play(root, engine, { params = new URLSearchParams(), onState = () => {}, start = null } = {}) {
  const { about } = engine;
  const state = read(params, about);
  let [base, baseKey, shown, frames, timer] = [[], "", [], [], 0];

  const status = h("p", { role: "status", class: "quiet" });
  const grid = h("div", { class: "samples", role: "group", "aria-label": t("samples") });
  const stage = h("canvas", { class: "stage", role: "img", "aria-label": t("walk"), hidden: true });
  const walkButton = h("button", { type: "button", onclick: () => (timer ? stop() : go()) }, t("walk"));

  const labelOf = (i) => (state.label === "every" ? i % about.classes.length : state.label);
  const labels = (count) => (about.classes.length ? Array.from({ length: count }, (_, i) => labelOf(i)) : null);
  const latents = () => base.map((z) => moved(z, about.directions, state.moves));

  async function fetchBase() {
    const key = `${state.seed} ${state.n} ${state.truncation}`;
    if (key === baseKey) return;
    base = await engine.latents(state.seed, state.n, state.truncation);
    if (start) base[0] = Float32Array.from(start);
    baseKey = key;
  }

  const redraw = latest(async () => {
    try {
      await fetchBase();
      const begun = performance.now();
      shown = await engine.draw(latents(), labels(base.length));
      fill();
      status.textContent = t("drawnIn", shown.length, Math.round(performance.now() - begun));
      root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
    } catch (error) {
      status.textContent = t("failed", error.message);
    }
  });

  function fill() {
    while (grid.children.length > shown.length) grid.lastChild.remove();
    while (grid.children.length < shown.length) {
      const i = grid.children.length;
      grid.append(h("button", { type: "button", class: "sample", onclick: () => choose(i) }, h("canvas")));
    }
    shown.forEach((picture, i) => {
      const button = grid.children[i];
      const name = start && i === 0 ? `${t("sample", 1)}, ${t("moveOn")}` : t("sample", i + 1);
      button.setAttribute("aria-label", about.classes.length ? t("sampleOf", i + 1, about.classes[labelOf(i)]) : name);
      button.setAttribute("aria-pressed", String(state.chosen.has(i)));
      paint(button.firstChild, picture);
    });
    const chosen = [...state.chosen].filter((i) => i < shown.length);
    walkButton.disabled = chosen.length < 2 && !timer;
  }

  function changed() {
    stop();
    onState(written(state));
    redraw();
  }

  function choose(i) {
    state.chosen.has(i) ? state.chosen.delete(i) : state.chosen.add(i);
    onState(written(state));
    fill();
  }

  async function wayFrames() {
    const all = latents();
    let stops = [...state.chosen].filter((i) => i < all.length).sort((a, b) => a - b);
    if (stops.length < 2) stops = all.slice(0, 5).map((_, i) => i);
    const way = walk(stops.map((i) => all[i]), FRAMES);
    const label = about.classes.length ? labelOf(stops[0]) : 0;
    const out = [];
    for (let i = 0; i < way.length; i += MOST) {
      const part = way.slice(i, i + MOST);
      out.push(...(await engine.draw(part, about.classes.length ? part.map(() => label) : null)));
    }
    return [out, stops.length];
  }

  async function go() {
    let stops;
    [frames, stops] = await wayFrames();
    let at = 0;
    stage.hidden = false;
    stage.setAttribute("aria-label", t("walkShown", stops));
    walkButton.textContent = t("stopWalk");
    timer = setInterval(() => {
      if (!root.isConnected) return stop();
      paint(stage, frames[at++ % frames.length]);
    }, 60);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    stage.hidden = true;
    walkButton.textContent = t("walk");
  }

  function slider(name, value, low, high, step, show, set) {
    const output = h("output", {}, show(value));
    const input = h("input", { type: "range", min: low, max: high, step, value, "aria-label": name });
    input.addEventListener("input", () => {
      output.textContent = show(Number(input.value));
      set(Number(input.value));
    });
    const row = h("label", { class: "slider" }, h("span", {}, name), input, output);
    return { row, put: (v) => ((input.value = v), (output.textContent = show(v))) };
  }

  const two = (v) => v.toFixed(2);
  const sliders = state.moves.map((value, k) =>
    slider(t("direction", k + 1), value, -REACH, REACH, 0.05, two, (v) => {
      state.moves[k] = v;
      dot();
      changed();
    }),
  );

  // The pad is for pointers; the first two sliders are the same thing for a keyboard and a screen reader.
  const mark = h("span", { class: "mark" });
  const area = h("div", { class: "pad", "aria-hidden": "true", title: t("pad") }, mark);
  function dot() {
    mark.style.left = `${50 + (50 * (state.moves[0] || 0)) / REACH}%`;
    mark.style.top = `${50 - (50 * (state.moves[1] || 0)) / REACH}%`;
  }
  function drag(event) {
    if (!event.buttons) return;
    const box = area.getBoundingClientRect();
    const place = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    place.forEach((p, k) => {
      if (k >= state.moves.length) return;
      state.moves[k] = Math.max(-REACH, Math.min(REACH, (2 * p - 1) * REACH));
      sliders[k].put(state.moves[k]);
    });
    dot();
    changed();
  }
  area.addEventListener("pointerdown", (event) => (area.setPointerCapture(event.pointerId), drag(event)));
  area.addEventListener("pointermove", drag);

  const number = (name, key, high) => {
    const input = h("input", { type: "number", min: key === "n" ? 1 : 0, max: high, value: state[key] });
    input.addEventListener("change", () => {
      const value = Math.floor(Number(input.value));
      if (value >= Number(input.min) && value <= high) state[key] = value;
      input.value = state[key];
      changed();
    });
    return [h("label", { class: "field" }, h("span", {}, name), input), input];
  };
  const [seedField, seedInput] = number(t("seed"), "seed", 2 ** 31 - 1);
  const [countField] = number(t("count"), "n", MOST);
  const another = h("button", { type: "button" }, t("another"));
  another.addEventListener("click", () => {
    state.seed = Math.floor(Math.random() * 1e6);
    seedInput.value = state.seed;
    changed();
  });

  const picker = h(
    "select",
    {},
    h("option", { value: "every" }, t("every")),
    ...about.classes.map((name, i) => h("option", { value: i, selected: state.label === i }, name)),
  );
  picker.addEventListener("change", () => {
    state.label = picker.value === "every" ? "every" : Number(picker.value);
    changed();
  });
  const classes = about.classes.length ? [h("label", { class: "field" }, h("span", {}, t("label")), picker)] : [];

  const truncation = slider(t("truncation"), state.truncation, 0, 2, 0.05, (v) => (v ? two(v) : t("off")), (v) => {
    state.truncation = v;
    changed();
  });
  const reset = h("button", { type: "button" }, t("reset"));
  reset.addEventListener("click", () => {
    state.moves.fill(0);
    sliders.forEach((s) => s.put(0));
    dot();
    changed();
  });

  const button = (name, work) => h("button", { type: "button", onclick: work }, name);
  const saves = [
    button(t("savePng"), async () => save(await png(shown), "digits.png")),
    button(t("saveGif"), async () => save(gif((await wayFrames())[0]), "walk.gif")),
    button(t("saveNpz"), () => save(npz(shown, latents(), labels(shown.length)), "digits.npz")),
  ];

  root.replaceChildren(
    h(
      "div",
      { class: "play" },
      h(
        "div",
        { class: "shown" },
        grid,
        h("p", { class: "quiet" }, t("choose")),
        h("div", { class: "row" }, walkButton, ...saves),
        stage,
        status,
      ),
      h(
        "div",
        { class: "controls" },
        h("fieldset", {}, h("legend", {}, t("samples")), h("div", { class: "row" }, seedField, another),
          h("div", { class: "row" }, countField, ...classes), truncation.row),
        h("fieldset", {}, h("legend", {}, t("directions")), area, ...sliders.map((s) => s.row), reset),
      ),
    ),
  );
  dot();
  redraw();
}
