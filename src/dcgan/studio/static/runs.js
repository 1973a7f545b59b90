// Every run in the folder: its preview, state and figures; start, stop, resume.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { address, get, post } from "./api.js";

export function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return t("seconds", Math.round(seconds));
  return seconds < 5400 ? t("minutes", Math.round(seconds / 60)) : t("hours", (seconds / 3600).toFixed(1));
}

function list(pairs) {
  return h("dl", {}, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function figures(run) {
  if (!run.last) return list([[t("state"), t(run.state)]]);
  const pairs = [
    [t("steps"), run.last.step.toLocaleString()],
    [t("images"), run.last.images_seen.toLocaleString()],
    [t("trained"), time(run.last.seconds)],
  ];
  if (run.state === "running" && run.last.seconds)
    pairs.push([t("speed"), t("imagesASecond", Math.round(run.last.images_seen / run.last.seconds).toLocaleString())], [t("left"), time(run.left)]);
  return list(pairs);
}

/** Stop or resume, whichever can be done. */
export function controls(run, done) {
  const note = h("span", { role: "status", class: "bad" });
  const act = (name, content) => async (event) => {
    event.target.disabled = true;
    try {
      await post(`runs/${run.name}/${name}`, content?.());
      note.textContent = "";
    } catch (error) {
      note.textContent = error.message;
    }
    event.target.disabled = false;
    done();
  };
  if (run.state === "running") return [h("button", { type: "button", onclick: act("stop") }, t("stop")), note];
  if (run.state === "broken") return [];
  const so = Math.ceil((run.last?.seconds || 0) / 60) + 3;
  const minutes = h("input", { type: "number", min: 1, max: 100000, value: so });
  const wanted = () => ({ minutes: Number(minutes.value) });
  return [
    h("label", { class: "field" }, h("span", {}, t("untilMinutes")), minutes),
    h("button", { type: "button", onclick: act("resume", wanted) }, t("resume")),
    note,
  ];
}

function card(run, done) {
  const link = (page) => `#/${page}/${encodeURIComponent(run.name)}`;
  const preview = run.preview
    ? h("img", { class: "preview", alt: t("previewOf", run.name), src: address(`runs/${run.name}/samples/${run.preview}`), loading: "lazy" })
    : "";
  const ways = run.state === "broken" ? [] : [h("a", { href: link("watch") }, t("watch"))];
  if (run.has_model) ways.push(h("a", { href: link("play") }, t("play")));
  const said = run.state === "broken" ? h("p", { class: "bad" }, run.problem) : figures(run);
  return h(
    "li",
    { class: "run", "data-run": run.name },
    preview,
    h("h3", {}, run.name),
    h("span", { class: `badge ${run.state}` }, t(run.state)),
    said,
    h("div", { class: "row" }, ...ways),
    run.state === "broken" ? "" : h("details", {}, h("summary", {}, t("more")), h("div", { class: "row" }, ...controls(run, done))),
  );
}

function starter(presets, done) {
  const preset = h("select", {}, ...Object.entries(presets).map(([name, line]) => h("option", { value: name, title: line, selected: name === "fast" }, name)));
  const line = h("p", { class: "quiet" }, presets.fast);
  preset.addEventListener("change", () => (line.textContent = presets[preset.value]));
  const data = h("input", { type: "text", value: "mnist", required: true, maxlength: 400 });
  const minutes = h("input", { type: "number", value: 3, min: 0.1, max: 100000, step: "any", required: true });
  const note = h("p", { role: "status", class: "bad" });
  const form = h(
    "form",
    {},
    h("fieldset", {}, h("legend", {}, t("startOne")),
      h("div", { class: "row" },
        h("label", { class: "field" }, h("span", {}, t("preset")), preset),
        h("label", { class: "field" }, h("span", {}, t("data")), data),
        h("label", { class: "field" }, h("span", {}, t("minutesOf")), minutes),
        h("button", { class: "main" }, t("start"))),
      line, note),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const wanted = { preset: preset.value, data: data.value, minutes: Number(minutes.value) };
      const { name } = await (await post("runs", wanted)).json();
      note.textContent = "";
      location.hash = `#/watch/${encodeURIComponent(name)}`;
    } catch (error) {
      note.textContent = error.message;
    }
    done();
  });
  return form;
}

export async function runsPage(root) {
  const cards = h("ul", { class: "runs" });
  const failed = h("div", { role: "alert" });
  let said = "";
  const refresh = async () => {
    const found = await get("runs");
    const now = JSON.stringify([found.runs, found.failed]);
    if (now === said || cards.contains(document.activeElement)) return found; // nothing moves under a visitor's hands
    said = now;
    cards.replaceChildren(...found.runs.map((run) => card(run, refresh)));
    failed.replaceChildren(...Object.entries(found.failed).map(([name, why]) => h("p", { class: "bad" }, `${name}: ${why}`)));
    return found;
  };
  const found = await refresh();
  const links = found.shipped.flatMap((name) => [" ", h("a", { href: `#/play/${name}` }, name)]);
  const ready = links.length ? [h("p", { class: "ready" }, t("tryShipped"), ...links)] : [];
  const empty = found.runs.length ? [] : [h("p", {}, t("noRunsYet"))];
  root.replaceChildren(h("h2", {}, t("runs")), starter(found.presets, refresh), failed, ...ready, ...empty, cards);
  const timer = setInterval(() => refresh().catch(() => {}), 3000);
  return () => clearInterval(timer);
}
