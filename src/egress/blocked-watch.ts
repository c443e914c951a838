import { Drop } from './counters.js';
import type { Egress } from './egress.js';

export interface BlockedLimits {
  /** Longest time without progress of the peer. */
  blockedTimeoutNs: number;
  /** Longest time blocked in total, 0: no limit. */
  blockedTotalNs: number;
}

/** The stage's tick for what is not worth doing every round; heartbeats are precise to it. */
export const dutyTickNs = 10e6;

/** A tick that comes this much later than asked for says that we slept, not that the peers did. */
const lateTicks = 10;

/**
 * Slower than any client that counts as living. Its kernel takes bytes in pieces of up to some hundred KiB, and tells
 * nothing while the client reads its way through one: so each piece excuses a silence in proportion.
 */
const slowestBytesPerSecond = 5_000;
/** The longest silence that a piece excuses, in blocked timeouts. */
const excusedTimeoutsMax = 4;

/**
 * Finds peers that take nothing, once per duty tick.
 *
 * A peer is blocked when it has owed us since before the last tick that it takes what it was sent. The kernel reports a
 * socket writable only after a third of its queue has drained, which takes a slow reader up to a minute: so before
 * a peer is dropped the kernel is asked whether its queue has become shorter.
 */
export class BlockedWatch {
  readonly #egress: Egress;
  readonly #limits: BlockedLimits;
  readonly #tickNs: number;
  readonly #queued: Float64Array;
  /** Silence that is allowed before the kernel is asked again, by the largest piece so far. */
  readonly #patienceNs: Float64Array;
  /** The last tick that found it blocked. */
  readonly #blockedAtNs: Float64Array;
  readonly #blockedNs: Float64Array;
  readonly #blocked: Uint8Array;
  #lastTickNs = 0;

  /** Connections that were blocked at the last tick. */
  blockedNow = 0;

  constructor(egress: Egress, limits: BlockedLimits, tickNs = dutyTickNs) {
    const { slots } = egress.table;
    this.#egress = egress;
    this.#limits = limits;
    this.#tickNs = tickNs;
    this.#queued = new Float64Array(slots);
    this.#patienceNs = new Float64Array(slots);
    this.#blockedAtNs = new Float64Array(slots);
    this.#blockedNs = new Float64Array(slots);
    this.#blocked = new Uint8Array(slots);
  }

  /** A new connection starts with a clean record. */
  opened(slot: number): void {
    this.#blocked[slot] = 0;
    this.#blockedNs[slot] = 0;
    this.#blockedAtNs[slot] = Number.NEGATIVE_INFINITY;
  }

  isBlocked(slot: number): boolean {
    return this.#egress.owing.has(slot) && this.#blocked[slot] !== 0;
  }

  tick(nowNs: number): void {
    const { owing, lastProgressNs } = this.#egress;
    const elapsedNs = this.#lastTickNs === 0 ? 0 : nowNs - this.#lastTickNs;
    const overslept = elapsedNs > lateTicks * this.#tickNs ? elapsedNs - this.#tickNs : 0;
    const lastTickNs = this.#lastTickNs + overslept;
    this.blockedNow = 0;
    // Backwards: a drop takes the slot out of the set and moves the last one into its place.
    for (let i = owing.size - 1; i >= 0; i--) {
      const slot = owing.items[i];
      // Never past now: a send that began in this very round has nothing to be forgiven.
      lastProgressNs[slot] = Math.min(nowNs, lastProgressNs[slot] + overslept);
      if (lastProgressNs[slot] > lastTickNs) {
        this.#blocked[slot] = 0;
        continue;
      }
      if (this.#blocked[slot] === 0) {
        this.#blocked[slot] = 1;
        this.#queued[slot] = this.#egress.queuedBytes(slot);
        this.#forgetPatience(slot, nowNs);
      } else {
        this.#blockedNs[slot] += elapsedNs - overslept;
      }
      this.#blockedAtNs[slot] = nowNs;
      this.#judge(slot, nowNs);
      if (owing.has(slot)) this.blockedNow++;
    }
    this.#lastTickNs = nowNs;
  }

  /** A slow peer that was writable for a moment is as slow as before; one that was well for a while starts anew. */
  #forgetPatience(slot: number, nowNs: number): void {
    const { blockedTimeoutNs } = this.#limits;
    if (nowNs - this.#blockedAtNs[slot] > blockedTimeoutNs) this.#patienceNs[slot] = blockedTimeoutNs;
  }

  #judge(slot: number, nowNs: number): void {
    const { lastProgressNs } = this.#egress;
    if (this.#limits.blockedTotalNs > 0 && this.#blockedNs[slot] >= this.#limits.blockedTotalNs) {
      this.#egress.drop(slot, Drop.blocked, 0);
    } else if (nowNs - lastProgressNs[slot] >= this.#patienceNs[slot]) {
      const queued = this.#egress.queuedBytes(slot);
      const taken = queued < 0 ? 0 : this.#queued[slot] - queued;
      this.#queued[slot] = queued;
      if (taken <= 0) this.#egress.drop(slot, Drop.blocked, 0);
      else {
        lastProgressNs[slot] = nowNs;
        this.#patienceNs[slot] = Math.max(this.#patienceNs[slot], this.#patience(taken));
      }
    }
  }

  #patience(takenBytes: number): number {
    const { blockedTimeoutNs } = this.#limits;
    const excusedNs = (takenBytes / slowestBytesPerSecond) * 1e9;
    return Math.min(Math.max(blockedTimeoutNs, excusedNs), blockedTimeoutNs * excusedTimeoutsMax);
  }
}
