// The page Play: a model's latent space, drawn by the server.

import { h, showPlayPage } from "./web/play.js";
import { serverEngine } from "./api.js";
import { makeFavourites } from "./favourites.js";
import { makeHelp } from "./help.js";
import { makeOpinion } from "./opinion.js";
import { pickModel } from "./picker.js";
import { makeStyles } from "./styles_panel.js";

const MAX_COORDINATE = 100; // of a latent that the server draws

/** Return the latent that the page Draw put into the address, or null if there is none that fits the model. */
function parseStart(text, z_dim) {
  const parts = text ? text.split(",") : [];
  const isCoordinate = (part) => part.trim() !== "" && Math.abs(Number(part)) <= MAX_COORDINATE;
  return parts.length === z_dim && parts.every(isCoordinate) ? parts.map(Number) : null;
}

export async function playPage(root, address) {
  const { params, signal } = address;
  const picker = await pickModel(root, "play", address);
  if (!picker) return;
  const container = h("div");
  const engine = await serverEngine(picker.name);
  if (signal.aborted) return;
  picker.show(makeHelp("latents", "truncation"), container);
  const startText = params.get("from");
  const onState = (state) => {
    if (startText) state.set("from", startText);
    history.replaceState(null, "", `#/play/${encodeURIComponent(picker.name)}?${state}`);
  };
  const start = parseStart(startText, engine.generator.z_dim);
  const makePanels = (shown) => {
    const panels = [makeFavourites(picker.name, engine, shown)];
    if (engine.generator.style_levels > 1) panels.push(makeStyles(engine, shown));
    if (engine.generator.has_discriminator) panels.push(makeOpinion(engine, shown));
    return { elements: panels.map((panel) => panel.element), update: () => panels.forEach((panel) => panel.update()) };
  };
  showPlayPage(container, engine, { params, onState, start, makePanels });
  signal.addEventListener("abort", () => container.remove()); // ends a walk
}
