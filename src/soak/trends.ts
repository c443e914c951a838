import type { SlopeUnit } from './format.js';
import { bySegment } from './judges/judgement.js';
import { type SegmentSeries, subjects, type TrendId, trendIds } from './judges/leak.js';
import { fitLine, type Point, seriesProblem, windowMinima } from './judges/series.js';
import type { RunRecord } from './run-record.js';
import type { Sample } from './samples.js';

const readings: Readonly<Record<TrendId, (sample: Sample) => number | null>> = {
  'leak-rss': ({ process }) => process.rssBytes,
  'leak-heap': ({ own }) => own?.heapAfterGcBytes ?? null,
  'leak-fds': ({ process }) => process.fds,
  'leak-threads': ({ process }) => process.threads,
};

/** What is judged: the samples after the warm-up, for each life of the server. */
export function seriesOf(samples: readonly Sample[], id: TrendId): SegmentSeries[] {
  const judged = samples.filter(({ phase }) => phase === 'load');
  return [...bySegment(judged)].map(([segment, all]) => ({
    segment,
    points: all.map((sample) => ({ atMs: sample.atMs, value: readings[id](sample) ?? null })),
  }));
}

/** From the first window to the last one. */
export interface TrendLine {
  readonly from: Point;
  readonly to: Point;
  readonly slopePerHour: number;
  /** Null: all windows have the same value. */
  readonly r2: number | null;
}

export interface SegmentTrend {
  readonly segment: number;
  /** The floor: the lowest reading of each window, at its own time. */
  readonly minima: readonly Point[];
  /** Null: too few windows, or readings that can't be. */
  readonly line: TrendLine | null;
}

export interface Trend {
  readonly id: TrendId;
  readonly unit: SlopeUnit;
  readonly segments: readonly SegmentTrend[];
}

/** What the findings on leaks are judged by, to be drawn. */
export function trendsOf({ samples, config }: Pick<RunRecord, 'samples' | 'config'>): Trend[] {
  return trendIds.map((id) => {
    const { name, unit, sparse } = subjects[id];
    const segments = seriesOf(samples, id).map(({ segment, points }) => {
      const minima = windowMinima(points).filter(({ atMs, value }) => Number.isFinite(atMs + value));
      const judged =
        seriesProblem(name, points, sparse) === null && minima.length >= config.thresholds.leakWindowsMin;
      return { segment, minima, line: judged ? fitLine(minima) : null };
    });
    return { id, unit, segments };
  });
}
