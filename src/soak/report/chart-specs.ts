import { count, perHour } from '../format.js';
import { slowAnswersShare } from '../judges/degradation.js';
import { bySegment } from '../judges/judgement.js';
import type { TrendId } from '../judges/leak.js';
import type { RunRecord } from '../run-record.js';
import type { Percentiles, Sample } from '../samples.js';
import type { Trend } from '../trends.js';
import { broken, increments, type Point, perSecond } from './series.js';
import type { ChartSpec, Line } from './time-chart.js';

/** Instead of a chart: why there is none. */
export interface Absent {
  readonly id: string;
  readonly title: string;
  readonly absent: string;
}

/** All charts of the report, in its order. */
export function chartSpecs(record: RunRecord, trends: readonly Trend[]): (ChartSpec | Absent)[] {
  return [
    memory(record, trends),
    heap(record, trends),
    counts(record, trends),
    latency(record, 'latency'),
    latency(record, 'slowLatency'),
    requests(record),
    drops(record),
    delays(record),
  ];
}

type Reading = (sample: Sample) => number | null | undefined;

const values = (samples: readonly Sample[], of: Reading): Point[] =>
  broken(
    samples.map((sample) => [sample.atMs, of(sample) ?? null]),
    samples.map(({ segment }) => segment),
  );

/** For readings that are not taken with each sample. */
const sparse = (samples: readonly Sample[], of: Reading): Point[] =>
  values(
    samples.filter((sample) => (of(sample) ?? null) !== null),
    of,
  );

const hasAny = (points: readonly Point[]) => points.some(([, value]) => value !== null);

const largest = (lines: readonly (readonly Point[])[]) =>
  lines.reduce((most, points) => points.reduce((high, [, value]) => Math.max(high, value ?? 0), most), 0);

function byteUnit(bytes: number): { unit: string; size: number } {
  if (bytes < 4 * 1024 ** 2) return { unit: 'KiB', size: 1024 };
  return bytes < 8 * 1024 ** 3 ? { unit: 'MiB', size: 1024 ** 2 } : { unit: 'GiB', size: 1024 ** 3 };
}

const divided = (points: readonly Point[], by: number): Point[] =>
  points.map(([at, value]) => [at, value === null ? null : value / by]);

/** The minima of windows as dots, and the line through those of each segment. */
function trendLines(
  name: string,
  trends: readonly Trend[],
  id: TrendId,
  { ink, size = 1, minima: hasMinima = false }: { ink: number; size?: number; minima?: boolean },
): Line[] {
  const { unit, segments } = trends.find((trend) => trend.id === id) ?? { unit: 'count', segments: [] };
  const minima: Point[] = segments.flatMap((own) =>
    own.minima.map(({ atMs, value }): Point => [atMs, value]),
  );
  const fits = segments.flatMap(({ line }) => (line === null ? [] : [line]));
  const slopes = fits.map(
    ({ slopePerHour, r2 }) =>
      `${slopePerHour > 0 ? '+' : ''}${perHour(slopePerHour, unit)}${r2 === null ? '' : ` (r² ${r2.toFixed(2)})`}`,
  );
  const fitted: Point[] = fits.flatMap(({ from, to }): Point[] => [
    [from.atMs, from.value],
    [to.atMs, to.value],
    [to.atMs, null],
  ]);
  const dots: Line = {
    name: `${name}: lowest of each window`,
    points: divided(minima, size),
    colour: ink,
    dots: true,
  };
  const fittedLine: Line = {
    name: `${name}: fitted line, ${slopes.join('; then ')}`,
    points: divided(fitted, size),
    colour: ink,
    dash: [8, 5],
    width: 2.6,
  };
  // On top of readings that never change a line says nothing.
  const says = hasMinima ? fits.length > 0 : fits.some(({ r2 }) => r2 !== null);
  return [...(hasMinima && minima.length > 0 ? [dots] : []), ...(says ? [fittedLine] : [])];
}

function memory({ samples }: RunRecord, trends: readonly Trend[]): ChartSpec | Absent {
  const head = { id: 'memory', title: 'Resident memory' };
  const rss = values(samples, ({ process }) => process.rssBytes);
  const pss = values(samples, ({ process }) => process.pssBytes);
  if (!hasAny(rss) && !hasAny(pss)) return { ...head, absent: 'there are no readings of resident memory.' };
  const { unit, size } = byteUnit(largest([rss, pss]));
  return {
    ...head,
    caption:
      'Of the server process, as the kernel counts it: RSS, and PSS, which leaves out what is shared with others. ' +
      'The lowest reading of each window of ten samples is the floor that a leak raises.',
    unit,
    scale: 'near',
    lines: [
      ...(hasAny(pss) ? [{ name: 'PSS', points: divided(pss, size), colour: 2, width: 1.2 }] : []),
      { name: 'RSS', points: divided(rss, size), colour: 0 },
      ...trendLines('RSS', trends, 'leak-rss', { ink: 1, size, minima: true }),
    ],
  };
}

function heap({ samples }: RunRecord, trends: readonly Trend[]): ChartSpec | Absent {
  const head = { id: 'heap', title: 'Heap and external memory' };
  const floor = sparse(samples, ({ own }) => own?.heapAfterGcBytes);
  const external = values(samples, ({ own }) => own?.externalBytes);
  if (floor.length === 0 && !hasAny(external))
    return { ...head, absent: 'the server offers no heap readings.' };
  const { unit, size } = byteUnit(largest([floor, external]));
  return {
    ...head,
    caption:
      'From the server itself: what is left on the heap right after a full collection, which is done once in a window, ' +
      'and memory outside of the heap that belongs to it.',
    unit,
    scale: 'zero',
    lines: [
      ...(floor.length > 0
        ? [{ name: 'heap after a collection', points: divided(floor, size), colour: 0 }]
        : []),
      ...trendLines('heap', trends, 'leak-heap', { ink: 1, size }),
      ...(hasAny(external) ? [{ name: 'external', points: divided(external, size), colour: 2 }] : []),
    ],
  };
}

function counts({ samples }: RunRecord, trends: readonly Trend[]): ChartSpec | Absent {
  const head = { id: 'counts', title: 'Descriptors and threads' };
  const fds = values(samples, ({ process }) => process.fds);
  const threads = values(samples, ({ process }) => process.threads);
  if (!hasAny(fds) && !hasAny(threads))
    return { ...head, absent: 'there are no readings of descriptors or threads.' };
  return {
    ...head,
    caption: 'Open file descriptors and threads of the server process.',
    unit: 'number',
    scale: 'zero',
    whole: true,
    lines: [
      ...(hasAny(fds) ? [{ name: 'descriptors', points: fds, colour: 0 }] : []),
      ...trendLines('descriptors', trends, 'leak-fds', { ink: 1 }),
      ...(hasAny(threads) ? [{ name: 'threads', points: threads, colour: 2 }] : []),
      ...trendLines('threads', trends, 'leak-threads', { ink: 3 }),
    ],
  };
}

function latency(
  { windows, config: { thresholds, mix } }: RunRecord,
  which: 'latency' | 'slowLatency',
): ChartSpec | Absent {
  const isSlow = which === 'slowLatency';
  const head = isSlow
    ? { id: 'latency-slow', title: 'Latency of slow operations' }
    : { id: 'latency', title: 'Latency' };
  const points = (of: (reading: Percentiles) => number): Point[] =>
    broken(
      windows.map((window) => [window.atMs, window[which] === null ? null : of(window[which])]),
      windows.map(({ segment }) => segment),
    );
  if (!hasAny(points(({ p50Ms }) => p50Ms))) {
    if (windows.length === 0)
      return { ...head, absent: 'the run did not last for one whole window after the warm-up.' };
    if (isSlow && mix.slow === 0) return { ...head, absent: 'no slow operations were asked for.' };
    return {
      ...head,
      absent: isSlow ? 'no slow operation was answered.' : 'nothing was answered after the warm-up.',
    };
  }
  const answersMin = thresholds.windowAnswersMin * (isSlow ? slowAnswersShare : 1);
  const baselines = [...bySegment(windows).values()].flatMap((own) => {
    const baseline = own.find((window) => (window[which]?.count ?? 0) >= answersMin)?.[which];
    return baseline ? [{ baseline, fromMs: own[0].atMs, toMs: own[own.length - 1].atMs }] : [];
  });
  const limits = (name: string, of: (reading: Percentiles) => number, ink: number): Line[] =>
    baselines.length === 0
      ? []
      : [
          {
            name: `limit of ${name}`,
            points: baselines.flatMap(({ baseline, fromMs, toMs }): Point[] => {
              const most = of(baseline) * thresholds.slowdownRatioMax;
              return [
                [fromMs, most],
                [toMs, most],
                [toMs, null],
              ];
            }),
            colour: ink,
            dash: [2, 4],
            width: 1.6,
          },
        ];
  return {
    ...head,
    caption:
      'From when a request was due to its whole answer, by windows after the warm-up and without the times of faults. ' +
      (baselines.length === 0
        ? 'No window has enough answers to hold others against. Logarithmic.'
        : `The limits are ${count(thresholds.slowdownRatioMax)} times what the first window with enough answers had. Logarithmic.`),
    unit: 'ms',
    scale: 'log',
    lines: [
      { name: 'p50', points: points(({ p50Ms }) => p50Ms), colour: 2 },
      { name: 'p95', points: points(({ p95Ms }) => p95Ms), colour: 0 },
      { name: 'p99', points: points(({ p99Ms }) => p99Ms), colour: 1 },
      ...limits('p95', ({ p95Ms }) => p95Ms, 0),
      ...limits('p99', ({ p99Ms }) => p99Ms, 1),
    ],
  };
}

function requests({ samples }: RunRecord): ChartSpec | Absent {
  const head = { id: 'requests', title: 'Requests' };
  if (!samples.some(({ load }) => load.due > 0)) return { ...head, absent: 'no request was due.' };
  return {
    ...head,
    caption:
      'Due by the schedule, answered as expected, and failed: answered otherwise, not in time, lost with the connection, ' +
      'or never sent.',
    unit: 'a second',
    scale: 'zero',
    lines: [
      { name: 'due', points: perSecond(samples, ({ load }) => load.due), colour: 7, width: 3.5 },
      { name: 'as expected', points: perSecond(samples, ({ load }) => load.expected), colour: 2 },
      {
        name: 'failed',
        points: perSecond(
          samples,
          ({ load: { unexpected, timedOut, lost, unsent } }) => unexpected + timedOut + lost + unsent,
        ),
        colour: 4,
      },
    ],
  };
}

const dropsPrefix = 'drops.';
/** As many as there are colours. */
const dropReasonsMax = 8;

function drops({ samples }: RunRecord): ChartSpec | Absent {
  const head = { id: 'drops', title: 'Drops by reason' };
  const names = new Set(samples.flatMap(({ status }) => Object.keys(status ?? {})));
  const reasons = [...names].filter((name) => name.startsWith(dropsPrefix)).sort();
  if (reasons.length === 0) return { ...head, absent: 'the server tells nothing of drops.' };
  const lines = reasons
    .map((name) => {
      const points = increments(samples, name);
      return { name, points, sum: points.reduce((sum, [, value]) => sum + (value ?? 0), 0) };
    })
    .filter(({ sum }) => sum > 0)
    .sort((a, b) => b.sum - a.sum);
  if (lines.length === 0) return { ...head, absent: 'the server has dropped nothing.' };
  return {
    ...head,
    caption: `What the server dropped since the sample before${
      lines.length > dropReasonsMax ? `; the ${dropReasonsMax} most frequent of ${lines.length} reasons` : ''
    }.`,
    unit: 'a sample',
    scale: 'zero',
    whole: true,
    lines: lines.slice(0, dropReasonsMax).map(({ name, points, sum }, i) => ({
      name: `${name.slice(dropsPrefix.length)}: ${count(sum)}`,
      points,
      colour: i,
    })),
  };
}

function delays({ samples }: RunRecord): ChartSpec | Absent {
  const head = { id: 'delays', title: 'Delays of the server and of the runner' };
  const server = values(samples, ({ own }) => own?.eventLoopDelayP99Ms);
  const runner = values(samples, ({ load }) => load.lagP99Ms);
  if (!hasAny(server) && !hasAny(runner)) return { ...head, absent: 'there are no readings of delays.' };
  return {
    ...head,
    caption:
      `99th percentiles since the sample before: ${hasAny(server) ? "of the server's event loop, and " : ''}of how late ` +
      'the runner itself was with its requests. Where the runner was late the machine was busy. Logarithmic.',
    unit: 'ms',
    scale: 'log',
    lines: [
      ...(hasAny(server) ? [{ name: "the server's event loop", points: server, colour: 0 }] : []),
      ...(hasAny(runner) ? [{ name: 'lag of the runner', points: runner, colour: 1 }] : []),
    ],
  };
}
