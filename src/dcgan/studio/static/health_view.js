// What is said of a run in words: the problems that were found, and the metrics that were measured last.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { makeDescriptionList } from "./run_view.js";
import { translateText } from "./server_texts.js";

const POSITION_NAMES = ["step", "images_seen"]; // numbers of an event that are no metrics
const METRIC_TEXTS = {
  kernel_inception_distance_mean: "metricKid",
  frechet_inception_distance: "metricFrechet",
  n: "metricSamples",
  near_training: "metricNear",
  near_training_expected: "metricNearExpected",
  near_training_searched: "metricSearched",
};
const KNOWN = [
  ...["not-finite", "discriminator-too-strong", "generator-too-strong"],
  ...["mode-collapse", "oscillation", "memorising", "nothing-learned"],
];

/** Make the list of the problems of a run: what each means, and what was measured and what to try. */
export function makeHealthList(run) {
  const events = run.events.filter((event) => event.event === "health");
  if (!events.length) return h("p", { class: "quiet" }, t("healthy"));
  const makeItem = ({ step, diagnosis, evidence, advice }) => {
    const words = [diagnosis, translateText(evidence || ""), advice && t("advice", translateText(advice))];
    const text = words.filter(Boolean).join(": ");
    const meaning = KNOWN.includes(diagnosis) ? [h("strong", {}, t(`health_${diagnosis}`)), h("br")] : [];
    return h("li", {}, ...meaning, `${t("step")} ${step.toLocaleString()}: ${text}`);
  };
  return h("ul", { class: "health" }, ...events.map(makeItem));
}

const formatMetric = (value) => (Number.isInteger(value) ? value.toLocaleString() : String(Number(value.toPrecision(4))));

export function makeMetricList(run) {
  const event = run.events.filter((event) => event.event === "measured").at(-1);
  if (!event) return [];
  const isMetric = ([name, value]) => typeof value === "number" && !POSITION_NAMES.includes(name);
  const pairs = Object.entries(event).filter(isMetric).map(([name, value]) => [METRIC_TEXTS[name] ? t(METRIC_TEXTS[name]) : name, formatMetric(value)]);
  return [h("h3", {}, t("metrics")), makeDescriptionList(pairs)];
}
