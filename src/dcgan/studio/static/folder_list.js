// The list of folders below the data roots, to choose data from.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { getJson } from "./api.js";
import { serverText } from "./server_texts.js";

/** Make the list, closed at first. `onChoose` gets what the server calls the chosen data. */
export function makeFolderList(onChoose) {
  const list = h("div", {});
  const element = h("details", { class: "folders" }, h("summary", {}, t("browse")), list);

  function choose(data) {
    element.open = false;
    element.querySelector("summary").focus();
    onChoose(data);
  }

  const makeItem = (text, onclick) => h("li", {}, h("button", { type: "button", onclick }, text));

  function makeSets(sets) {
    if (!sets.length) return [];
    const items = sets.map((name) => makeItem(name, () => choose(name)));
    return [h("p", { class: "quiet" }, t("sets")), h("ul", { class: "entries" }, ...items)];
  }

  let [current, number] = ["", 0]; // an answer that comes after another one was asked for is not shown

  async function open(folder) {
    const own = ++number;
    current = folder;
    try {
      const { sets, folders, files, pictures, parent } = await getJson("data/folders", `?folder=${encodeURIComponent(folder)}`);
      if (own !== number) return;
      const up = parent === null ? [] : [makeItem(`↑ ${t("browseUp")}`, () => open(parent))];
      const here = folder ? [makeItem(t("useFolder", pictures.toLocaleString()), () => choose(folder))] : [];
      const items = folders.map(({ name, data }) => makeItem(`📁 ${name}`, () => open(data)));
      const fileItems = files.map(({ name, data }) => makeItem(name, () => choose(data)));
      const isEmpty = folder && !items.length && !fileItems.length;
      const note = isEmpty ? [h("p", { class: "quiet" }, t("noFolders"))] : [];
      list.replaceChildren(
        ...(folder ? [h("p", { class: "path" }, folder)] : []),
        h("ul", { class: "entries" }, ...up, ...here, ...items, ...fileItems),
        ...note,
        ...makeSets(sets),
      );
    } catch (error) {
      if (own !== number) return;
      const goToTop = h("ul", { class: "entries" }, makeItem(t("browseTop"), () => open("")));
      list.replaceChildren(h("p", { class: "bad", role: "alert" }, serverText(error.message)), goToTop);
    }
  }

  element.addEventListener("toggle", () => {
    if (element.open) open(current); // its content may have changed meanwhile
  });
  return element;
}
