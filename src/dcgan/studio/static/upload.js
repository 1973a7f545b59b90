// Pictures or a zip that the visitor drops on the form become a new set below the folder of the data.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { RefusedError, post } from "./api.js";
import { serverText } from "./server_texts.js";

const PART_BYTES = 2 ** 19; // of a file in one request, which may have 1 MiB
const MAX_STEM_CHARS = 60; // of a file's name; a system allows 255 bytes, which are 85 Korean letters
const TYPES = ".png,.jpg,.jpeg,.webp,.gif,.bmp,.zip";

/** Return bytes as base64, in pieces that fit the arguments of a function. */
function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** Return a name for a set: that of its first file, with only what such a name may have. */
function nameOf(files) {
  const stem = files[0].name.replace(/\.[^.]*$/, "").normalize("NFC");
  return stem.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^[-_]+/, "").slice(0, 36) || "set";
}

/** Return the stem and the suffix of a file, without what the server refuses in a name. */
function splitName(name) {
  const [, stem, suffix = ""] = /^(.*?)(\.[^.]*)?$/s.exec(name.normalize("NFC").replace(/[^\p{L}\p{N}_ .()+,-]/gu, "_"));
  const start = [...stem.replace(/^[^\p{L}\p{N}]+/u, "")].slice(0, MAX_STEM_CHARS); // no half of a character
  return [start.join("") || "file", suffix];
}

/** Return a name that the server keeps for each file, all different: `image (1).png` stays, another `1.png` is `1-2.png`. */
function cleanNames(files) {
  const [taken, numbers] = [new Set(), new Map()];
  return files.map((file) => {
    const [stem, suffix] = splitName(file.name);
    const key = `${stem}${suffix}`.toLowerCase(); // some systems do not tell A.png from a.png
    let [name, number] = [`${stem}${suffix}`, numbers.get(key) || 1];
    while (taken.has(name.toLowerCase())) name = `${stem}-${++number}${suffix}`;
    numbers.set(key, number);
    taken.add(name.toLowerCase());
    return name;
  });
}

async function sendFile(set, file, name) {
  let data = "";
  for (let offset = 0; offset === 0 || offset < file.size; offset += PART_BYTES) {
    const bytes = new Uint8Array(await file.slice(offset, offset + PART_BYTES).arrayBuffer());
    const isLast = offset + PART_BYTES >= file.size;
    const content = { file: name, offset, content: toBase64(bytes), is_last: isLast };
    ({ data } = await (await post(`data/sets/${set}/files`, content)).json());
  }
  return data;
}

/** The last upload. It goes on, and is shown, in another language, or on another page and back. */
const upload = { isSending: false, className: "quiet", describe: () => [], zone: null };

function tell(className, describe) {
  Object.assign(upload, { className, describe });
  upload.zone.show();
}

function setSending(isSending) {
  upload.isSending = isSending;
  upload.zone.enable();
}

/** Send files into a new set. Return its name, what the server calls its data ("" if it is empty), and the refusals. */
async function sendAll(files) {
  const { name } = await (await post("data/sets", { name: nameOf(files) })).json();
  const [names, refusals] = [cleanNames(files), []];
  let data = "";
  for (const [i, file] of files.entries()) {
    tell("quiet", () => [t("sending", i + 1, files.length, file.name)]);
    try {
      data = await sendFile(name, file, names[i]);
    } catch (error) {
      if (!(error instanceof RefusedError && error.status === 400)) throw error; // the next file would fail too
      refusals.push(error.message);
    }
  }
  return { name, data, refusals };
}

async function send(files) {
  if (!files.length || upload.isSending) return;
  setSending(true);
  try {
    const { name, data, refusals } = await sendAll(files);
    const sent = () => (data ? [t("sentAll", files.length - refusals.length, name), " "] : []);
    const refused = () => [t("refusedFiles", refusals.length), " ", serverText(refusals[0])];
    if (refusals.length) tell("bad", () => [...sent(), ...refused()]);
    else tell("quiet", sent);
    if (data) upload.zone.onSet(data);
  } catch (error) {
    tell("bad", () => [serverText(error.message)]);
  }
  setSending(false);
}

/** Make the zone. `onSet` gets what the server calls the new set once all files are there. */
export function makeDropZone(onSet) {
  const status = h("p", { role: "status" });
  const input = h("input", { type: "file", multiple: true, accept: TYPES });
  const label = h("label", { class: "field" }, h("span", {}, t("drop")), input);
  const element = h("div", { class: "drop" }, label, h("p", { class: "quiet" }, t("dropHow")), status);

  function show() {
    status.className = upload.className;
    status.replaceChildren(...upload.describe());
  }

  function enable() {
    input.disabled = upload.isSending;
    if (!upload.isSending) input.value = "";
  }

  upload.zone = { show, enable, onSet };
  show();
  enable();
  input.addEventListener("change", () => send([...input.files]));
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    send([...event.dataTransfer.files]);
  });
  return element;
}
