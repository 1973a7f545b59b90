// Requests to the studio's server.

const path = (name) => `api/${name.split("/").map(encodeURIComponent).join("/")}`;

async function answer(response) {
  if (response.ok) return response;
  const { detail } = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Error(typeof detail === "string" ? detail : detail.map((d) => d.msg).join("; "));
}

export const get = async (name, query = "") => (await answer(await fetch(path(name) + query))).json();

export const post = async (name, content = {}) =>
  answer(
    await fetch(path(name), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(content),
    }),
  );

export const address = path;

/** What `play` draws with: the models of the server. */
export async function serverEngine(run) {
  const about = await get(`models/${run}`);
  const [channels, height, width] = about.shape;
  return {
    about,
    async latents(seed, n, truncation) {
      const query = `?seed=${seed}&n=${n}${truncation ? `&truncation=${truncation}` : ""}`;
      return (await get(`models/${run}/latents`, query)).z.map((z) => Float32Array.from(z));
    },
    async draw(latents, labels) {
      const z = latents.map((latent) => Array.from(latent, (v) => Math.round(v * 1e4) / 1e4));
      const bytes = new Uint8Array(await (await post(`models/${run}/draw`, { z, labels })).arrayBuffer());
      return latents.map((_, i) => picture(bytes, i, channels, height, width));
    },
  };
}

/** Picture i of bytes (N, H, W, C). */
export function picture(bytes, i, channels, height, width) {
  const size = channels * height * width;
  return { width, height, channels, data: Uint8Array.from(bytes.slice(i * size, (i + 1) * size)) };
}
