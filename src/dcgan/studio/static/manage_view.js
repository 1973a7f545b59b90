// What a visitor changes of a run besides its training: a note, its name, and deleting it, which is asked twice.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { post } from "./api.js";
import { serverText } from "./server_texts.js";

const MAX_NOTE_CHARS = 2000;

/** What the visitor has not sent yet, by the name of the run: another language, or another page and back, shows it again. */
const drafts = new Map();
const NO_DRAFT = { note: null, newName: null, isOpen: false };

/**
 * Make the form that changes a run. `onRenamed` is called with the new name, `onDeleted` after the run is gone;
 * `update` takes the run as it is now, and leaves alone what the visitor is writing.
 */
export function makeManageForm(name, { onRenamed, onDeleted }) {
  const status = h("p", { role: "status" });
  const note = h("textarea", { rows: 3, maxlength: MAX_NOTE_CHARS });
  const newName = h("input", { type: "text", maxlength: 80 });
  const draft = { ...NO_DRAFT, ...drafts.get(name) };
  note.value = draft.note ?? "";
  newName.value = draft.newName ?? name;
  note.addEventListener("input", () => remember({ note: note.value }));
  newName.addEventListener("input", () => remember({ newName: newName.value }));

  function remember(change) {
    drafts.set(name, Object.assign(draft, change));
  }

  function onNoteSaved(text) {
    if (note.value === text) remember({ note: null }); // otherwise the visitor has gone on writing
  }

  function forgetAnd(onDone) {
    drafts.delete(name); // another run may get this name
    onDone();
  }

  /** Send a change, then do `onDone`, or say why it was refused. */
  async function send(action, content, onDone) {
    [status.className, status.textContent] = ["quiet", t("sent")];
    try {
      await post(`runs/${name}/${action}`, content);
      status.textContent = t("changed");
      onDone();
    } catch (error) {
      status.className = "bad";
      status.replaceChildren(serverText(error.message));
    }
  }

  const makeButton = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, t(text));
  const makeField = (text, input) => h("label", { class: "field wide" }, h("span", {}, t(text)), input);
  const saveNote = makeButton("saveNote", () => {
    const text = note.value;
    send("note", { text }, () => onNoteSaved(text));
  });
  const rename = makeButton("rename", () => {
    const chosenName = newName.value;
    send("rename", { name: chosenName }, () => forgetAnd(() => onRenamed(chosenName)));
  });
  const confirm = h("div", { class: "row", hidden: true });
  const remove = makeButton("deleteRun", () => {
    confirm.hidden = false;
    reallyRemove.focus();
  });
  const reallyRemove = makeButton("deleteForEver", () => send("delete", { name }, () => forgetAnd(onDeleted)), { class: "danger" });
  const keep = makeButton("keepRun", () => {
    confirm.hidden = true;
    remove.focus();
  });
  confirm.append(h("p", { class: "bad" }, t("deleteAsk", name)), reallyRemove, keep);

  function update(run) {
    if (draft.note === null && note.value !== (run.note || "")) note.value = run.note || "";
    const isBusy = ["running", "loading"].includes(run.state);
    rename.disabled = remove.disabled = isBusy;
  }

  const rows = [makeField("note", note), h("div", { class: "row" }, saveNote)];
  rows.push(h("div", { class: "row" }, makeField("newName", newName), rename), remove, confirm, status);
  const element = h("details", { class: "manage", open: draft.isOpen }, h("summary", {}, t("manage")), ...rows);
  element.addEventListener("toggle", () => remember({ isOpen: element.open }));
  return { element, update };
}
