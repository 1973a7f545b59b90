// What the pages Runs and Watch both show of a run: its progress, and the buttons that stop and resume it.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { post } from "./api.js";
import { serverText, withServerTexts } from "./server_texts.js";

const EXTRA_MINUTES = 3; // how much longer than until now a resumed run trains by default

function formatDuration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return t("seconds", Math.round(seconds));
  return seconds < 5400 ? t("minutes", Math.round(seconds / 60)) : t("hours", (seconds / 3600).toFixed(1));
}

/** Make a list of names and their values. */
export function makeDescriptionList(pairs) {
  return h("dl", {}, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export const makeBadge = (run) => h("span", { class: `badge ${run.state}` }, t(`state_${run.state}`));

/** Make what says how far a run is, or what is wrong with its files. */
export function makeProgress(run) {
  if (run.state === "broken") return h("p", { class: "bad" }, serverText(run.problem));
  if (run.state === "loading" && !run.last) return h("p", { class: "quiet" }, t("loadingHow"));
  if (!run.last) return h("p", { class: "quiet" }, t(run.state === "failed" ? "failedHow" : "noLines"));
  const { step, images_seen: imagesSeen, seconds } = run.last;
  const pairs = [
    [t("steps"), step.toLocaleString()],
    [t("images"), imagesSeen.toLocaleString()],
    [t("trained"), formatDuration(seconds)],
  ];
  if (run.state === "running" && seconds) {
    pairs.push([t("speed"), t("imagesASecond", Math.round(imagesSeen / seconds).toLocaleString())]);
    pairs.push([t("left"), formatDuration(run.left)]);
  }
  return makeDescriptionList(pairs);
}

/** Make a button that sends a request to change a run; `status` says what came of it. */
function makeActionButton(name, action, status, onDone, getContent = () => ({})) {
  const onclick = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    status.className = "quiet";
    status.textContent = t("sent");
    try {
      await post(`runs/${name}/${action}`, getContent());
      status.textContent = t(`${action}_sent`);
    } catch (error) {
      status.className = "bad";
      status.replaceChildren(serverText(error.message));
    }
    button.disabled = false;
    onDone();
  };
  return h("button", { type: "button", onclick }, t(action));
}

/** Make the line that says why a training failed, with a button that dismisses it. */
export function makeFailure(name, message, onDone) {
  const status = h("span", { role: "status" });
  const button = makeActionButton(name, "dismiss", status, onDone);
  button.setAttribute("aria-label", `${t("dismiss")}: ${name}`);
  return h("div", { class: "failure" }, h("p", { class: "bad" }, ...withServerTexts("trainingFailed", name, message)), button, status);
}

/**
 * Make the controls that stop or resume a run, whichever is possible, as an element that is kept while they stay the
 * same: the visitor may be typing there. `onDone` is called after the server has answered.
 */
export function makeRunControls(onDone) {
  const element = h("div", { class: "row" });
  let lastState = "";

  function makeControls(run) {
    const status = h("span", { role: "status" });
    if (["running", "loading"].includes(run.state)) return [makeActionButton(run.name, "stop", status, onDone), status];
    if (!["stopped", "done"].includes(run.state)) return [];
    const trainedMinutes = Math.ceil((run.last?.seconds || 0) / 60);
    const minutes = h("input", { type: "number", min: 1, max: 100000, value: trainedMinutes + EXTRA_MINUTES });
    const getContent = () => ({ minutes: Number(minutes.value) });
    const resumeButton = makeActionButton(run.name, "resume", status, onDone, getContent);
    return [h("label", { class: "field" }, h("span", {}, t("untilMinutes")), minutes), resumeButton, status];
  }

  function update(run) {
    if (run.state === lastState) return;
    const hadFocus = element.contains(document.activeElement);
    lastState = run.state;
    element.replaceChildren(...makeControls(run));
    if (hadFocus) element.querySelector("button")?.focus();
  }
  return { element, update };
}
