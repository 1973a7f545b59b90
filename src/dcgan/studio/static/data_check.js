// What is in the chosen data, as `dcgan data check` sees it: contact sheet, broken files, advice, expected minutes.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { apiUrl, getJson, post } from "./api.js";
import { makeDescriptionList } from "./run_view.js";
import { serverText, withServerTexts } from "./server_texts.js";

const POLL_INTERVAL_MS = 500;
const MAX_LISTED = 10;

/** The last check, with its result: another language shows it again without another check. */
let last = { data: "", id: "", answer: null };

const formatMinutes = (minutes) => String(Number(minutes.toPrecision(2)));

function describe({ pictures, channels, classes, broken, parts, advice, duplicates, near_duplicates: nearDuplicates }) {
  const size = advice.size.join("×");
  const heldOut = parts.validation + parts.test;
  const classCount = Object.keys(classes).length;
  const takes = [t("checkTakes", formatMinutes(60 * advice.hours), advice.settings.preset, Math.round(1000 * advice.seconds_per_step), advice.device)];
  if (advice.minutes) takes.push(t("checkFirst", advice.minutes));
  return makeDescriptionList([
    [t("pictures"), t("checkCounts", ...[pictures, parts.train, heldOut].map((count) => count.toLocaleString()))],
    [t("usedAs"), t(channels === 1 ? "checkGray" : "checkColor", size)],
    ...(classCount ? [[t("classes"), t("checkClasses", classCount)]] : []),
    [t("broken"), broken.length ? t("checkBroken", broken.length) : t("checkNoBroken")],
    ...(duplicates || nearDuplicates ? [[t("twice"), t("checkTwice", duplicates, nearDuplicates)]] : []),
    [t("takes"), takes.join("; ")],
  ]);
}

function makeReport({ data, id, answer: { report } }, onAdvice) {
  const { advice, broken, notices } = report;
  const sheet = h("img", { class: "sheet", src: apiUrl(`data/checks/${id}/sheet`), alt: t("checkSheet", data) });
  const files = broken.slice(0, MAX_LISTED).map(({ file, reason }) => h("li", {}, `${file}: ${reason}`));
  // The sentences are those of the command, in English.
  const lines = [...advice.reasons, ...(advice.expect ? [advice.expect.text] : []), ...notices];
  const reasons = h("ul", { lang: "en" }, ...lines.map((line) => h("li", {}, line)));
  const minutes = advice.minutes || Math.max(1, Math.ceil(60 * advice.hours));
  const use = h("button", { type: "button", onclick: () => onAdvice({ data, minutes, ...advice.settings }) }, t("useAdvice"));
  return h(
    "div",
    { class: "checked" },
    sheet,
    h(
      "div",
      {},
      describe(report),
      ...(files.length ? [h("ul", { class: "bad", lang: "en" }, ...files)] : []),
      h("details", {}, h("summary", {}, t("advised")), h("code", {}, advice.command), reasons),
      use,
    ),
  );
}

/**
 * Make the panel of a check. `start` checks data, `restore` shows the last check again if it was of these data, `leave`
 * hides what was found of other data; `onAdvice` gets {data, preset, minutes} and the other settings when the visitor wants what is advised.
 */
export function makeDataCheck(signal, onAdvice) {
  const status = h("p", { role: "status" });
  const result = h("div", {});
  const element = h("div", { class: "check", hidden: true }, status, result);
  let [number, followed] = [0, -1]; // an answer that comes after another check was started is not shown

  function show() {
    element.hidden = false;
    const { state, error, report } = last.answer;
    status.className = state === "failed" ? "bad" : "quiet";
    status.replaceChildren(...(state === "failed" ? withServerTexts("checkFailed", error) : error ? [serverText(error)] : []));
    status.hidden = state === "done";
    result.replaceChildren(...(report ? [makeReport(last, onAdvice)] : []));
    element.dataset.check = state;
  }

  async function wait(own) {
    const startTime = performance.now();
    while (own === number && !signal.aborted) {
      const answer = await getJson(`data/checks/${last.id}`, "", signal);
      if (own !== number) return;
      if (answer.state !== "checking") {
        last.answer = answer;
        return show();
      }
      status.textContent = t("checking", Math.round((performance.now() - startTime) / 1000));
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }

  async function follow(begin) {
    const own = (followed = ++number);
    [element.hidden, status.hidden, status.className] = [false, false, "quiet"];
    status.textContent = t("checking", 0);
    result.replaceChildren();
    try {
      await begin();
      await wait(own);
    } catch (error) {
      if (own !== number || signal.aborted) return;
      last.answer = { state: "failed", error: error.message };
      show();
    }
  }

  async function start(data) {
    const isFollowed = followed === number && data === last.data && !last.answer;
    if (!data || isFollowed) return; // a click on the button comes after the change that it ends
    await follow(async () => {
      last = { data, id: "", answer: null };
      last.id = (await (await post("data/checks", { data })).json()).id;
    });
  }

  function restore(data) {
    if (data !== last.data) return;
    if (last.answer) show();
    else if (last.id) follow(async () => {});
  }

  function leave() {
    number += 1;
    element.hidden = true;
    status.textContent = "";
    result.replaceChildren();
  }
  return { element, start, restore, leave };
}
