// The exported page: takes the model and the runtime from the page itself or from beside it, and plays.

import { onnxEngine } from "./onnx.js";
import { h, play } from "./play.js";
import { language, setLanguage, t } from "./strings.js";

/** The bytes of one part: gzip in base64 in this page, or a file beside it. */
async function part(name) {
  const inside = document.getElementById(name);
  if (!inside) return (await fetch(name)).arrayBuffer();
  const bytes = Uint8Array.from(atob(inside.textContent.trim()), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const address = (content, type) => URL.createObjectURL(new Blob([content], { type }));

async function start() {
  document.documentElement.lang = language();
  const about = JSON.parse(document.getElementById("about").textContent);
  const root = document.getElementById("play");
  root.textContent = t("loading");
  try {
    const names = ["ort.mjs", "ort-wasm.mjs", "ort.wasm", "model.onnx"];
    const [runtime, glue, wasm, model] = await Promise.all(names.map(part));
    const ort = await import(address(runtime, "text/javascript"));
    ort.env.wasm.wasmPaths = { mjs: address(glue, "text/javascript"), wasm: address(wasm, "application/wasm") };
    const engine = await onnxEngine(about, ort, model);
    const show = () => play(root, engine, { params: new URLSearchParams(location.hash.slice(1)), onState });
    const onState = (params) => history.replaceState(null, "", `#${params}`);
    const other = h("button", { type: "button" }, t("language"));
    other.addEventListener("click", () => {
      document.documentElement.lang = document.documentElement.lang === "ko" ? "en" : "ko";
      setLanguage(document.documentElement.lang);
      other.textContent = t("language");
      show();
    });
    document.getElementById("tools").replaceChildren(other);
    show();
  } catch (error) {
    root.textContent = t("failed", error.message);
  }
}

start();
