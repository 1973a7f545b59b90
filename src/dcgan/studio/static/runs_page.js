// The page Runs: every run in the folder with its preview, state and progress, and a form that starts a training.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { apiUrl, getJson, post } from "./api.js";
import { makeProgressList, makeRunControls } from "./run_view.js";

const REFRESH_INTERVAL_MS = 3000;
const DEFAULT_MINUTES = 3;

function makePreview(run) {
  const src = apiUrl(`runs/${run.name}/samples/${run.preview}`);
  return h("img", { class: "preview", alt: t("previewOf", run.name), src, loading: "lazy" });
}

function makeCard(run, refresh) {
  const isBroken = run.state === "broken";
  const makeLink = (page) => h("a", { href: `#/${page}/${encodeURIComponent(run.name)}` }, t(page));
  const links = [...(isBroken ? [] : [makeLink("watch")]), ...(run.has_model ? [makeLink("play")] : [])];
  const controls = h("div", { class: "row" }, ...makeRunControls(run, refresh));
  return h(
    "li",
    { class: "run", "data-run": run.name },
    run.preview ? makePreview(run) : "",
    h("h3", {}, run.name),
    h("span", { class: `badge ${run.state}` }, t(run.state)),
    isBroken ? h("p", { class: "bad" }, run.problem) : makeProgressList(run),
    h("div", { class: "row" }, ...links),
    isBroken ? "" : h("details", {}, h("summary", {}, t("more")), controls),
  );
}

/** Make the select of presets, and the line that describes the selected one. */
function makePresetSelect(presets, defaultPreset) {
  const makeOption = ([name, description]) =>
    h("option", { value: name, title: description, selected: name === defaultPreset }, name);
  const select = h("select", {}, ...Object.entries(presets).map(makeOption));
  const line = h("p", { class: "quiet" }, presets[defaultPreset]);
  select.addEventListener("change", () => (line.textContent = presets[select.value]));
  return [select, line];
}

function makeStartForm({ presets, default_preset: defaultPreset }, refresh) {
  const [preset, description] = makePresetSelect(presets, defaultPreset);
  const data = h("input", { type: "text", value: "mnist", required: true, maxlength: 400 });
  const minutesLimits = { min: 0.1, max: 100000, step: "any" };
  const minutes = h("input", { type: "number", value: DEFAULT_MINUTES, ...minutesLimits, required: true });
  const status = h("p", { role: "status", class: "bad" });
  const makeField = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
  const row = h(
    "div",
    { class: "row" },
    makeField(t("preset"), preset),
    makeField(t("data"), data),
    makeField(t("minutesOf"), minutes),
    h("button", { class: "main" }, t("start")),
  );
  const form = h("form", {}, h("fieldset", {}, h("legend", {}, t("startOne")), row, description, status));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const content = { preset: preset.value, data: data.value, minutes: Number(minutes.value) };
      const { name } = await (await post("runs", content)).json();
      status.textContent = "";
      location.hash = `#/watch/${encodeURIComponent(name)}`;
    } catch (error) {
      status.textContent = error.message;
    }
    refresh();
  });
  return form;
}

function makeShippedLinks(names) {
  const links = names.flatMap((name) => [" ", h("a", { href: `#/play/${name}` }, name)]);
  return links.length ? [h("p", { class: "ready" }, t("tryShipped"), ...links)] : [];
}

export async function runsPage(root) {
  const cards = h("ul", { class: "runs" });
  const failures = h("div", { role: "alert" });
  let lastContent = "";

  async function refresh() {
    const answer = await getJson("runs");
    const content = JSON.stringify([answer.runs, answer.failed]);
    // While the visitor uses a card, the cards stay as they are.
    if (content === lastContent || cards.contains(document.activeElement)) return answer;
    lastContent = content;
    cards.replaceChildren(...answer.runs.map((run) => makeCard(run, refresh)));
    const lines = Object.entries(answer.failed).map(([name, message]) => `${name}: ${message}`);
    failures.replaceChildren(...lines.map((line) => h("p", { class: "bad" }, line)));
    return answer;
  }

  const answer = await refresh();
  const emptyNote = answer.runs.length ? [] : [h("p", {}, t("noRunsYet"))];
  const startForm = makeStartForm(answer, refresh);
  root.replaceChildren(
    h("h2", {}, t("runs")),
    startForm,
    failures,
    ...makeShippedLinks(answer.shipped),
    ...emptyNote,
    cards,
  );
  const timer = setInterval(() => refresh().catch(() => {}), REFRESH_INTERVAL_MS);
  return () => clearInterval(timer);
}
