// The page Watch: a run while it trains, with its grids, curves, problems, metrics, speed and time left.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { RefusedError } from "./api.js";
import { makeCurves } from "./curves_panel.js";
import { forgetFavourites, moveFavourites } from "./favourites.js";
import { makeGridPanel } from "./grid_panel.js";
import { makeHealthList, makeMetricList } from "./health_view.js";
import { makeHelp } from "./help.js";
import { makeManageForm } from "./manage_view.js";
import { makeNearestPanel } from "./nearest_panel.js";
import { makeNotifier } from "./notify.js";
import { pickRun } from "./picker.js";
import { poll } from "./polling.js";
import { makeBadge, makeFailure, makeProgress, makeRunControls } from "./run_view.js";
import { withServerTexts } from "./server_texts.js";

const REFRESH_INTERVAL_MS = 1000;
const NOT_FOUND = 404;

/** Make the panels of a run; `update` shows the run as it is now. */
function makeRunPanels(root, runName, refresh, overlay) {
  const grid = makeGridPanel(root, runName);
  const [failure, progress] = [h("div", { role: "alert" }), h("div", { "aria-live": "off" })];
  const controls = makeRunControls(refresh);
  const note = h("p", { class: "note" });
  const manage = makeManageForm(runName, {
    onRenamed: (newName) => {
      moveFavourites(runName, newName);
      location.hash = `#/watch/${encodeURIComponent(newName)}`;
    },
    onDeleted: () => {
      forgetFavourites(runName);
      location.hash = "#/runs";
    },
  });
  const [notifier, nearest] = [makeNotifier(runName), makeNearestPanel(runName)];
  const [curves, events] = [makeCurves(runName, overlay), h("div", { role: "status" })];
  let [lastEvents, lastFailure] = ["", ""];

  function update(run) {
    grid.update(run);
    progress.replaceChildren(makeBadge(run), makeProgress(run));
    controls.update(run);
    notifier.update(run);
    nearest.element.hidden = !run.has_model;
    note.textContent = run.note || "";
    note.hidden = !run.note;
    manage.update(run);
    manage.element.hidden = run.state === "failed";
    curves.update(run);
    // A screen reader reads these again when they are replaced.
    if ((run.failure || "") !== lastFailure) {
      lastFailure = run.failure || "";
      // Without its failure, a training that has no run is nothing that this page could show.
      const onDismiss = run.state === "failed" ? () => (location.hash = "#/runs") : refresh;
      failure.replaceChildren(...(lastFailure ? [makeFailure(run.name, lastFailure, onDismiss)] : []));
    }
    const newEvents = JSON.stringify(run.events);
    if (newEvents !== lastEvents) {
      lastEvents = newEvents;
      events.replaceChildren(h("h3", {}, t("health")), makeHealthList(run), ...makeMetricList(run));
    }
    right.hidden = run.state === "failed"; // there is no run that could have curves or problems
    root.dataset.state = run.state;
  }

  const makePanel = (...children) => h("div", { class: "panel" }, ...children);
  const left = h("div", {}, failure, makePanel(progress, note, controls.element, notifier.element, manage.element), grid.panel);
  const right = h("div", {}, makePanel(curves.element), makePanel(events, makeHelp("health", "quality")), nearest.element);
  return { element: h("div", { class: "watch" }, left, right), update, isWaiting: notifier.isWaiting };
}

export async function watchPage(root, address) {
  const { params, signal } = address;
  const picker = await pickRun(root, "watch", address);
  if (!picker || signal.aborted) return;
  let refresh = () => {};
  const panels = makeRunPanels(root, picker.name, () => refresh(), {
    names: picker.names,
    chosenNames: (params.get("with") || "").split(",").filter(Boolean),
    onChosen: (names) => {
      const query = names.length ? `?${new URLSearchParams({ with: names.join(",") })}` : "";
      history.replaceState(null, "", `#/watch/${encodeURIComponent(picker.name)}${query}`);
    },
    signal,
  });
  const notice = h("div", { role: "alert" });
  panels.element.hidden = true;

  function onContent(run) {
    panels.element.hidden = false;
    panels.update(run);
  }

  /** Say what is wrong. A run that is gone does not come back: the asking ends. */
  function onError(error) {
    const isGone = error instanceof RefusedError && error.status === NOT_FOUND;
    if (!error) return void notice.replaceChildren();
    const text = isGone ? [t("gone", picker.name)] : withServerTexts("unreachable", error.message);
    notice.replaceChildren(h("p", { class: "bad" }, ...text, " ", h("a", { href: "#/runs" }, t("runs"))));
    root.dataset.state = isGone ? "gone" : "unreachable";
    if (isGone) panels.element.remove(); // it would show what is no longer so
    return isGone;
  }

  picker.show(notice, panels.element);
  const isWaiting = panels.isWaiting;
  refresh = poll(`runs/${picker.name}`, { intervalMs: REFRESH_INTERVAL_MS, signal, onContent, onError, isWaiting });
}
