// The arithmetic of a chart: ranges, ticks and smoothing. It draws nothing.

const SMOOTHING_REACH = 7; // a smoothed point is a mean over so many points on each side
const MIN_TICKS = 3;
const OUTLIER_SHARE = 0.01;

/** Return the range of all values but the lowest and highest 1%, so that one spike does not flatten the curves. */
export function robustRange(values, isLogarithmic = false) {
  const sorted = [...values].sort((a, b) => a - b);
  const last = sorted.length - 1;
  const [low, high] = [sorted[Math.floor(last * OUTLIER_SHARE)], sorted[Math.ceil(last * (1 - OUTLIER_SHARE))]];
  if (high > low) return [low, high];
  return isLogarithmic ? [low / 2, low * 2] : [low - 0.5, low + 0.5];
}

/** Return about `count` round values from low to high: multiples of 1, 2 or 5 times a power of ten. */
export function niceTicks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}

/** Return round values for a logarithmic axis: powers of ten, and 2 and 5 times these, or evenly spaced ones if few. */
export function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = first; power <= last; power++) for (const factor of factors) ticks.push(factor * 10 ** power);
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  return inside.length < MIN_TICKS ? niceTicks(low, high, 4) : inside;
}

/** Return the ticks whose pixels are at least `gap` apart, from the first one on. */
export function keepApart(ticks, toPixel, gap) {
  const kept = [];
  for (const tick of ticks) if (!kept.length || Math.abs(toPixel(tick) - toPixel(kept.at(-1))) >= gap) kept.push(tick);
  return kept;
}

/** Return a number as short text: 25k, 1.2M, 0.02, 3e-5. */
export function formatTick(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e3) return `${Number((value / 1e3).toPrecision(3))}k`;
  return size && size < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(3)));
}

/** Return points whose values are means of those around them: as many before as behind, so that nothing is delayed. */
export function smooth(points) {
  const sums = [0];
  for (const [, y] of points) sums.push(sums.at(-1) + y);
  return points.map(([x], i) => {
    const reach = Math.min(SMOOTHING_REACH, i, points.length - 1 - i);
    return [x, (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1)];
  });
}
