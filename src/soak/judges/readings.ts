/** A reading of memory, of descriptors, of threads or of time that can be true: a living process has none of them at 0. */
export const isReading = (value: number | null): value is number =>
  value !== null && value > 0 && value <= Number.MAX_SAFE_INTEGER;

export const isCount = (value: number | null): value is number =>
  value !== null && Number.isSafeInteger(value) && value >= 0;

/** What is wrong with a reading, for people; null when nothing is. */
export function readingProblem(name: string, value: number | null): string | null {
  if (value === null) return `${name} could not be read`;
  return isReading(value) ? null : `${name} was read as ${value}, which can't be`;
}

/** What is wrong with the order of times; null when they ascend. */
export function timesProblem(points: readonly { readonly atMs: number }[]): string | null {
  let before = -1;
  for (const { atMs } of points) {
    if (!Number.isFinite(atMs) || atMs < 0) return `a time is ${atMs} ms, which can't be`;
    if (atMs === before) return `two readings have the same time (${atMs} ms)`;
    if (atMs < before) return `times are out of order (${atMs} ms comes after ${before} ms)`;
    before = atMs;
  }
  return null;
}

// The two below are false for what is no number: judges let pass only what they have seen to be within its limit.

/** At most the limit, or above it by no more than the rounding of a sum. */
export const atMost = (value: number, limit: number): boolean => value <= limit + Math.abs(limit) * 1e-9;

/** Below the limit by more than the rounding of a sum. */
export const below = (value: number, limit: number): boolean => value < limit - Math.abs(limit) * 1e-9;
