import { type Finding, type FindingId, findingIds, type RunFinding } from './findings.js';
import { count } from './format.js';
import { judgeDegradation } from './judges/degradation.js';
import { judgeFootprint } from './judges/footprint.js';
import { judgeLeak, judgeSecondHalf, trendIds } from './judges/leak.js';
import { judgeLoss } from './judges/loss.js';
import { judgeCompleted, judgeOrphans, judgeReady } from './judges/outcome.js';
import { judgePeak } from './judges/peak.js';
import type { RunRecord } from './run-record.js';
import { seriesOf } from './trends.js';

/** What of a run its findings rest on. */
export type JudgedRecord = Pick<
  RunRecord,
  | 'config'
  | 'readyAfterMs'
  | 'footprint'
  | 'peak'
  | 'samples'
  | 'windows'
  | 'losses'
  | 'finalRssBytes'
  | 'orphans'
  | 'ended'
>;

const inconclusive = (id: FindingId, detail: string): Finding => ({
  id,
  verdict: 'inconclusive',
  detail,
  measured: [],
  limits: [],
});

/** Why a finding can't be had by design, and so is not asked for; null when it can. */
function notAsked(id: FindingId, { config, samples }: JudgedRecord): string | null {
  const { footprint, burst, mix, thresholds } = config;
  if (id.startsWith('footprint-') && footprint.requests === 0) return 'This scenario takes no footprint';
  if (id === 'peak-transient' && burst.requests === 0) return 'This scenario has no burst';
  if (id === 'leak-second-half' && thresholds.secondHalfBytesPerHourMax === null) {
    return 'Not judged in this scenario';
  }
  if (id === 'leak-heap' && samples.every(({ own }) => (own?.heapAfterGcBytes ?? null) === null)) {
    return 'The server offers no heap readings';
  }
  if (id === 'degradation-slow' && mix.slow === 0) return 'This scenario has no slow operations';
  return null;
}

function footprintFindings(record: JudgedRecord): Finding[] {
  const { config, footprint, finalRssBytes, losses, ended, samples } = record;
  const asked = config.footprint.requests;
  const findings = judgeFootprint(
    // Those that were never sent were not answered either.
    footprint === null || footprint.requests >= asked ? footprint : { ...footprint, requests: asked },
    config.thresholds,
    {
      finalRssBytes,
      requests: losses.due,
      points: seriesOf(samples, 'leak-rss').at(-1)?.points ?? [],
    },
  );
  return findings.map((finding) =>
    finding.id === 'footprint-answered' && finding.verdict === 'fail' && ended.why !== 'time'
      ? {
          ...finding,
          verdict: 'inconclusive',
          detail: `The run ended early, with ${count(footprint?.answered ?? 0)} of ${count(asked)} requests answered`,
        }
      : finding,
  );
}

function judgeAll(record: JudgedRecord): Finding[] {
  const { config, samples, windows } = record;
  const { thresholds } = config;
  return [
    ...footprintFindings(record),
    judgePeak(record.peak, thresholds),
    ...trendIds.map((id) => judgeLeak(id, seriesOf(samples, id), thresholds)),
    judgeSecondHalf(seriesOf(samples, 'leak-rss'), thresholds),
    judgeDegradation('degradation', windows, thresholds),
    judgeDegradation('degradation-slow', windows, thresholds),
    ...judgeLoss(record.losses, thresholds),
    judgeOrphans(record.orphans, thresholds),
  ];
}

/** Every finding of a run, in the order of `findingIds`. */
export function judgeRun(record: JudgedRecord): RunFinding[] {
  const { config, readyAfterMs, ended } = record;
  const { thresholds, required } = config;
  const neverReady = readyAfterMs === null || ended.why === 'not-ready';
  const found = new Map(
    [
      judgeReady(readyAfterMs, ended, config.readySeconds, thresholds),
      judgeCompleted(ended, thresholds),
      ...(neverReady ? [] : judgeAll(record)),
    ].map((finding) => [finding.id, finding]),
  );
  return findingIds.map((id) => {
    const reason = notAsked(id, record);
    if (reason !== null) return { ...inconclusive(id, reason), required: false };
    const finding = found.get(id) ?? inconclusive(id, 'The server never became ready');
    return { ...finding, required: required.includes(id) };
  });
}
