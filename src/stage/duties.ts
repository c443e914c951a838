import { type BlockedWatch, dutyTickNs } from '../egress/blocked-watch.js';
import type { Egress } from '../egress/egress.js';
import type { DegradationLogger } from '../gate/degradation-logger.js';
import type { Gate } from '../gate/gate.js';
import type { SilenceWatch } from '../gate/silence-watch.js';
import type { Heartbeats } from './heartbeats.js';

/** Pages of a burst are given back once the connection has been quiet for this long. */
const burstQuietNs = 1e9;

export interface DutyParts {
  egress: Egress;
  gate: Gate;
  silence: SilenceWatch;
  heartbeats: Heartbeats;
  blocked: BlockedWatch;
  degradation: DegradationLogger;
  /** Writes the status block. */
  publishStatus(nowNs: number): void;
}

/** The stage's slow work: heartbeats, silent nodes, stuck peers, the degradation log, memory of past bursts, gauges. */
export class Duties {
  readonly #parts: DutyParts;
  #nextTickNs = 0;
  #nextSweepNs = 0;

  constructor(parts: DutyParts) {
    this.#parts = parts;
  }

  /** Returns how much was done: heartbeats that were appended, and nodes that have fallen silent. */
  run(nowNs: number): number {
    if (nowNs < this.#nextTickNs) return 0;
    this.#nextTickNs = nowNs + dutyTickNs;
    const { gate, silence, heartbeats, blocked, degradation } = this.#parts;
    const silent = silence.tick(nowNs);
    const sent = heartbeats.tick(nowNs);
    blocked.tick(nowNs);
    degradation.tick(gate.evaluator.degraded, nowNs);
    if (nowNs >= this.#nextSweepNs) {
      this.#nextSweepNs = nowNs + burstQuietNs;
      this.#releaseQuietPages(nowNs);
    }
    this.#parts.publishStatus(nowNs);
    return silent + sent;
  }

  /** When there is something to do though nothing happens. */
  nextDeadlineNs(): number {
    const { egress, silence, heartbeats, degradation } = this.#parts;
    const stuck = egress.waiting.size > 0 ? this.#nextTickNs : Number.POSITIVE_INFINITY;
    // Not before the tick that would see to it: woken any earlier, the stage would spin until then.
    return Math.max(
      this.#nextTickNs,
      Math.min(stuck, silence.nextDeadlineNs(), heartbeats.nextDeadlineNs(), degradation.nextDeadlineNs),
    );
  }

  #releaseQuietPages(nowNs: number): void {
    const { buffers, lastAppendNs, table } = this.#parts.egress;
    for (let slot = 0; slot < table.slots; slot++) {
      if (buffers.spread[slot] === 0 || buffers.used[slot] > 0) continue;
      if (nowNs - lastAppendNs[slot] >= burstQuietNs) this.#parts.egress.releasePages(slot);
    }
  }
}
