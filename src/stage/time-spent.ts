import type { Gate } from '../gate/gate.js';
import { Blocker } from '../policy/index.js';
import type { StageBlocker } from './status.js';

/** Who keeps the durable position from moving on, as a number in the status block. */
export const binders = [
  null,
  'journal',
  'replication',
  'degraded',
] as const satisfies (StageBlocker | null)[];
const Binder = { nobody: 0, journal: 1, replication: 2, degraded: 3 } as const;

const At = { last: 0, busy: 1, idle: 2, closed: 3 } as const;

/** Index in `binders`, as of the gate's last evaluation. */
export function binderOf({ evaluator }: Gate): number {
  if (evaluator.degraded) return Binder.degraded;
  if (evaluator.blocker === Blocker.journal) return Binder.journal;
  return evaluator.blocker === Blocker.replication ? Binder.replication : Binder.nobody;
}

/** Where the stage's time went: each interval between two rounds belongs to the earlier one. */
export class TimeSpent {
  /** Since when the first record in the ring has been waiting, 0: none is. */
  closedSinceNs = 0;
  // One array, so that counting makes no objects.
  readonly #nanos = new Float64Array(6);
  readonly #gate: Gate;
  #waitsSeen = 0;

  constructor(gate: Gate, nowNs: number) {
    this.#gate = gate;
    this.#nanos[At.last] = nowNs;
  }

  get busyNanos(): number {
    return this.#nanos[At.busy];
  }

  get idleNanos(): number {
    return this.#nanos[At.idle];
  }

  /** With a closed gate, by `Binder`. */
  closedNanos(binder: number): number {
    return this.#nanos[At.closed + binder - 1];
  }

  /** A round begins; `worked`: the one before found something to do. */
  begin(nowNs: number, worked: boolean): void {
    const nanos = this.#nanos;
    const passed = nowNs - nanos[At.last];
    nanos[At.last] = nowNs;
    nanos[worked ? At.busy : At.idle] += passed;
    if (!this.#gate.closed) return;
    const binder = binderOf(this.#gate);
    if (binder !== Binder.nobody) nanos[At.closed + binder - 1] += passed;
  }

  /** A round has looked at the records. */
  looked(nowNs: number): void {
    const { closed, waits } = this.#gate;
    if (!closed) this.closedSinceNs = 0;
    else if (waits !== this.#waitsSeen) {
      this.#waitsSeen = waits;
      this.closedSinceNs = nowNs;
    }
  }
}
