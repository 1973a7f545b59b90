// The generator in the visitor's browser, by ONNX Runtime Web.

import { noise, truncate } from "./latents.js";

/** What `play` draws with: latents(seed, n, truncation) and draw(latents, labels) -> pictures. */
export async function onnxEngine(about, ort, model) {
  ort.env.wasm.numThreads = 1; // threads need headers that a file on the disk has not
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [channels, height, width] = about.shape;
  return {
    about,
    async latents(seed, n, truncation) {
      const z = noise(seed, n, about.z_dim);
      if (!truncation) return z;
      const g = about.groups; // what chooses the group stays as it is
      return z.map((latent) => [...latent.slice(0, g), ...truncate(latent.slice(g), truncation)]);
    },
    async draw(latents, labels) {
      const n = latents.length;
      const z = new Float32Array(n * about.z_dim);
      latents.forEach((latent, i) => z.set(latent, i * about.z_dim));
      const feeds = { z: new ort.Tensor("float32", z, [n, about.z_dim]) };
      if (about.classes.length) feeds.label = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [n]);
      const { images } = await session.run(feeds);
      return Array.from({ length: n }, (_, i) => picture(images.data, i, channels, height, width));
    },
  };
}

/** Picture i of floats (N, C, H, W) in [-1, 1] as bytes (H, W, C). */
function picture(values, i, channels, height, width) {
  const [size, data] = [height * width, new Uint8Array(channels * height * width)];
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < size; p++)
      data[p * channels + c] = Math.round(Math.min(255, Math.max(0, (values[(i * channels + c) * size + p] + 1) * 127.5)));
  return { width, height, channels, data };
}
