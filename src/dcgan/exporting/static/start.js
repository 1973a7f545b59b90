// The start of the exported page: it reads the model and the runtime, which are in the page or beside it.

import { onnxEngine } from "./onnx.js";
import { h, showPlayPage } from "./play.js";
import { language, setLanguage, t } from "./strings.js";

/** Return the bytes of a file that is embedded in this page, as gzip in base64, or stands beside it. */
async function readFile(name) {
  const embedded = document.getElementById(name);
  if (!embedded) return (await fetch(name)).arrayBuffer();
  const bytes = Uint8Array.from(atob(embedded.textContent.trim()), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const blobUrl = (content, type) => URL.createObjectURL(new Blob([content], { type }));

async function loadEngine() {
  const generator = JSON.parse(document.getElementById("generator").textContent);
  const names = ["ort.mjs", "ort-wasm.mjs", "ort.wasm", "model.onnx"];
  const [runtime, loader, wasm, model] = await Promise.all(names.map(readFile));
  const ort = await import(blobUrl(runtime, "text/javascript"));
  ort.env.wasm.wasmPaths = { mjs: blobUrl(loader, "text/javascript"), wasm: blobUrl(wasm, "application/wasm") };
  return onnxEngine(generator, ort, model);
}

async function start() {
  document.documentElement.lang = language();
  const root = document.getElementById("play");
  root.textContent = t("loading");
  try {
    const engine = await loadEngine();
    const onState = (params) => history.replaceState(null, "", `#${params}`);
    const show = () => showPlayPage(root, engine, { params: new URLSearchParams(location.hash.slice(1)), onState });
    const languageButton = h("button", { type: "button" }, t("language"));
    languageButton.addEventListener("click", () => {
      document.documentElement.lang = document.documentElement.lang === "ko" ? "en" : "ko";
      setLanguage(document.documentElement.lang);
      languageButton.textContent = t("language");
      show();
    });
    document.getElementById("tools").replaceChildren(languageButton);
    show();
  } catch (error) {
    root.textContent = t("failed", error.message);
  }
}

start();
