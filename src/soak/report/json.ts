import type { RunRecord, SoakResult } from '../run-record.js';
import type { Sample } from '../samples.js';
import { trendsOf } from '../trends.js';
import { chaosCounts } from './time-axis.js';

/** Of the format; another number when fields change their meaning or go. */
const version = 1;

/** A result for machines. Fields always come in this order. */
export function reportJson({ verdict, findings, record }: SoakResult): string {
  const { config, versions, machine, repeat } = record;
  const report = { version, verdict, findings, config, versions, machine, record: summary(record), repeat };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** What the record has besides, with sums in the place of long lists. */
function summary(record: RunRecord): object {
  const { samples, windows } = record;
  return {
    startedAt: record.startedAt,
    driver: record.driver,
    command: record.command,
    segments: record.segments,
    ended: record.ended,
    readyAfterMs: record.readyAfterMs,
    footprint: record.footprint,
    peak: record.peak,
    finalRssBytes: record.finalRssBytes,
    orphans: record.orphans,
    losses: record.losses,
    chaos: Object.fromEntries(chaosCounts(record)),
    samples: {
      count: samples.length,
      firstAtMs: samples.at(0)?.atMs ?? null,
      lastAtMs: samples.at(-1)?.atMs ?? null,
      rssBytes: range(samples, ({ process }) => process.rssBytes),
      pssBytes: range(samples, ({ process }) => process.pssBytes),
      heapAfterGcBytes: range(samples, ({ own }) => own?.heapAfterGcBytes),
      externalBytes: range(samples, ({ own }) => own?.externalBytes),
      fds: range(samples, ({ process }) => process.fds),
      threads: range(samples, ({ process }) => process.threads),
      eventLoopDelayP99Ms: range(samples, ({ own }) => own?.eventLoopDelayP99Ms),
      lagP99Ms: range(samples, ({ load }) => load.lagP99Ms),
    },
    windows: {
      count: windows.length,
      gaps: windows.filter(({ latency }) => latency === null).length,
      p50Ms: range(windows, ({ latency }) => latency?.p50Ms),
      p95Ms: range(windows, ({ latency }) => latency?.p95Ms),
      p99Ms: range(windows, ({ latency }) => latency?.p99Ms),
    },
    trends: trendsOf(record).map(({ id, unit, segments }) => ({
      id,
      unit,
      segments: segments.map(({ segment, minima, line }) => ({
        segment,
        windows: minima.length,
        slopePerHour: line?.slopePerHour ?? null,
        r2: line?.r2 ?? null,
      })),
    })),
    serverExit: record.serverExit,
    serverOutput: record.serverOutput,
    notes: record.notes,
    runner: record.runner,
  };
}

/** Null: it was never read. */
function range<T extends Sample | RunRecord['windows'][number]>(
  items: readonly T[],
  of: (item: T) => number | null | undefined,
): object | null {
  const values = items.flatMap((item) => {
    const value = of(item);
    return typeof value === 'number' && Number.isFinite(value) ? [value] : [];
  });
  if (values.length === 0) return null;
  return {
    readings: values.length,
    first: values[0],
    last: values[values.length - 1],
    min: values.reduce((a, b) => Math.min(a, b)),
    max: values.reduce((a, b) => Math.max(a, b)),
  };
}
