// Pictures or a zip that the visitor drops on the form become a new set below the folder of the data.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { post } from "./api.js";
import { serverText } from "./server_texts.js";

const PART_BYTES = 2 ** 19; // of a file in one request, which may have 1 MiB
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

/** Return a name that the server keeps: `image (1).png` stays, other characters become `_`. */
const cleanName = (name) => name.normalize("NFC").replace(/[^\p{L}\p{N}_ .()+,-]/gu, "_").replace(/^[^\p{L}\p{N}]+/u, "");

async function sendFile(set, file) {
  let data = "";
  for (let offset = 0; offset === 0 || offset < file.size; offset += PART_BYTES) {
    const bytes = new Uint8Array(await file.slice(offset, offset + PART_BYTES).arrayBuffer());
    const isLast = offset + PART_BYTES >= file.size;
    const content = { file: cleanName(file.name), offset, content: toBase64(bytes), is_last: isLast };
    ({ data } = await (await post(`data/sets/${set}/files`, content)).json());
  }
  return data;
}

/** Make the zone. `onSet` gets what the server calls the new set once all files are there. */
export function makeDropZone(onSet, signal) {
  const status = h("p", { role: "status", class: "quiet" });
  const input = h("input", { type: "file", multiple: true, accept: TYPES });
  const label = h("label", { class: "field" }, h("span", {}, t("drop")), input);
  const element = h("div", { class: "drop" }, label, h("p", { class: "quiet" }, t("dropHow")), status);

  async function send(files) {
    if (!files.length) return;
    input.disabled = true;
    status.className = "quiet";
    try {
      const { name } = await (await post("data/sets", { name: nameOf(files) })).json();
      let data = "";
      for (const [i, file] of files.entries()) {
        if (signal.aborted) return;
        status.textContent = t("sending", i + 1, files.length, file.name);
        data = await sendFile(name, file);
      }
      status.textContent = t("sentAll", files.length, name);
      onSet(data);
    } catch (error) {
      status.className = "bad";
      status.replaceChildren(serverText(error.message));
    }
    [input.disabled, input.value] = [false, ""];
  }

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
