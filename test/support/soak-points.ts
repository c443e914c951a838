import type { Random } from '#ackgate/sim/random.js';
import { samplesPerWindow, type WindowReading } from '#ackgate/soak/samples.js';

// Series made up for the judges of trends.

export const MiB = 1024 * 1024;
const hourMs = 3_600_000;

export interface SeriesPoint {
  readonly atMs: number;
  readonly value: number | null;
}

/** A reading every so many seconds, of what the server has at so many hours. */
export function series(
  hours: number,
  sampleSeconds: number,
  value: (hours: number) => number,
  fromHours = 0,
): SeriesPoint[] {
  const count = Math.round((hours * 3600) / sampleSeconds);
  return Array.from({ length: count }, (_, n) => {
    const atMs = fromHours * hourMs + n * sampleSeconds * 1000;
    return { atMs, value: value(atMs / hourMs) };
  });
}

/** Grows to its full size and falls back to nothing, over and over. */
export const sawtooth = (size: number, minutes: number) => (hours: number) =>
  size * (((hours * 60) / minutes) % 1);

/** Settles at its full size. */
export const warmup = (size: number, tauMinutes: number) => (hours: number) =>
  size * (1 - Math.exp((-hours * 60) / tauMinutes));

/** One point for each window, at the same distance: the rest of each window lies above it. */
export const floors = (minima: readonly number[], windowSeconds: number, above = 1): SeriesPoint[] =>
  minima.flatMap((value, window) =>
    Array.from({ length: samplesPerWindow }, (_, n) => ({
      atMs: (window * windowSeconds + (n * windowSeconds) / samplesPerWindow) * 1000,
      value: n === 0 ? value : value + above,
    })),
  );

/**
 * Open connections, less those that all clients have: some are away for 1 to 5 s, six a minute, and visitors stay for 5 to
 * 20 s, three a minute.
 */
export function comingAndGoing(random: Random, count: number, sampleSeconds: number): number[] {
  const ends: { readonly atSeconds: number; readonly by: 1 | -1 }[] = [];
  return Array.from({ length: count }, (_, n) => {
    const from = n * sampleSeconds;
    for (let second = from; second < from + sampleSeconds; second++) {
      if (random.chance(3 / 60)) ends.push({ atSeconds: second + random.between(5, 20), by: 1 });
      if (random.chance(6 / 60)) ends.push({ atSeconds: second + random.between(1, 5), by: -1 });
    }
    const now = from + sampleSeconds;
    return ends.reduce((sum, { atSeconds, by }) => (atSeconds > now ? sum + by : sum), 0);
  });
}

export interface WindowModel {
  /** Null: nothing was answered. */
  readonly p99Ms: number | null;
  readonly p95Ms?: number;
  readonly count?: number;
  readonly lagP99Ms?: number | null;
  readonly segment?: number;
}

export const windowsOf = (models: readonly WindowModel[]): WindowReading[] =>
  models.map(({ p99Ms, p95Ms, count = 10_000, lagP99Ms = 0.1, segment = 0 }, n) => {
    const latency =
      p99Ms === null
        ? null
        : { count, p50Ms: (p95Ms ?? p99Ms) / 3, p95Ms: p95Ms ?? p99Ms / 2, p99Ms, maxMs: p99Ms * 2 };
    return { atMs: (n + 1) * 600_000, segment, latency, slowLatency: latency, lagP99Ms };
  });
