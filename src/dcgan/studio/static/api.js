// Requests to the studio's server.

import { translateText } from "./server_texts.js";

/** Return the URL of a route, whose parts are separated by `/`. */
export const apiUrl = (route) => `api/${route.split("/").map(encodeURIComponent).join("/")}`;

/**
 * Return the URL of one grid of a run. A browser shows a picture again without asking while its URL stays the same, and
 * another run may have the name of one that was deleted.
 */
export const gridUrl = (name, { grid_version: version }, file) => `${apiUrl(`runs/${name}/samples/${file}`)}?version=${version}`;

/** A request that the server has refused, with its status and the reason that it gave. */
export class RefusedError extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** Return a response, or throw an error with the reason that the server gave. */
export async function checkResponse(response) {
  if (response.ok) return response;
  const { detail } = await response.json().catch(() => ({ detail: response.statusText }));
  throw new RefusedError(response.status, translateText(String(detail)));
}

export const getJson = async (route, query = "", signal = undefined) =>
  (await checkResponse(await fetch(apiUrl(route) + query, { signal }))).json();

export const post = async (route, content = {}) =>
  checkResponse(
    await fetch(apiUrl(route), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(content),
    }),
  );

const roundCoordinate = (value) => Math.round(value * 1e4) / 1e4;

/** Return the body of a request for pictures; `mix` is {label, share}, or null. */
function drawing(latents, labels, mix) {
  const z = latents.map((latent) => Array.from(latent, roundCoordinate));
  return mix ? { z, labels, mix_label: mix.label, mix_share: mix.share } : { z, labels };
}

/** Return the engine with which `showPlayPage` draws: a model on the server. */
export async function serverEngine(name) {
  const generator = await getJson(`models/${name}`);
  return {
    generator,
    canMix: true,
    async drawLatents(seed, n, truncation) {
      const query = `?seed=${seed}&n=${n}${truncation ? `&truncation=${truncation}` : ""}`;
      return (await getJson(`models/${name}/latents`, query)).z.map((z) => Float32Array.from(z));
    },
    async drawImages(latents, labels, mix) {
      const bytes = new Uint8Array(await (await post(`models/${name}/draw`, drawing(latents, labels, mix))).arrayBuffer());
      return latents.map((_, i) => imageFromBytes(bytes, i, generator.shape));
    },
    /** Return each latent with the style of each from a layer on: N·N pictures, row by row. */
    async mixStyles(latents, labels, level) {
      const response = await post(`models/${name}/styles`, { ...drawing(latents, labels, null), level });
      const bytes = new Uint8Array(await response.arrayBuffer());
      return Array.from({ length: latents.length ** 2 }, (_, i) => imageFromBytes(bytes, i, generator.shape));
    },
    /** Return what the discriminator thinks of pictures: {kind, scores, maps}. */
    async scoreImages(latents, labels, mix) {
      return (await post(`models/${name}/scores`, drawing(latents, labels, mix))).json();
    },
  };
}

/** Return image i of bytes (N, H, W, C); `shape` is [C, H, W]. */
export function imageFromBytes(bytes, i, [channels, height, width]) {
  const size = channels * height * width;
  return { width, height, channels, data: Uint8Array.from(bytes.slice(i * size, (i + 1) * size)) };
}
