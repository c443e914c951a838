import { median } from 'simple-statistics';
import type { Finding } from '../findings.js';
import { bytes, bytesBeside, count, percent } from '../format.js';
import type { FootprintRecord } from '../run-record.js';
import type { Thresholds } from '../thresholds.js';
import { fail, finding, inconclusive, type Judgement, overSegments, pass, worst } from './judgement.js';
import type { SegmentSeries } from './leak.js';
import { isCount, isReading, readingProblem } from './readings.js';
import { type Point, type SeriesPoint, seriesProblem, wholeWindows, windowMinima } from './series.js';

/** A reading that is missing leaves the question open; one that can't be, such as 0, fails. */
function memoryProblem(readings: Readonly<Record<string, number | null>>): Judgement | null {
  const found = Object.entries(readings)
    .filter(([, value]) => !isReading(value))
    .map(([name, value]) => {
      const problem = readingProblem(name, value)!;
      return value === null ? inconclusive(problem) : fail(problem);
    });
  const [first, ...others] = found;
  return first === undefined ? null : worst(first, ...others);
}

/** Resident memory before any request. */
function judgeIdle(idleRssBytes: number | null, { idleRssBytesMax }: Thresholds): Judgement {
  const measured = { idleRssBytes };
  const problem = memoryProblem({ 'RSS before any request': idleRssBytes });
  if (problem !== null) return { ...problem, measured };
  const detail = `RSS is ${bytesBeside(idleRssBytes, idleRssBytesMax)} before any request; at most ${bytes(idleRssBytesMax)}`;
  return idleRssBytes! <= idleRssBytesMax ? pass(detail, measured) : fail(detail, measured);
}

const moves = (bytes: number) => (bytes < 0 ? 'falls' : 'grows');

/** From idle to after a load, by ratio or by difference. */
function judgeGrowth(
  idleRssBytes: number | null,
  finalRssBytes: number | null,
  what: string,
  { growthRatioMax, growthBytesMax }: Thresholds,
): Judgement {
  const problem = memoryProblem({
    [`RSS before ${what}`]: idleRssBytes,
    [`RSS after ${what}`]: finalRssBytes,
  });
  if (problem !== null) return { ...problem, measured: { idleRssBytes, finalRssBytes } };
  const growthBytes = finalRssBytes! - idleRssBytes!;
  const ratio = finalRssBytes! / idleRssBytes!;
  const measured = { growthBytes, ratio, idleRssBytes, finalRssBytes };
  const detail =
    `RSS ${moves(growthBytes)} from ${bytes(idleRssBytes)} to ${bytes(finalRssBytes)} over ${what}, ` +
    `by ${bytesBeside(Math.abs(growthBytes), growthBytesMax)} to ${percent(ratio, 0)}; ` +
    `at most by ${bytes(growthBytesMax)} or to ${percent(growthRatioMax, 0)}`;
  const holds = (Number.isFinite(ratio) && ratio <= growthRatioMax) || growthBytes <= growthBytesMax;
  return holds ? pass(detail, measured) : fail(detail, measured);
}

/** Whether growth levels off: what the second half of a load adds against what the first half did. */
function judgePlateau(
  startBytes: number | null,
  halfBytes: number | null,
  endBytes: number | null,
  what: string,
  { plateauRatioMax, plateauBytesMax }: Thresholds,
): Judgement {
  const problem = memoryProblem({
    [`RSS at the start of ${what}`]: startBytes,
    [`RSS in the middle of ${what}`]: halfBytes,
    [`RSS at the end of ${what}`]: endBytes,
  });
  if (problem !== null) return problem;
  const firstHalfBytes = halfBytes! - startBytes!;
  const secondHalfBytes = endBytes! - halfBytes!;
  const measured = { firstHalfBytes, secondHalfBytes };
  const second = `${moves(secondHalfBytes)} by ${bytesBeside(Math.abs(secondHalfBytes), plateauBytesMax)}`;
  const first = `${moves(firstHalfBytes)} by ${bytes(Math.abs(firstHalfBytes))}`;
  const detail =
    `In the second half of ${what} RSS ${second}, in the first it ${first}; ` +
    `at most ${percent(plateauRatioMax, 0)} of that or ${bytes(plateauBytesMax)}`;
  const levels = secondHalfBytes <= firstHalfBytes * plateauRatioMax || secondHalfBytes <= plateauBytesMax;
  return levels ? pass(detail, measured) : fail(detail, measured);
}

/**
 * From the first window after the warm-up to the last quarter of a load: a step is growth, too, and no line shows it. Null:
 * too few windows to tell.
 */
function judgeLoadGrowth(points: readonly SeriesPoint[], thresholds: Thresholds): Judgement | null {
  if (wholeWindows(points) < thresholds.leakWindowsMin) return null;
  const problem = seriesProblem('RSS', points, false);
  if (problem !== null) return inconclusive(`The series can't be judged: ${problem}`);
  const minima = windowMinima(points);
  const quarter = Math.max(1, Math.floor(minima.length / 4));
  return judgeGrowth(minima[0]!.value, level(minima.slice(-quarter)), 'the load', thresholds);
}

const level = (points: readonly Point[]) => median(points.map(({ value }) => value));

/**
 * The same over a whole load, by the floors of RSS in its first, middle and last quarter: these are as far apart as halves
 * are in time, and their median does not mind a window with one collection more or less. Null: too few windows to tell.
 */
export function judgeLoadPlateau(points: readonly SeriesPoint[], thresholds: Thresholds): Judgement | null {
  if (wholeWindows(points) < thresholds.leakWindowsMin) return null;
  const problem = seriesProblem('RSS', points, false);
  if (problem !== null) return inconclusive(`The series can't be judged: ${problem}`);
  const minima = windowMinima(points);
  const quarter = Math.max(1, Math.floor(minima.length / 4));
  const middle = Math.floor((minima.length - quarter) / 2);
  return judgePlateau(
    level(minima.slice(0, quarter)),
    level(minima.slice(middle, middle + quarter)),
    level(minima.slice(-quarter)),
    'the load',
    thresholds,
  );
}

/** Whether every request of the footprint's load was answered. */
function judgeAnswered(requests: number, answered: number): Judgement {
  const measured = { requests, answered };
  if (!isCount(requests) || !isCount(answered)) {
    return inconclusive(
      `Requests were counted as ${requests} and answers as ${answered}, which can't be`,
      measured,
    );
  }
  if (requests === 0) return inconclusive('Nothing was asked', measured);
  const detail = `${count(answered)} of ${count(requests)} requests were answered; all of them have to be`;
  return answered === requests ? pass(detail, measured) : fail(detail, measured);
}

/** Growth from idle by the requests that were served; of no weight while there are few of them. */
export function judgePerRequest(
  idleRssBytes: number | null,
  finalRssBytes: number | null,
  requests: number,
  { bytesPerRequestMax, bytesPerRequestFromRequests }: Thresholds,
): Judgement {
  const problem = memoryProblem({ 'RSS at the start': idleRssBytes, 'RSS at the end': finalRssBytes });
  if (problem !== null) return { ...problem, measured: { bytesPerRequest: null, requests } };
  if (!isCount(requests) || requests === 0) {
    return inconclusive(`Requests were counted as ${requests}: there is nothing to divide by`, { requests });
  }
  const bytesPerRequest = (finalRssBytes! - idleRssBytes!) / requests;
  const measured = { bytesPerRequest, requests };
  const text = `RSS grows by ${count(bytesPerRequest)} bytes for each of ${count(requests)} requests`;
  if (requests < bytesPerRequestFromRequests) {
    return pass(
      `${text}; reported only, as it is judged from ${count(bytesPerRequestFromRequests)} on`,
      measured,
    );
  }
  const detail = `${text}; at most ${count(bytesPerRequestMax)}`;
  return bytesPerRequest <= bytesPerRequestMax ? pass(detail, measured) : fail(detail, measured);
}

/** What one life of the server has served, and its memory before and after. */
export interface ServedLife {
  readonly segment: number;
  readonly startRssBytes: number | null;
  readonly endRssBytes: number | null;
  readonly requests: number;
}

/** What a footprint is judged by besides its own record: the run that came after it. */
export interface FootprintRun {
  readonly lives: readonly ServedLife[];
  /** RSS of the load in each life of the server. */
  readonly series: readonly SegmentSeries[];
}

/** Each life by itself: memory goes with the process. One with few requests does not count beside one with many. */
export function judgePerRequestOf(lives: readonly ServedLife[], thresholds: Thresholds): Judgement {
  return overSegments(
    lives.map(({ segment, startRssBytes, endRssBytes, requests }) => ({
      segment,
      tooShort: requests < thresholds.bytesPerRequestFromRequests,
      judgement: judgePerRequest(startRssBytes, endRssBytes, requests, thresholds),
    })),
    'There is no reading of RSS',
  );
}

/** The worst of all lives that lasted long enough. Null: none did. */
function overLives(
  series: readonly SegmentSeries[],
  judge: (points: readonly SeriesPoint[]) => Judgement | null,
): Judgement | null {
  const judged = series.map(({ segment, points }) => ({ segment, judgement: judge(points) }));
  if (judged.every(({ judgement }) => judgement === null)) return null;
  return overSegments(
    judged.map(({ segment, judgement }) => ({
      segment,
      tooShort: judgement === null,
      judgement: judgement ?? inconclusive('Too few windows'),
    })),
    'There is no reading of RSS under load',
  );
}

const firstRequests = 'the first requests';

/** All findings of the footprint; without a run they are of the footprint's own load alone. */
export function judgeFootprint(
  footprint: FootprintRecord | null,
  thresholds: Thresholds,
  run: FootprintRun | null = null,
): Finding[] {
  const { idleRssBytes, halfRssBytes, finalRssBytes, requests, answered } = footprint ?? nothing;
  const lives = run?.lives ?? [
    { segment: 0, startRssBytes: idleRssBytes, endRssBytes: finalRssBytes, requests },
  ];
  const series = run?.series ?? [];
  const taken = (judgement: Judgement) =>
    footprint === null ? inconclusive('The footprint was not taken') : judgement;

  // The warm-up between the two loads is nobody's: caches may fill in it.
  const growth = taken(judgeGrowth(idleRssBytes, finalRssBytes, firstRequests, thresholds));
  const growthOfLoad = overLives(series, (points) => judgeLoadGrowth(points, thresholds));
  const plateau = taken(judgePlateau(idleRssBytes, halfRssBytes, finalRssBytes, firstRequests, thresholds));
  const plateauOfLoad = overLives(series, (points) => judgeLoadPlateau(points, thresholds));

  return [
    finding('footprint-idle', taken(judgeIdle(idleRssBytes, thresholds)), thresholds, ['idleRssBytesMax']),
    finding('footprint-growth', growthOfLoad === null ? growth : worst(growth, growthOfLoad), thresholds, [
      'growthRatioMax',
      'growthBytesMax',
    ]),
    finding(
      'footprint-plateau',
      plateauOfLoad === null ? plateau : worst(plateau, plateauOfLoad),
      thresholds,
      ['plateauRatioMax', 'plateauBytesMax'],
    ),
    finding('footprint-answered', taken(judgeAnswered(requests, answered)), thresholds),
    finding('footprint-per-request', taken(judgePerRequestOf(lives, thresholds)), thresholds, [
      'bytesPerRequestMax',
      'bytesPerRequestFromRequests',
    ]),
  ];
}

const nothing: FootprintRecord = {
  idleRssBytes: null,
  halfRssBytes: null,
  finalRssBytes: null,
  requests: 0,
  answered: 0,
};
