import type { Sample } from '../samples.js';

/** Time in milliseconds, and a value; null is a gap. */
export type Point = readonly [atMs: number, value: number | null];

const isValue = (value: number | null): value is number => value !== null && Number.isFinite(value);

/**
 * At most two points for each of so many columns of the picture, the lowest and the highest in it, so that peaks stay.
 * A gap wider than a column stays one.
 */
export function thinned(points: readonly Point[], columns: number): Point[] {
  if (points.length <= 2 * columns) return points.map(([at, value]) => [at, isValue(value) ? value : null]);
  const [beginMs] = points[0];
  const columnMs = (points[points.length - 1][0] - beginMs) / columns || 1;
  const thin: Point[] = [];
  for (let from = 0; from < points.length; ) {
    const column = Math.min(columns - 1, Math.floor((points[from][0] - beginMs) / columnMs));
    let to = from + 1;
    while (
      to < points.length &&
      Math.min(columns - 1, Math.floor((points[to][0] - beginMs) / columnMs)) === column
    )
      to++;
    thin.push(...extremes(points, from, to));
    from = to;
  }
  return thin;
}

/** The lowest and highest of some points in the order of time, and whether a gap begins or ends there. */
function extremes(points: readonly Point[], from: number, to: number): Point[] {
  let low = -1;
  let high = -1;
  for (let i = from; i < to; i++) {
    const [, value] = points[i];
    if (!isValue(value)) continue;
    if (low < 0 || value < (points[low][1] as number)) low = i;
    if (high < 0 || value > (points[high][1] as number)) high = i;
  }
  const gap = (i: number): Point[] => (isValue(points[i][1]) ? [] : [[points[i][0], null]]);
  if (low < 0) return gap(from);
  const kept = low === high ? [low] : [Math.min(low, high), Math.max(low, high)];
  return [...gap(from), ...kept.map((i) => points[i]), ...gap(to - 1)];
}

/** Points that have a gap on both sides: a line would not show them. */
export function isolated(points: readonly Point[], i: number): boolean {
  const has = (at: number) => at >= 0 && at < points.length && points[at][1] !== null;
  return has(i) && !has(i - 1) && !has(i + 1);
}

/** A gap where the server was begun anew: nothing leads from one life to the next. */
export function broken(points: readonly Point[], segments: readonly number[]): Point[] {
  return points.flatMap((point, i) =>
    i > 0 && segments[i] !== segments[i - 1] ? [[point[0], null] as const, point] : [point],
  );
}

/** What came in a second, from counts since the sample before. */
export function perSecond(samples: readonly Sample[], count: (sample: Sample) => number): Point[] {
  return samples.map((sample, i) => {
    const seconds = (sample.atMs - (i === 0 ? 0 : samples[i - 1].atMs)) / 1000;
    return [sample.atMs, seconds > 0 ? count(sample) / seconds : null];
  });
}

/** What was added to one of the server's counters since the sample before; a server begun anew counts from 0. */
export function increments(samples: readonly Sample[], name: string): Point[] {
  let last: number | null = null;
  let segment = -1;
  return samples.map(({ atMs, status, segment: now }) => {
    if (now !== segment) last = now === 0 && segment < 0 ? null : 0;
    segment = now;
    const value = status?.[name];
    if (value === undefined || !Number.isFinite(value)) return [atMs, null];
    // What was counted before the first sample was not counted in it.
    const added = last === null ? 0 : value < last ? value : value - last;
    last = value;
    return [atMs, added];
  });
}

/** Lengths of time on the axis, `[from, to]` in milliseconds. */
export type Span = readonly [fromMs: number, toMs: number];

/** In the order of time, at least so long each; those that touch are one. */
export function merged(spans: readonly Span[], leastMs: number): Span[] {
  const sorted = [...spans].sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [from, to] of sorted) {
    const end = Math.max(to, from + leastMs);
    const last = out.at(-1);
    if (last !== undefined && from - last[1] < leastMs / 2) last[1] = Math.max(last[1], end);
    else out.push([from, end]);
  }
  return out;
}
