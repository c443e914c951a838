import { type Finding, type FindingId, findingIds, type RunFinding } from './findings.js';
import { count } from './format.js';
import { judgeDegradation } from './judges/degradation.js';
import { judgeFootprint, type ServedLife } from './judges/footprint.js';
import { bySegment } from './judges/judgement.js';
import { judgeLeak, judgeSecondHalf, trendIds } from './judges/leak.js';
import { judgeLoss } from './judges/loss.js';
import { judgeCompleted, judgeOrphans, judgeReady } from './judges/outcome.js';
import { judgePeak } from './judges/peak.js';
import { leftOut } from './left-out.js';
import type { RunRecord } from './run-record.js';
import { type Sample, samplesPerWindow } from './samples.js';
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

/** Why a finding can't be had, whatever the server does; null when it can. */
function notToBeHad(id: FindingId, { config, samples }: JudgedRecord): string | null {
  if (id === 'leak-heap' && samples.every(({ own }) => (own?.heapAfterGcBytes ?? null) === null)) {
    return 'The server offers no heap readings';
  }
  return leftOut(id, config)?.why ?? null;
}

/** A life that a crash of the runner has ended was never settled: its floor is the lowest of its last readings. */
function lastFloor(samples: readonly Sample[]): number | null {
  const last = samples.slice(-samplesPerWindow).flatMap(({ process: { rssBytes } }) => rssBytes ?? []);
  return last.length === 0 ? null : Math.min(...last);
}

function servedLives({ samples, footprint, finalRssBytes, losses }: JudgedRecord): ServedLife[] {
  const lives = [...bySegment(samples)];
  const idleRssBytes = footprint?.idleRssBytes ?? null;
  if (lives.every(([segment]) => segment === 0)) {
    return [{ segment: 0, startRssBytes: idleRssBytes, endRssBytes: finalRssBytes, requests: losses.due }];
  }
  return lives.map(([segment, all], index) => ({
    segment,
    startRssBytes: segment === 0 ? idleRssBytes : (all[0]?.process.rssBytes ?? null),
    endRssBytes: index === lives.length - 1 ? finalRssBytes : lastFloor(all),
    requests: all.reduce((sum, { load }) => sum + load.due, segment === 0 ? (footprint?.requests ?? 0) : 0),
  }));
}

function footprintFindings(record: JudgedRecord): Finding[] {
  const { config, footprint, ended, samples } = record;
  const asked = config.footprint.requests;
  const findings = judgeFootprint(
    // Those that were never sent were not answered either.
    footprint === null || footprint.requests >= asked ? footprint : { ...footprint, requests: asked },
    config.thresholds,
    { lives: servedLives(record), series: seriesOf(samples, 'leak-rss') },
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

/** A run that did not begin, or did not come to its end, has shown nothing, whatever is asked of it. */
const always: readonly FindingId[] = ['ready', 'completed'];

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
    const missing = notToBeHad(id, record);
    const finding =
      missing === null
        ? (found.get(id) ?? inconclusive(id, 'The server never became ready'))
        : inconclusive(id, missing);
    return { ...finding, required: always.includes(id) || required.includes(id) };
  });
}
