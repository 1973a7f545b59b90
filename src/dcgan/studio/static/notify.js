// Tells the visitor that a run has ended: in the title, and as a notification of the browser if that was asked for.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";

const ACTIVE_STATES = ["loading", "running"];
/** The runs whose end the visitor waits for: in another language, and on another page and back, too. */
const awaited = new Set();
const isSupported = () => "Notification" in window;

/** Make the switch for notifications. `update` takes the run as it is now. */
export function makeNotifier(runName) {
  const box = h("input", { type: "checkbox", checked: awaited.has(runName) });
  const status = h("span", { role: "status", class: "quiet" });
  const element = h("div", { class: "row", hidden: true }, h("label", { class: "option" }, box, t("notify")), status);
  let lastState = null;

  box.addEventListener("change", async () => {
    status.textContent = "";
    box.checked ? awaited.add(runName) : awaited.delete(runName);
    if (!box.checked || Notification.permission === "granted") return;
    if ((await Notification.requestPermission()) === "granted") return;
    box.checked = false;
    awaited.delete(runName);
    status.textContent = t("notifyRefused");
  });

  function tell(state) {
    const text = t("ended", runName, t(`state_${state}`));
    document.title = `● ${text}`;
    if (!box.checked) return;
    try {
      new Notification("dcgan studio", { body: text });
    } catch {
      // Chrome for Android allows notifications and then makes none: the title says it
    }
  }

  function update({ state }) {
    if (ACTIVE_STATES.includes(lastState) && !ACTIVE_STATES.includes(state)) tell(state);
    if (ACTIVE_STATES.includes(state)) document.title = `${t(`state_${state}`)}: ${runName} · dcgan studio`;
    element.hidden = !isSupported() || !ACTIVE_STATES.includes(state);
    lastState = state;
  }
  return { element, update, isWaiting: () => ACTIVE_STATES.includes(lastState) };
}
