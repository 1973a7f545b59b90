// The generator in the visitor's browser, run by ONNX Runtime Web.

import { drawLatents, truncateLatent } from "./latents.js";

/** Return an engine for `showPlayPage`: { generator, drawLatents(seed, n, truncation), drawImages(latents, labels) }. */
export async function onnxEngine(generator, ort, model) {
  ort.env.wasm.numThreads = 1; // threads need HTTP headers, which a file on the disk does not have
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [channels, height, width] = generator.shape;
  return {
    generator,
    async drawLatents(seed, n, truncation) {
      const latents = drawLatents(seed, n, generator.z_dim);
      if (!truncation) return latents;
      const g = generator.groups; // the first coordinates choose the group: they are not truncated
      return latents.map((z) => [...z.slice(0, g), ...truncateLatent(z.slice(g), truncation)]);
    },
    async drawImages(latents, labels) {
      const n = latents.length;
      const z = new Float32Array(n * generator.z_dim);
      latents.forEach((latent, i) => z.set(latent, i * generator.z_dim));
      const feeds = { z: new ort.Tensor("float32", z, [n, generator.z_dim]) };
      if (generator.classes.length) feeds.label = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [n]);
      const { images } = await session.run(feeds);
      return Array.from({ length: n }, (_, i) => imageFromFloats(images.data, i, channels, height, width));
    },
  };
}

/** Return image i of floats (N, C, H, W) in [-1, 1], its data as bytes (H, W, C). */
function imageFromFloats(values, i, channels, height, width) {
  const [size, data] = [height * width, new Uint8Array(channels * height * width)];
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < size; p++)
      data[p * channels + c] = Math.round(Math.min(255, Math.max(0, (values[(i * channels + c) * size + p] + 1) * 127.5)));
  return { width, height, channels, data };
}
