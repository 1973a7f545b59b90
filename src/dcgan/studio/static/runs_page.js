// The page Runs: every run in the folder with its preview, state and progress, and a form that starts a training.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { apiUrl, post } from "./api.js";
import { poll } from "./polling.js";
import { makeBadge, makeFailure, makeProgress, makeRunControls } from "./run_view.js";

const REFRESH_INTERVAL_MS = 3000;
const DEFAULT_MINUTES = 3;

function makePreview(run) {
  const src = apiUrl(`runs/${run.name}/samples/${run.preview}`);
  return h("img", { class: "preview", alt: t("previewOf", run.name), src, loading: "lazy" });
}

/** Make the card of a run. `update` shows the run as it is now, and leaves alone what the visitor is using. */
function makeCard(name, refresh) {
  const [preview, body, links] = [h("div", { class: "preview-box" }), h("div", {}), h("div", { class: "row" })];
  const controls = makeRunControls(refresh);
  const details = h("details", {}, h("summary", {}, t("more")), controls.element);
  const element = h("li", { class: "run", "data-run": name }, preview, h("h3", {}, name), body, links, details);
  const makeLink = (page) => h("a", { href: `#/${page}/${encodeURIComponent(name)}` }, t(page));
  let [lastContent, lastPreview, lastLinks] = ["", null, ""];

  function update(run) {
    const content = JSON.stringify(run);
    if (content === lastContent) return;
    lastContent = content;
    if (run.preview !== lastPreview) preview.replaceChildren(...(run.preview ? [makePreview(run)] : []));
    lastPreview = run.preview;
    const note = run.note ? [h("p", { class: "note" }, run.note)] : [];
    body.replaceChildren(makeBadge(run), makeProgress(run), ...note);
    const pages = [...(run.state === "broken" ? [] : ["watch"]), ...(run.has_model ? ["play"] : [])];
    if (pages.join() !== lastLinks) links.replaceChildren(...pages.map(makeLink));
    lastLinks = pages.join();
    controls.update(run);
    details.hidden = run.state === "broken";
  }
  return { element, update };
}

/** Make the list of cards. */
function makeCardList(refresh) {
  const element = h("ul", { class: "runs" });
  const cards = new Map();

  function update(runs) {
    const names = runs.map((run) => run.name);
    for (const name of [...cards.keys()].filter((name) => !names.includes(name))) {
      cards.get(name).element.remove();
      cards.delete(name);
    }
    for (const run of [...runs].reverse()) {
      if (!cards.has(run.name)) {
        cards.set(run.name, makeCard(run.name, refresh));
        element.prepend(cards.get(run.name).element);
      }
      cards.get(run.name).update(run);
    }
    // A card that is moved loses the focus: the order waits until the visitor uses none of them.
    const isInOrder = names.every((name, i) => element.children[i] === cards.get(name).element);
    if (isInOrder || element.contains(document.activeElement)) return;
    element.replaceChildren(...names.map((name) => cards.get(name).element));
  }
  return { element, update };
}

/** Make the list of the trainings that failed. */
function makeFailureList(refresh) {
  const element = h("div", { role: "alert" });
  let lastContent = "";

  function update(failures) {
    const content = JSON.stringify(failures);
    if (content === lastContent) return;
    lastContent = content;
    element.replaceChildren(...Object.entries(failures).map(([name, message]) => makeFailure(name, message, refresh)));
  }
  return { element, update };
}

/** Make the select of presets, and the line that describes the selected one. */
function makePresetSelect(presets, defaultPreset) {
  const makeOption = ([name, description]) => h("option", { value: name, title: description }, name);
  const automatic = h("option", { value: "", selected: true }, t("automatic"));
  const select = h("select", {}, automatic, ...Object.entries(presets).map(makeOption));
  const line = h("p", { class: "quiet" });
  const describe = () => (line.textContent = select.value ? presets[select.value] : t("automaticHow", defaultPreset));
  describe();
  select.addEventListener("change", describe);
  return [select, line];
}

function makeStartForm({ presets, default_preset: defaultPreset }, refresh) {
  const [preset, description] = makePresetSelect(presets, defaultPreset);
  const data = h("input", { type: "text", value: "mnist", required: true, maxlength: 400 });
  const minutesLimits = { min: 0.1, max: 100000, step: "any" };
  const minutes = h("input", { type: "number", value: DEFAULT_MINUTES, ...minutesLimits, required: true });
  const status = h("p", { role: "status", class: "bad" });
  const button = h("button", { class: "main" }, t("start"));
  const makeField = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
  const row = h(
    "div",
    { class: "row" },
    makeField(t("preset"), preset),
    makeField(t("data"), data),
    makeField(t("minutesOf"), minutes),
    button,
  );
  const form = h("form", {}, h("fieldset", {}, h("legend", {}, t("startOne")), row, description, status));
  form.addEventListener("input", () => (status.textContent = "")); // what was wrong is being changed
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true; // a second click would start a second training
    try {
      const content = { preset: preset.value || null, data: data.value, minutes: Number(minutes.value) };
      const { name } = await (await post("runs", content)).json();
      status.textContent = "";
      if (form.isConnected) location.hash = `#/watch/${encodeURIComponent(name)}`;
    } catch (error) {
      status.textContent = error.message;
    }
    button.disabled = false;
    refresh();
  });
  return form;
}

function makeShippedLinks(names) {
  const links = names.flatMap((name) => [" ", h("a", { href: `#/play/${name}` }, name)]);
  return links.length ? [h("p", { class: "ready" }, t("tryShipped"), ...links)] : [];
}

export async function runsPage(root, { signal }) {
  let refresh = () => {};
  const [cards, failures] = [makeCardList(() => refresh()), makeFailureList(() => refresh())];
  const notice = h("div", { role: "status" });
  const emptyNote = h("p", {}, t("noRunsYet"));
  let isBuilt = false;

  function build(answer) {
    isBuilt = true;
    root.replaceChildren(
      h("h2", {}, t("runs")),
      notice,
      makeStartForm(answer, () => refresh()),
      failures.element,
      ...makeShippedLinks(answer.shipped),
      emptyNote,
      cards.element,
    );
  }

  function onContent(answer) {
    if (!isBuilt) build(answer);
    emptyNote.hidden = answer.runs.length > 0;
    failures.update(answer.failed);
    cards.update(answer.runs);
  }

  function onError(error) {
    notice.replaceChildren(...(error ? [h("p", { class: "bad" }, t("unreachable", error.message))] : []));
    if (!isBuilt) root.replaceChildren(h("h2", {}, t("runs")), notice);
  }

  refresh = poll("runs", { intervalMs: REFRESH_INTERVAL_MS, signal, onContent, onError });
}
