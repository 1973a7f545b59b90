// The film of a run, which the server draws and the visitor's browser saves.

import { downloadFile } from "./web/files.js";
import { t } from "./web/strings.js";
import { apiUrl, checkResponse } from "./api.js";
import { serverText } from "./server_texts.js";

/** Save the film of a run as a .gif or an .mp4; `status` says what comes of it. */
export async function downloadFilm(runName, kind, status) {
  [status.className, status.textContent] = ["quiet", t("filmDrawn")];
  try {
    const response = await checkResponse(await fetch(`${apiUrl(`runs/${runName}/film`)}?kind=${kind}`));
    downloadFile(await response.blob(), `${runName}.${kind}`);
    status.textContent = "";
  } catch (error) {
    status.className = "bad";
    status.replaceChildren(serverText(error.message));
  }
}
