import type { Egress } from '../egress/egress.js';
import { TimingWheel } from '../shared/timing-wheel.js';

/** Most heartbeats of one round: what is due beyond that goes with the next tick. */
const perRoundMax = 512;
/** When to look again at a peer that is due but busy. */
const retryNs = 10e6;

/** Sends a heartbeat to connections to which nothing was appended for the interval. */
export class Heartbeats {
  readonly #egress: Egress;
  readonly #frame: Uint8Array;
  readonly #intervalNs: number;
  readonly #wheel: TimingWheel;
  readonly #due = new Int32Array(perRoundMax);

  /** `intervalNs` 0: never. */
  constructor(egress: Egress, frame: Uint8Array, intervalNs: number, startNs: number) {
    this.#egress = egress;
    this.#frame = frame;
    this.#intervalNs = intervalNs;
    this.#wheel = new TimingWheel({ slots: egress.table.slots, startNs });
  }

  nextDeadlineNs(): number {
    return this.#wheel.nextDeadlineNs();
  }

  /** The first deadline is staggered by slot, so that clients that connect together are not due together. */
  opened(slot: number, nowNs: number): void {
    if (this.#intervalNs === 0) return;
    const stagger = ((slot * 0.618_033_988_75) % 1) * 0.5;
    this.#wheel.schedule(slot, nowNs + this.#intervalNs * (1 - stagger));
  }

  ended(slot: number): void {
    this.#wheel.cancel(slot);
  }

  /** Returns the number of heartbeats appended. */
  tick(nowNs: number): number {
    const egress = this.#egress;
    const due = this.#wheel.expire(nowNs, this.#due, perRoundMax);
    let sent = 0;
    for (let i = 0; i < due; i++) {
      const slot = this.#due[i];
      const deadlineNs = egress.lastAppendNs[slot] + this.#intervalNs;
      if (deadlineNs > nowNs && egress.appendedTotal[slot] > 0) {
        this.#wheel.schedule(slot, deadlineNs);
        continue;
      }
      if (!egress.isClear(slot) || egress.buffers.used[slot] > 0) {
        // Never to a peer that has not taken what it was sent: it is due as soon as it has.
        this.#wheel.schedule(slot, nowNs + retryNs);
      } else if (egress.appendBytes(slot, this.#frame, nowNs)) {
        egress.counters.heartbeats++;
        sent++;
        this.#wheel.schedule(slot, nowNs + this.#intervalNs);
      }
    }
    return sent;
  }
}
