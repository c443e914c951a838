import type { StageStatus } from '../stage/status.js';

export interface StageHealth {
  /** Why it is not alive; empty: it is. */
  readonly dead: readonly string[];
  readonly state: StageStatus['state'];
  /** Milliseconds since the stage's last round. */
  readonly lastRoundMs: number;
}

/**
 * A stage that idles still does a round several times a second, so one that has not for `hangMs` hangs.
 *
 * @param nowNs on the clock of `monotonicNow`
 */
export function stageHealth(status: StageStatus, nowNs: number, hangMs: number): StageHealth {
  const { state, lastDoWorkNs, statusNs } = status;
  // A stage that has just been started has written its status and done no round yet.
  const lastRoundMs = Math.max(0, Math.round((nowNs - Math.max(lastDoWorkNs, statusNs)) / 1e6));
  const dead: string[] = [];
  if (state !== 'running' && state !== 'draining') dead.push(state);
  // A stage that has ended has no rounds to be missed.
  if (state !== 'failed' && state !== 'closed' && lastRoundMs > hangMs) dead.push('hung');
  return { dead, state, lastRoundMs };
}

/** Why the stage can't acknowledge just now; empty: it can. */
export function whyNotReady(
  status: StageStatus,
  health: StageHealth,
  journalFailed: boolean,
  { hangMs, readyWhenDegraded }: { hangMs: number; readyWhenDegraded: boolean },
): string[] {
  const degraded = status.policyDegraded === 1;
  const reasons = [...health.dead];
  if (status.state === 'draining') reasons.push('draining');
  if (degraded && !readyWhenDegraded) reasons.push('degraded');
  // Where a degraded policy is tolerated, so are the records that it holds back.
  if (waitedMs(status) > hangMs && !(degraded && readyWhenDegraded)) reasons.push('gate_closed');
  if (journalFailed) reasons.push('journal_failed');
  return reasons;
}

/** For how long the first record had been waiting when the stage wrote its status; 0: none was. */
function waitedMs({ gateClosedSinceNs, statusNs }: StageStatus): number {
  return gateClosedSinceNs === 0 ? 0 : (statusNs - gateClosedSinceNs) / 1e6;
}
