// Pictures or a zip that the visitor drops on the form become a new set below the folder of the data.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { RefusedError, post } from "./api.js";
import { serverText } from "./server_texts.js";

const PART_BYTES = 2 ** 19; // of a file in one request, which may have 1 MiB
const MAX_STEM_CHARS = 60; // of a file's name; a system allows 255 bytes, which are 85 Korean letters
const PICTURE_TYPES = ".png,.jpg,.jpeg,.webp,.gif,.bmp";
const TYPES = `${PICTURE_TYPES},.zip`;
const MAX_FILES = 20_000; // of a set, see uploads.py

/** Return bytes as base64, in pieces that fit the arguments of a function. */
function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** A file that the browser cannot read: it was moved or removed after it was chosen. Its text is one of server_texts. */
class UnreadableError extends Error {}

/** Return a name for a set: that of the dropped folder or of the first file, with only what such a name may have. */
function nameOf({ files, folder }) {
  const stem = (folder || files[0].name.replace(/\.[^.]*$/, "")).normalize("NFC");
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

async function readPart(file, offset) {
  try {
    return new Uint8Array(await file.slice(offset, offset + PART_BYTES).arrayBuffer());
  } catch {
    throw new UnreadableError(`${file.name} can no longer be read`);
  }
}

/** Send a file into the set that `getSet` makes: not before there is something to send, so that no empty set is left. */
async function sendFile(getSet, file, name) {
  let data = "";
  for (let offset = 0; offset === 0 || offset < file.size; offset += PART_BYTES) {
    const bytes = await readPart(file, offset);
    const set = await getSet();
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
async function sendAll(chosen) {
  const { files } = chosen;
  const [names, refusals] = [cleanNames(files), []];
  let [name, data] = ["", ""];
  const getSet = async () => (name ||= (await (await post("data/sets", { name: nameOf(chosen) })).json()).name);
  for (const [i, file] of files.entries()) {
    tell("quiet", () => [t("sending", i + 1, files.length, file.name)]);
    try {
      data = await sendFile(getSet, file, names[i]);
    } catch (error) {
      const isOfThisFile = error instanceof UnreadableError || (name && error instanceof RefusedError && error.status === 400);
      if (!isOfThisFile) throw error; // the next file would fail too
      refusals.push(error.message);
    }
  }
  return { name, data, refusals };
}

const isPicture = (name) => PICTURE_TYPES.split(",").some((type) => name.toLowerCase().endsWith(type));

const toFile = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/**
 * Return the pictures in a folder that was dropped, and below it, as [{file, folder}, …]; hidden ones and other files
 * are passed over.
 */
async function listPictures(folder) {
  const [reader, found] = [folder.createReader(), []];
  const readEntries = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  for (let entries; (entries = await readEntries()).length; ) {
    const shown = entries.filter(({ name }) => !name.startsWith("."));
    for (const entry of shown) {
      if (entry.isDirectory) found.push(...(await listPictures(entry)));
      else if (isPicture(entry.name)) found.push({ file: await toFile(entry), folder: folder.fullPath });
    }
  }
  return found;
}

/**
 * Return a function that reads what was dropped: {files, folder: the name if it was one folder, isFlat: whether the
 * pictures of several folders become one set}. A browser shows the entries of an event only as long as it is handled,
 * so they are taken at once.
 */
function readDrop({ items }) {
  const dropped = [...items].filter(({ kind }) => kind === "file").map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const folders = dropped.flatMap(({ entry }) => (entry?.isDirectory ? [entry] : []));
  return async () => {
    const lists = await Promise.all(dropped.map(({ entry, file }) => (entry?.isDirectory ? listPictures(entry) : [{ file, folder: "" }])));
    const found = lists.flat();
    const isFlat = new Set(found.map(({ folder }) => folder)).size > 1;
    return { files: found.map(({ file }) => file), folder: dropped.length === 1 && folders[0]?.name, isFlat };
  };
}

/** Return the function that says what is wrong with chosen files before anything is sent, or null. */
function findMistake({ files }) {
  if (!files.length) return () => [t("noPicturesIn")];
  return files.length > MAX_FILES ? () => [t("tooManyFiles", MAX_FILES.toLocaleString())] : null;
}

/** Send what `read` returns: see `readDrop`. */
async function send(read) {
  if (upload.isSending) return;
  setSending(true);
  try {
    const chosen = await read().catch(() => ({ files: [] }));
    const mistake = findMistake(chosen);
    if (mistake) tell("bad", mistake);
    else await sendChosen(chosen);
  } catch (error) {
    tell("bad", () => [serverText(error.message)]);
  }
  setSending(false);
}

async function sendChosen(chosen) {
  const { name, data, refusals } = await sendAll(chosen);
  const flat = () => (chosen.isFlat ? [t("folderIsFlat"), " "] : []);
  const sent = () => (data ? [t("sentAll", chosen.files.length - refusals.length, name), " ", ...flat()] : []);
  const refused = () => [t("refusedFiles", refusals.length), " ", serverText(refusals[0])];
  if (refusals.length) tell("bad", () => [...sent(), ...refused()]);
  else tell("quiet", sent);
  if (data) upload.zone.onSet(data);
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
  input.addEventListener("change", () => input.files.length && send(async () => ({ files: [...input.files] })));
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    send(readDrop(event.dataTransfer));
  });
  return element;
}
