// Latents in the browser: the counterpart of latents.py. A seed draws other latents here than there.

/** Numbers in (0, 1) from a seed: Mulberry32. */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
}

/** n latents from N(0, 1), by Box and Muller; latent i does not depend on n. */
export function noise(seed, n, zDim) {
  return Array.from({ length: n }, (_, i) => {
    const next = uniform(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b));
    return Float32Array.from({ length: zDim }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
  });
}

/** The normal distribution function (Abramowitz and Stegun 7.1.26, error below 1.5e-7). */
function ndtr(x) {
  const y = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * y);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = (series * Math.exp(-y * y)) / 2;
  return x < 0 ? tail : 1 - tail;
}

/** Latents as if drawn from N(0, 1) cut off at ±threshold: each coordinate keeps its quantile. */
export function truncate(z, threshold) {
  const low = ndtr(-threshold);
  return z.map((x) => {
    const wanted = low + ndtr(x) * (1 - 2 * low);
    let [a, b] = [-threshold, threshold];
    for (let i = 0; i < 30; i++) [a, b] = ndtr((a + b) / 2) < wanted ? [(a + b) / 2, b] : [a, (a + b) / 2];
    return (a + b) / 2;
  });
}

/** z moved along unit directions: z + sum of moves[k] * directions[k]. */
export function moved(z, directions, moves) {
  const out = Float32Array.from(z);
  moves.forEach((far, k) => {
    if (far) directions[k].forEach((d, i) => (out[i] += far * d));
  });
  return out;
}

/** The way along the arc from a (t = 0) to b (t = 1), which keeps a latent's length typical (White 2016). */
export function slerp(a, b, t) {
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  const isStraight = !(Math.abs(Math.sin(angle)) > 1e-4);
  const [p, q] = isStraight
    ? [1 - t, t]
    : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  return a.map((v, i) => p * v + q * b[i]);
}

/** A closed way through the stops: `frames` latents from each to the next. */
export function walk(stops, frames) {
  return stops.flatMap((a, s) =>
    Array.from({ length: frames }, (_, f) => slerp(a, stops[(s + 1) % stops.length], f / frames)),
  );
}
