// Latents in the browser: the counterpart of sampling/latents.py. A seed draws other latents here than there.

/** Return a function that draws numbers in (0, 1) from a seed: Mulberry32. */
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

/** Draw n latents from N(0, 1) by the Box-Muller transform; latent i does not depend on n. */
export function drawLatents(seed, n, zDim) {
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

/** Map a latent of N(0, 1) to N(0, 1) truncated at ±threshold: each coordinate keeps its quantile. */
export function truncateLatent(z, threshold) {
  const lowest = ndtr(-threshold);
  return z.map((x) => {
    const quantile = lowest + ndtr(x) * (1 - 2 * lowest);
    let [low, high] = [-threshold, threshold];
    for (let i = 0; i < 30; i++) {
      const middle = (low + high) / 2;
      [low, high] = ndtr(middle) < quantile ? [middle, high] : [low, middle];
    }
    return (low + high) / 2;
  });
}

/** Move z along unit directions: z + sum of moves[k] * directions[k]. */
export function moveLatent(z, directions, moves) {
  const moved = Float32Array.from(z);
  moves.forEach((distance, k) => {
    if (distance) directions[k].forEach((d, i) => (moved[i] += distance * d));
  });
  return moved;
}

/** Interpolate along the arc from a (t = 0) to b (t = 1), which keeps a latent's length typical (White 2016). */
export function slerp(a, b, t) {
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  const isStraight = !(Math.abs(Math.sin(angle)) > 1e-4);
  const [p, q] = isStraight
    ? [1 - t, t]
    : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  return a.map((v, i) => p * v + q * b[i]);
}

/** Walk through the stops and back to the first: `framesPerStop` latents from each stop to the next. */
export function walkLatents(stops, framesPerStop) {
  return stops.flatMap((stop, s) =>
    Array.from({ length: framesPerStop }, (_, f) => slerp(stop, stops[(s + 1) % stops.length], f / framesPerStop)),
  );
}
