// The form that starts a training: the data and what is in them, the preset, the minutes, and how the start goes.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { RefusedError, getJson, post } from "./api.js";
import { makeDataCheck } from "./data_check.js";
import { makeFolderList } from "./folder_list.js";
import { serverText, translateText, withServerTexts } from "./server_texts.js";
import { makeDropZone } from "./upload.js";

const DEFAULT_MINUTES = 3;
const POLL_INTERVAL_MS = 500;

/** What the visitor has filled in: another language, or another page and back, shows it again. */
const draft = { data: "mnist", preset: "", minutes: DEFAULT_MINUTES, advice: null };

/**
 * The start that is followed, also in another language, or on another page and back: {name: a promise of the name of its
 * run, startTime}; null if there is none.
 */
let currentStart = null;

/** Return the advised settings that have no field in the form, while the data and the preset are those of the advice. */
function advisedSettings() {
  const { data, preset, minutes, ...settings } = draft.advice || {};
  return data === draft.data && preset === draft.preset ? settings : {};
}

const toFlags = (settings) => Object.entries(settings).map(([name, value]) => `--${name.replaceAll("_", "-")} ${value}`).join(" ");

const makeField = (label, input, name = "field") => h("label", { class: name }, h("span", {}, label), input);

/** Make the select of presets, and the line that describes the selected one. */
function makePresetSelect(presets, defaultPreset) {
  const makeOption = ([name, description]) => h("option", { value: name, title: translateText(description) }, name);
  const automatic = h("option", { value: "" }, t("automatic"));
  const select = h("select", {}, automatic, ...Object.entries(presets).map(makeOption));
  const line = h("p", { class: "quiet" });
  const describe = () => line.replaceChildren(select.value ? serverText(presets[select.value]) : t("automaticHow", defaultPreset));
  select.value = draft.preset;
  describe();
  select.addEventListener("change", describe);
  return { select, line, describe };
}

/** Return a run, or null if it is gone: a training that is stopped while it loads leaves nothing. */
async function getRun(name, signal) {
  try {
    return await getJson(`runs/${name}`, "", signal);
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return null;
    throw error;
  }
}

/**
 * Show how a start goes until the run trains, then open its page, unless the visitor comes back when it trains already.
 * Returns when it trains, has failed or was stopped, or `signal` aborts.
 */
async function followStart(name, { startTime, isResumed }, show, signal) {
  let wasLoading = !isResumed;
  const address = `#/watch/${encodeURIComponent(name)}`;
  const link = () => [" ", h("a", { href: address }, t("phaseWatch"))];
  while (!signal.aborted) {
    const run = await getRun(name, signal);
    if (!run) return show("");
    if (run.failure) return show("bad", ...withServerTexts("trainingFailed", name, run.failure));
    if (run.state !== "loading") {
      show("quiet", t("phaseTraining"), ...link());
      return void (wasLoading && (location.hash = address));
    }
    wasLoading = true;
    show("quiet", t("phaseLoading", Math.round((performance.now() - startTime) / 1000)), ...link());
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/**
 * Make the form. `refresh` is called when there is another run to show; what the form does later ends when `signal`
 * aborts.
 */
export function makeStartForm({ presets, default_preset: defaultPreset }, { refresh, signal }) {
  const preset = makePresetSelect(presets, defaultPreset);
  const data = h("input", { type: "text", value: draft.data, required: true, maxlength: 400, spellcheck: "false" });
  const minutesLimits = { min: 0.1, max: 100000, step: "any" };
  const minutes = h("input", { type: "number", value: draft.minutes, ...minutesLimits, required: true });
  const status = h("p", { role: "status" });
  const button = h("button", { class: "main" }, t("start"));
  const advised = h("p", { class: "quiet", hidden: true });

  function remember() {
    Object.assign(draft, { data: data.value, preset: preset.select.value, minutes: minutes.value });
    showAdvised();
  }

  function showAdvised() {
    const flags = toFlags(advisedSettings());
    advised.textContent = flags ? t("alsoAdvised", flags) : "";
    advised.hidden = !flags;
  }

  function show(className, ...children) {
    status.className = className;
    status.replaceChildren(...children);
  }

  const check = makeDataCheck(signal, (advice) => {
    if (advice.preset in presets) preset.select.value = advice.preset;
    minutes.value = advice.minutes;
    draft.advice = advice;
    preset.describe();
    remember();
    button.focus();
  });

  function choose(newData) {
    data.value = newData;
    remember();
    check.start(newData);
  }

  function submit(event) {
    event.preventDefault();
    const content = { preset: preset.select.value || null, data: data.value, minutes: Number(minutes.value) };
    const sent = post("runs", { ...content, ...advisedSettings() });
    currentStart = { name: sent.then((answer) => answer.json()).then(({ name }) => name), startTime: performance.now() };
    follow(currentStart);
  }

  async function follow(start) {
    button.disabled = true; // a second click would start a second training
    show("quiet", t("phaseStart"));
    try {
      const name = await start.name;
      refresh();
      await followStart(name, start, show, signal);
    } catch (error) {
      if (!signal.aborted) show("bad", serverText(error.message));
    }
    if (signal.aborted) return; // the form that is shown next goes on
    currentStart = null;
    button.disabled = false;
    refresh();
  }

  const checkButton = h("button", { type: "button", onclick: () => check.start(data.value) }, t("check"));
  data.addEventListener("input", check.leave);
  data.addEventListener("change", () => check.start(data.value));
  const dataRow = h("div", { class: "row" }, makeField(t("data"), data, "field wide"), checkButton);
  const row = [makeField(t("preset"), preset.select), makeField(t("minutesOf"), minutes), button];
  const sources = [makeFolderList(choose), makeDropZone(choose)];
  // The panel of the check is last: if it appeared above the button, the button would move away under a click.
  const parts = [dataRow, ...sources, h("div", { class: "row" }, ...row), advised, preset.line, status, check.element];
  const form = h("form", { class: "start" }, h("fieldset", {}, h("legend", {}, t("startOne")), ...parts));
  form.addEventListener("input", () => {
    remember();
    if (!button.disabled) show(""); // what was wrong is being changed
  });
  form.addEventListener("submit", submit);
  check.restore(draft.data);
  showAdvised();
  if (currentStart) follow({ ...currentStart, isResumed: true });
  return form;
}
