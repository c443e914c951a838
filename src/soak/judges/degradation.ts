import type { Finding } from '../findings.js';
import { count, ms, percent } from '../format.js';
import type { Percentiles, WindowReading } from '../samples.js';
import type { Thresholds } from '../thresholds.js';
import {
  bySegment,
  fail,
  finding,
  inconclusive,
  type Judgement,
  overSegments,
  pass,
  type SegmentJudgement,
} from './judgement.js';
import { isCount, isReading, timesProblem } from './readings.js';

/**
 * `slow` operations are a twentieth of the mix, and so may be the answers that make a window. These are enough for a 95th
 * percentile; the 99th is looked at where there are as many as of the others.
 */
export const slowAnswersShare = 1 / 20;

/** A generator that is late by less does not show in percentiles. */
const lagMsMin = 1;

/** Where the generator is late by a millisecond, a server on the same machine may well be by several, but not by any number. */
const lagMultipleMax = 10;

/** When more of the windows are empty or thin, the rest does not stand for the whole. */
const gapShareMax = 0.5;

interface Window {
  readonly latency: Percentiles | null;
  readonly lagP99Ms: number | null;
}

/** A window held against the baseline. */
interface Compared {
  /** How many times as long, by p95 or p99, whichever is worse; by p95 alone where there are too few answers for a p99. */
  readonly ratio: number;
  /** The generator was late as well: the machine was busy, and the server may not be to blame. */
  readonly busy: boolean;
}

function latencyProblem({ latency }: Window): string | null {
  if (latency === null) return null;
  const { count: answers, p50Ms, p95Ms, p99Ms, maxMs } = latency;
  if (!isCount(answers)) return `answers in a window were counted as ${answers}, which can't be`;
  if (answers === 0) return null;
  const figures = { p50: p50Ms, p95: p95Ms, p99: p99Ms, maximum: maxMs };
  for (const [name, value] of Object.entries(figures)) {
    if (!isReading(value)) return `the ${name} of a window is ${value} ms, which can't be`;
  }
  return p50Ms <= p95Ms && p95Ms <= p99Ms ? null : 'the percentiles of a window do not ascend';
}

function compare(
  window: Window,
  baseline: Window,
  { slowdownRatioMax, windowAnswersMin }: Thresholds,
): Compared {
  const latency = window.latency!;
  const first = baseline.latency!;
  const hasP99 = Math.min(latency.count, first.count) >= windowAnswersMin;
  const lag = window.lagP99Ms;
  const lagFirst = baseline.lagP99Ms;
  const slowerMs = Math.max(
    latency.p95Ms - first.p95Ms * slowdownRatioMax,
    hasP99 ? latency.p99Ms - first.p99Ms * slowdownRatioMax : 0,
  );
  return {
    ratio: Math.max(latency.p95Ms / first.p95Ms, hasP99 ? latency.p99Ms / first.p99Ms : 0),
    busy:
      lag !== null &&
      lagFirst !== null &&
      lagFirst >= 0 &&
      lag > lagMsMin &&
      lag > lagFirst * slowdownRatioMax &&
      slowerMs <= lag * lagMultipleMax,
  };
}

/**
 * How slow the server was in the worst `length` windows running: what the best of them says. A gap ends such a run. Null:
 * there are not so many windows running.
 */
function sustained(windows: readonly (Compared | null)[], length: number): number | null {
  let worst: number | null = null;
  for (let start = 0; start + length <= windows.length; start++) {
    const running = windows.slice(start, start + length);
    if (running.includes(null)) continue;
    worst = Math.max(worst ?? 0, Math.min(...running.map((window) => window!.ratio)));
  }
  return worst;
}

function judgeWindows(windows: readonly Window[], answersMin: number, thresholds: Thresholds): Judgement {
  const { slowdownRatioMax, slowdownWindowsMin } = thresholds;
  const enough = ({ latency }: Window) => latency !== null && latency.count >= answersMin;
  const judged = windows.filter(enough).length;
  const gaps = windows.length - judged;
  const counts = { windows: windows.length, gaps };
  if (!(judged >= slowdownWindowsMin + 1)) {
    return inconclusive(
      `There are ${judged} windows with at least ${count(answersMin)} answers; at least ${slowdownWindowsMin + 1} are needed`,
      counts,
    );
  }
  if (gaps > windows.length * gapShareMax) {
    return inconclusive(
      `${gaps} of ${windows.length} windows have fewer than ${count(answersMin)} answers`,
      counts,
    );
  }
  if (!windows.slice(-slowdownWindowsMin).some(enough)) {
    return inconclusive(
      `The last ${slowdownWindowsMin} windows have fewer than ${count(answersMin)} answers: how the run went on is not known`,
      counts,
    );
  }

  const start = windows.findIndex(enough);
  const baseline = windows[start]!;
  const compared = windows
    .slice(start + 1)
    .map((window) => (enough(window) ? compare(window, baseline, thresholds) : null));
  const ratio = sustained(compared, slowdownWindowsMin);
  const { p95Ms, p99Ms } = baseline.latency!;
  const measured = { sustainedRatio: ratio, baselineP95Ms: p95Ms, baselineP99Ms: p99Ms, ...counts };
  if (ratio === null) {
    return inconclusive(`Gaps leave no ${slowdownWindowsMin} windows running to judge by`, measured);
  }
  const slower = ratio >= 1 ? `${percent(ratio - 1)} slower` : `${percent(1 - ratio)} faster`;
  const text =
    `In the worst ${slowdownWindowsMin} of ${windows.length} windows running, answers are ${slower} (p95 or p99) than in the ` +
    `first one (${ms(p95Ms)} and ${ms(p99Ms)})`;
  const most = `at most ${percent(slowdownRatioMax - 1)}`;
  if (ratio <= slowdownRatioMax) return pass(`${text}; ${most}`, measured);
  const quiet = sustained(
    compared.map((window) => (window?.busy ? null : window)),
    slowdownWindowsMin,
  );
  if (quiet === null || quiet <= slowdownRatioMax) {
    return inconclusive(`${text}; but the load generator was late then, too: the machine was busy`, measured);
  }
  return fail(`${text}; ${most}`, measured);
}

/** Whether answers take longer with time, against the first window of each life of the server. */
export function judgeDegradation(
  id: 'degradation' | 'degradation-slow',
  windows: readonly WindowReading[],
  thresholds: Thresholds,
): Finding {
  const slow = id === 'degradation-slow';
  const answersMin = thresholds.windowAnswersMin * (slow ? slowAnswersShare : 1);
  const segments: SegmentJudgement[] = [];
  for (const [segment, all] of bySegment(windows)) {
    const readings = all.map(({ latency, slowLatency, lagP99Ms }) => ({
      latency: slow ? slowLatency : latency,
      lagP99Ms,
    }));
    const problem = timesProblem(all) ?? readings.map(latencyProblem).find((found) => found !== null) ?? null;
    segments.push({
      segment,
      tooShort: all.length < thresholds.slowdownWindowsMin + 1,
      judgement:
        problem === null
          ? judgeWindows(readings, answersMin, thresholds)
          : inconclusive(`The windows can't be judged: ${problem}`),
    });
  }
  const judgement = overSegments(segments, 'There is no window under load');
  return finding(id, judgement, { ...thresholds, windowAnswersMin: answersMin }, [
    'slowdownRatioMax',
    'slowdownWindowsMin',
    'windowAnswersMin',
  ]);
}
