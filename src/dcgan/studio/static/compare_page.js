// The page Compare: two models draw from the same latents, and their figures stand beside each other with intervals.

import { paint } from "./web/files.js";
import { h, makeNumberField, MAX_SEED, readWholeNumber } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson, RefusedError, serverEngine } from "./api.js";
import { makeHelp } from "./help.js";
import { listNames, makeSelect, restoreFocus } from "./picker.js";
import { serverText, withServerTexts } from "./server_texts.js";

const SAMPLES = 16;
const NO_FIGURES = { context: {}, metrics: [] };

/** Draw the samples of two engines: from the latents of the first one, if both have latents of one length. */
async function drawBoth(engines, seed) {
  const [zDim, otherDim] = engines.map(({ generator }) => generator.z_dim);
  const latents = [await engines[0].drawLatents(seed, SAMPLES, 0)];
  latents.push(zDim === otherDim ? latents[0] : await engines[1].drawLatents(seed, SAMPLES, 0));
  const drawOne = (engine, i) => {
    const { length } = engine.generator.classes;
    return engine.drawImages(latents[i], length ? latents[i].map((_, k) => k % length) : null);
  };
  const images = [await drawOne(engines[0], 0), await drawOne(engines[1], 1)];
  return { images, text: zDim === otherDim ? t("sameLatents", SAMPLES) : t("otherLatents", zDim, otherDim) };
}

function makeGrid(name, images) {
  const cells = images.map((image, i) => {
    const canvas = h("canvas", { role: "img", "aria-label": `${name}: ${t("sample", i + 1)}` });
    paint(canvas, image);
    return canvas;
  });
  return h("div", { class: "compared" }, ...cells);
}

const format = (value) => String(Number(value.toPrecision(3)));
const formatInterval = (row) => (row ? t("interval", format(row.mean), format(row.low), format(row.high)) : "–");

function verdict(left, right) {
  if (!left || !right) return "";
  return t(left.low > right.high || right.low > left.high ? "intervalsApart" : "intervalsOverlap");
}

const CONTEXT_TEXTS = { features: "contextFeatures", split: "contextSplit", n: "contextSamples", reference: "contextReference" };
const contextName = (key) => (CONTEXT_TEXTS[key] ? t(CONTEXT_TEXTS[key]) : key);
const describeContext = ({ context }) => Object.entries(context).map(([key, value]) => `${contextName(key)} ${value}`).join(", ");

/** Return the command that measures the figures of a run: a shell takes a name with other characters in quotes only. */
const evaluateCommand = (name) => `dcgan evaluate ${/^[\p{L}\p{N}_.+-]+$/u.test(name) ? `RUNS/${name}` : `'RUNS/${name.replaceAll("'", "'\\''")}'`}`;

/** Return the figures of a run. */
async function readEvaluation(name, signal) {
  try {
    return await getJson(`runs/${name}/evaluation`, "", signal);
  } catch (error) {
    if (error instanceof RefusedError) return NO_FIGURES;
    throw error;
  }
}

/** Make the table of the figures. Models that are `shipped` with the package have none here. */
function makeFigures(names, evaluations, shipped) {
  const missing = names.filter((_, i) => !evaluations[i].metrics.length);
  const describe = (name) =>
    shipped.includes(name) ? [t("shippedFigures", name)] : [t("notEvaluated", name), " ", h("code", {}, evaluateCommand(name))];
  const notes = [...new Set(missing)].map((name) => h("p", { class: "quiet" }, ...describe(name)));
  if (missing.length === names.length) return notes;
  const contexts = evaluations.map(describeContext);
  if (!missing.length && contexts[0] !== contexts[1])
    notes.push(h("p", { class: "bad" }, t("otherContext", ...contexts.map((text, i) => `${names[i]}: ${text}`))));
  const keys = [...new Set(evaluations.flatMap(({ metrics }) => metrics.map(({ key }) => key)))];
  const rows = keys.map((key) => {
    const [left, right] = evaluations.map(({ metrics }) => metrics.find((row) => row.key === key));
    const { title, floor } = left || right;
    const cells = [formatInterval(left), formatInterval(right), floor === null ? "–" : format(floor), verdict(left, right)];
    return h("tr", {}, h("th", { scope: "row" }, serverText(title)), ...cells.map((text) => h("td", {}, text)));
  });
  const titles = [t("figure"), ...names, t("floor"), t("figureHead")];
  const head = h("tr", {}, ...titles.map((text) => h("th", { scope: "col" }, text)));
  const table = h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows));
  return [...notes, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("figuresOf") }, table)];
}

/** Make the choice of both models and of the seed. `onChange` gets the new address. */
function makeChoice(models, names, seed, onChange) {
  const selects = names.map((name, i) => makeSelect(models, name, ["left", "right"][i]));
  const change = (newSeed) => {
    const [left, right] = selects.map((select) => select.value);
    onChange(`#/compare/${encodeURIComponent(left)}?${new URLSearchParams({ to: right, seed: newSeed })}`);
  };
  for (const select of selects) select.addEventListener("change", () => change(seed));
  const seedField = makeNumberField(t("seed"), seed, [0, MAX_SEED], change);
  const another = h("button", { type: "button" }, t("another"));
  another.addEventListener("click", () => change(Math.floor(Math.random() * 1e6)));
  const makeField = (text, input) => h("label", { class: "field" }, h("span", {}, text), input);
  return h("div", { class: "row" }, makeField(t("left_model"), selects[0]), makeField(t("right_model"), selects[1]), seedField.row, another);
}

export async function comparePage(root, address) {
  const { name: requestedName, params, signal } = address;
  const { models } = await listNames(address);
  const all = [...models.runs, ...models.shipped];
  const left = requestedName || all[0];
  const right = params.get("to") || all.find((name) => name !== left) || left;
  const names = [left, right];
  const seed = readWholeNumber(params, "seed", [0, MAX_SEED], 0);
  const choice = makeChoice(models, names, seed, (address) => (location.hash = address));
  const body = h("div", {}, h("p", { role: "status" }, t("loading")));
  root.replaceChildren(h("h2", {}, t("compare")), choice, h("p", { class: "quiet" }, t("compareHow")), body);
  restoreFocus(root);
  try {
    const engines = [await serverEngine(left), await serverEngine(right)];
    const { images, text } = await drawBoth(engines, seed);
    const evaluations = await Promise.all(names.map((name) => (models.shipped.includes(name) ? NO_FIGURES : readEvaluation(name, signal))));
    const makeColumn = (name, i) =>
      h(
        "section",
        { class: "panel" },
        h("h3", {}, name),
        makeGrid(name, images[i]),
        h("p", {}, h("a", { href: `#/quiz/${encodeURIComponent(name)}` }, t("blindTest", name))),
      );
    const columns = h("div", { class: "watch" }, ...names.map(makeColumn));
    const figures = h("section", { class: "panel" }, h("h3", {}, t("figuresOf")), ...makeFigures(names, evaluations, models.shipped), makeHelp("intervals"));
    body.replaceChildren(h("p", { role: "status", class: "quiet" }, text), columns, figures);
    root.dataset.compared = String(seed);
  } catch (error) {
    if (!signal.aborted) body.replaceChildren(h("p", { class: "bad", role: "alert" }, ...withServerTexts("failed", error.message)));
  }
}
