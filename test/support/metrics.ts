import type { StageStatus } from '#ackgate/index.js';
import type { MetricsSource } from '#ackgate/metrics/index.js';
import { type StatusField, statusFields, statusIndex, toStageStatus } from '#ackgate/stage/status.js';
import { newCounters, type SupervisorStatus } from '#ackgate/supervisor/counters.js';

/** An hour after the start of the clock. */
const nowNs = 3600e9;

/** A status as the stage would show it with these values in its block. */
export function statusWith(
  set: Partial<Record<StatusField, number>> = {},
  text: { policy?: string; fallback?: string | null } = {},
  state: StageStatus['state'] = 'running',
): StageStatus {
  const values = new Float64Array(statusFields.length);
  const usual = { statusNs: nowNs - 1e9, lastDoWorkNs: nowNs - 2e9, replicaCursor: 50, durablePos: 50 };
  for (const [name, value] of Object.entries({ ...usual, highestSeq: 100, waitingSeq: 51, ...set })) {
    values[statusIndex[name as StatusField]] = value;
  }
  const reading = { values, text: { policy: 'persisted>=1', features: [], fallback: null, ...text } };
  return toStageStatus(reading, state, nowNs);
}

/** Somewhere to read that status from, and how often it was read. */
export function sourceOf(status: StageStatus): MetricsSource & { reads: number } {
  return {
    reads: 0,
    status() {
      this.reads++;
      return status;
    },
  };
}

/** A supervisor as it stands with these figures, and with zeros for all others. */
export function supervisorWith(set: Partial<SupervisorStatus> = {}): { status(): SupervisorStatus } {
  const gauges = {
    state: 'running',
    active: 0,
    attached: 0,
    permits: 0,
    handling: 0,
    pendingPushes: 0,
  } as const;
  return { status: () => ({ ...gauges, ...newCounters(), ...set }) };
}
