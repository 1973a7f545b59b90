// What the pages Runs and Watch both show of a run: its progress, and the buttons that stop and resume it.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { post } from "./api.js";

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

/** Make the list of a run's steps, images, time and, while it trains, its speed. */
export function makeProgressList(run) {
  if (!run.last) return makeDescriptionList([[t("state"), t(run.state)]]);
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

/** Make what stops or resumes a run, whichever is possible. `onDone` is called after the server has answered. */
export function makeRunControls(run, onDone) {
  if (run.state === "broken") return [];
  const status = h("span", { role: "status", class: "bad" });
  const makeButton = (action, getContent) => {
    const onclick = async (event) => {
      event.target.disabled = true;
      try {
        await post(`runs/${run.name}/${action}`, getContent());
        status.textContent = "";
      } catch (error) {
        status.textContent = error.message;
      }
      event.target.disabled = false;
      onDone();
    };
    return h("button", { type: "button", onclick }, t(action));
  };
  if (run.state === "running") return [makeButton("stop", () => ({})), status];
  const trainedMinutes = Math.ceil((run.last?.seconds || 0) / 60);
  const minutes = h("input", { type: "number", min: 1, max: 100000, value: trainedMinutes + EXTRA_MINUTES });
  return [
    h("label", { class: "field" }, h("span", {}, t("untilMinutes")), minutes),
    makeButton("resume", () => ({ minutes: Number(minutes.value) })),
    status,
  ];
}
