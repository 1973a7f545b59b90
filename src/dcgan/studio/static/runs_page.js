// The page Runs: every run in the folder with its preview, state and progress, and a form that starts a training.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { gridUrl } from "./api.js";
import { poll } from "./polling.js";
import { makeBadge, makeFailure, makeProgress, makeRunControls } from "./run_view.js";
import { withServerTexts } from "./server_texts.js";
import { makeStartForm } from "./start_form.js";

const REFRESH_INTERVAL_MS = 3000;

function makePreview(run) {
  const attributes = { class: "preview", alt: t("previewOf", run.name), loading: "lazy" };
  return h("img", { ...attributes, src: gridUrl(run.name, run, run.preview) });
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
    const newPreview = run.preview && gridUrl(run.name, run, run.preview);
    if (newPreview !== lastPreview) preview.replaceChildren(...(run.preview ? [makePreview(run)] : []));
    lastPreview = newPreview;
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
      makeStartForm(answer, { refresh: () => refresh(), signal }),
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
    notice.replaceChildren(...(error ? [h("p", { class: "bad" }, ...withServerTexts("unreachable", error.message))] : []));
    if (!isBuilt) root.replaceChildren(h("h2", {}, t("runs")), notice);
  }

  refresh = poll("runs", { intervalMs: REFRESH_INTERVAL_MS, signal, onContent, onError });
}
