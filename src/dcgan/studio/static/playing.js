// A run's latent space, drawn by the server.

import { h, play } from "./web/play.js";
import { t } from "./web/strings.js";
import { serverEngine } from "./api.js";
import { pickModel } from "./picker.js";

export async function playPage(root, { run: wanted, params }) {
  const picked = await pickModel(root, "play", wanted);
  if (!picked) return undefined;
  const place = h("div");
  root.replaceChildren(h("h2", {}, t("play")), picked.head, place);
  const from = params.get("from"); // a latent that was drawn
  const engine = await serverEngine(picked.run);
  const onState = (state) => {
    if (from) state.set("from", from);
    history.replaceState(null, "", `#/play/${encodeURIComponent(picked.run)}?${state}`);
  };
  const start = from ? from.split(",").map(Number) : null;
  play(place, engine, { params, onState, start: start?.length === engine.about.z_dim && start.every(Number.isFinite) ? start : null });
  return () => place.remove();
}
