import type { Finding } from '../findings.js';
import { bytes, count, duration, perHour, type SlopeUnit } from '../format.js';
import { samplesPerWindow } from '../samples.js';
import type { Thresholds } from '../thresholds.js';
import { fail, finding, inconclusive, type Judgement, overSegments, pass } from './judgement.js';
import { atMost, below } from './readings.js';
import {
  fitLine,
  type Point,
  type SeriesPoint,
  seriesProblem,
  wholeWindows,
  windowMinima,
} from './series.js';

export const trendIds = ['leak-rss', 'leak-heap', 'leak-fds', 'leak-threads'] as const;
export type TrendId = (typeof trendIds)[number];

/** All post-warm-up samples of one life of the server. */
export interface SegmentSeries {
  readonly segment: number;
  readonly points: readonly SeriesPoint[];
}

/** More windows without a reading than this share say too little of the time between. */
const gapShareMax = 0.5;

interface Subject {
  readonly name: string;
  readonly unit: SlopeUnit;
  /** Read once in a window instead of in every sample. */
  readonly sparse: boolean;
}

export const subjects: Readonly<Record<TrendId, Subject>> = {
  'leak-rss': { name: 'RSS', unit: 'bytes', sparse: false },
  'leak-heap': { name: 'heap after a collection', unit: 'bytes', sparse: true },
  'leak-fds': { name: 'open descriptors', unit: 'count', sparse: false },
  'leak-threads': { name: 'threads', unit: 'count', sparse: false },
};

interface Floor {
  readonly minima: readonly Point[];
  /** How long a window lasts, in the mean. */
  readonly windowMs: number;
}

interface Trend {
  readonly slope: number;
  readonly r2: number;
  /** What the slope adds up to over all windows. */
  readonly growth: number;
  /** The slope with all that it rests on, for people. */
  readonly text: string;
  readonly measured: Judgement['measured'];
}

function trendOver({ minima, windowMs }: Floor, { name, unit }: Subject): Trend | null {
  const fit = fitLine(minima);
  if (fit === null) return null;
  const slope = fit.slopePerHour;
  const r2 = fit.r2 === null ? '' : `r² ${fit.r2.toFixed(2)} `;
  const moves = slope < 0 ? 'falls' : 'rises';
  return {
    slope,
    r2: fit.r2 ?? 0,
    growth: fit.to.value - fit.from.value,
    text: `The floor of ${name} ${moves} by ${perHour(Math.abs(slope), unit)} (${r2}over ${minima.length} windows of ${duration(windowMs)})`,
    measured: {
      [unit === 'bytes' ? 'slopeBytesPerHour' : 'slopePerHour']: slope,
      r2: fit.r2,
      windows: minima.length,
      [unit === 'bytes' ? 'growthBytes' : 'growth']: fit.to.value - fit.from.value,
    },
  };
}

const amount = (value: number, unit: SlopeUnit) => (unit === 'bytes' ? bytes(value) : count(value));

const growthMin = (unit: SlopeUnit, thresholds: Thresholds) =>
  unit === 'bytes' ? thresholds.leakGrowthBytesMin : thresholds.leakGrowthCountMin;

/** What both judges of slopes ask of a series before they look at its slope. */
function floor(
  points: readonly SeriesPoint[],
  subject: Subject,
  { leakWindowsMin }: Thresholds,
): Floor | { readonly problem: Judgement } {
  const problem = seriesProblem(subject.name, points, subject.sparse);
  if (problem !== null) return { problem: inconclusive(`The series can't be judged: ${problem}`) };
  const windows = wholeWindows(points);
  const minima = windowMinima(points);
  const measured = { windows: minima.length };
  if (!(minima.length >= leakWindowsMin)) {
    const tooFew = `There are ${minima.length} windows of ${samplesPerWindow} samples with readings of ${subject.name}; at least ${leakWindowsMin} show a trend`;
    return { problem: inconclusive(tooFew, measured) };
  }
  if (minima.length < windows * (1 - gapShareMax)) {
    const gaps = `Only ${minima.length} of ${windows} windows have a reading of ${subject.name}`;
    return { problem: inconclusive(gaps, measured) };
  }
  const spanMs = points.at(-1)!.atMs - points[0]!.atMs;
  return { minima, windowMs: (spanMs / (points.length - 1)) * samplesPerWindow };
}

const noLine: Judgement = inconclusive("No line can be put through the series: its times or values can't be");

function judgeSeries(points: readonly SeriesPoint[], subject: Subject, thresholds: Thresholds): Judgement {
  const series = floor(points, subject, thresholds);
  if ('problem' in series) return series.problem;
  const trend = trendOver(series, subject);
  if (trend === null) return noLine;
  const { unit } = subject;
  const limit = unit === 'bytes' ? thresholds.leakBytesPerHourMax : thresholds.leakCountPerHourMax;
  const most = `at most ${perHour(limit, unit)}`;
  if (atMost(trend.slope, limit)) return pass(`${trend.text}; ${most}`, trend.measured);
  if (trend.slope > limit && trend.r2 <= thresholds.leakR2Min) {
    const noTrend = `${trend.text}; no trend, as ${most} counts from an r² above ${thresholds.leakR2Min} on`;
    return pass(noTrend, trend.measured);
  }
  const least = growthMin(unit, thresholds);
  if (trend.growth < least) {
    const short = `${trend.text}, which adds up to ${amount(trend.growth, unit)} only: a longer run is needed to tell (from ${amount(least, unit)} on)`;
    return inconclusive(short, trend.measured);
  }
  return fail(`${trend.text}; ${most}`, trend.measured);
}

/** Whether something that should stay as it is grows with time. */
export function judgeLeak(id: TrendId, segments: readonly SegmentSeries[], thresholds: Thresholds): Finding {
  const subject = subjects[id];
  const judgement = overSegments(
    segments.map(({ segment, points }) => ({
      segment,
      tooShort: wholeWindows(points) < thresholds.leakWindowsMin,
      judgement: judgeSeries(points, subject, thresholds),
    })),
    `There is no reading of ${subject.name} under load`,
  );
  const limits =
    subject.unit === 'bytes'
      ? (['leakBytesPerHourMax', 'leakR2Min', 'leakWindowsMin', 'leakGrowthBytesMin'] as const)
      : (['leakCountPerHourMax', 'leakR2Min', 'leakWindowsMin', 'leakGrowthCountMin'] as const);
  return finding(id, judgement, thresholds, limits);
}

/** The later half of the windows, the middle one included. */
const secondHalf = (points: readonly SeriesPoint[]) =>
  points.slice(Math.floor(wholeWindows(points) / 2) * samplesPerWindow);

/**
 * The slope has to be shown to be below the limit: a steep one is a leak when the line explains the readings, and leaves
 * the question open when it doesn't.
 */
function judgeHalf(points: readonly SeriesPoint[], limit: number, thresholds: Thresholds): Judgement {
  const subject = subjects['leak-rss'];
  const problem = seriesProblem(subject.name, points, subject.sparse);
  if (problem !== null) return inconclusive(`The series can't be judged: ${problem}`);
  const series = floor(secondHalf(points), subject, thresholds);
  if ('problem' in series) {
    return { ...series.problem, detail: `In the second half of the load: ${series.problem.detail}` };
  }
  const trend = trendOver(series, subject);
  if (trend === null) return noLine;
  const text = `${trend.text} in the second half of the load`;
  const less = `less than ${perHour(limit, 'bytes')} is asked for`;
  if (below(trend.slope, limit)) return pass(`${text}; ${less}`, trend.measured);
  if (!(trend.r2 > thresholds.leakR2Min)) {
    return inconclusive(`${text}; ${less}, and the readings vary too much to tell`, trend.measured);
  }
  if (trend.growth < thresholds.leakGrowthBytesMin) {
    const short = `${text}, which adds up to ${bytes(trend.growth)} only: a longer run is needed to tell (from ${bytes(thresholds.leakGrowthBytesMin)} on)`;
    return inconclusive(short, trend.measured);
  }
  return fail(`${text}; ${less}`, trend.measured);
}

/** Whether resident memory still grows in the second half of the load, which is held to a lower limit. */
export function judgeSecondHalf(segments: readonly SegmentSeries[], thresholds: Thresholds): Finding {
  const limit = thresholds.secondHalfBytesPerHourMax;
  const judgement =
    limit === null
      ? inconclusive('Not judged in this scenario')
      : overSegments(
          segments.map(({ segment, points }) => ({
            segment,
            tooShort: wholeWindows(secondHalf(points)) < thresholds.leakWindowsMin,
            judgement: judgeHalf(points, limit, thresholds),
          })),
          'There is no reading of RSS under load',
        );
  return finding('leak-second-half', judgement, thresholds, [
    'secondHalfBytesPerHourMax',
    'leakR2Min',
    'leakWindowsMin',
    'leakGrowthBytesMin',
  ]);
}
