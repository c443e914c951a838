import { linearRegression, rSquared } from 'simple-statistics';
import { samplesPerWindow } from '../samples.js';
import { readingProblem, timesProblem } from './readings.js';

/** Null: it could not be read. */
export interface SeriesPoint {
  readonly atMs: number;
  readonly value: number | null;
}

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

const msPerHour = 3_600_000;

/** Why a series can't be judged; null when it can. In a sparse one most points have no value. */
export function seriesProblem(name: string, points: readonly SeriesPoint[], sparse: boolean): string | null {
  const times = timesProblem(points);
  if (times !== null) return times;
  for (const { value } of points) {
    const problem = sparse && value === null ? null : readingProblem(name, value);
    if (problem !== null) return problem;
  }
  return null;
}

export const wholeWindows = (points: readonly SeriesPoint[]): number =>
  Math.floor(points.length / samplesPerWindow);

/**
 * The lowest reading of each window of ten samples, at its own time. A last window that is not whole is left out, and so
 * is one without any reading.
 */
export function windowMinima(points: readonly SeriesPoint[]): Point[] {
  const minima: Point[] = [];
  for (let start = 0; start + samplesPerWindow <= points.length; start += samplesPerWindow) {
    let lowest: Point | null = null;
    for (const { atMs, value } of points.slice(start, start + samplesPerWindow)) {
      if (value !== null && (lowest === null || value < lowest.value)) lowest = { atMs, value };
    }
    if (lowest !== null) minima.push(lowest);
  }
  return minima;
}

export interface Fit {
  readonly slopePerHour: number;
  /** Share of the variation that the line explains; null: there is no variation. */
  readonly r2: number | null;
  /** The line from its first to its last point. */
  readonly from: Point;
  readonly to: Point;
}

/** Least squares. Null: there is no line through these points. */
export function fitLine(points: readonly Point[]): Fit | null {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || points.length < 2) return null;
  if (points.every(({ value }) => value === first.value)) {
    return { slopePerHour: 0, r2: null, from: first, to: last };
  }
  const hours = ({ atMs }: Point) => (atMs - first.atMs) / msPerHour;
  const pairs = points.map((point) => [hours(point), point.value]);
  const { m, b } = linearRegression(pairs);
  const r2 = rSquared(pairs, (x) => m * x + b);
  if (![m, b, r2].every(Number.isFinite)) return null;
  return {
    slopePerHour: m,
    r2,
    from: { atMs: first.atMs, value: b },
    to: { atMs: last.atMs, value: m * hours(last) + b },
  };
}
