import { LevelIndex } from '../diagnosis/levels.js';

/** What diagnosis knows of each connection: whose it is, and what a grant raises it to. By slot. */
export class SessionLevels {
  /** Keys of the tenants, 0: unknown. */
  readonly tenant: Float64Array;
  readonly #level: Uint8Array;
  readonly #expiresAt: Float64Array;
  /** By level: when the last grant of it expires, whoever had it. */
  readonly #lastExpiry = new Float64Array(LevelIndex.capture + 1);

  constructor(slots: number) {
    this.tenant = new Float64Array(slots);
    this.#level = new Uint8Array(slots);
    this.#expiresAt = new Float64Array(slots);
  }

  /** The slot has a new connection, which inherits nothing. */
  opened(slot: number): void {
    if (this.tenant[slot] !== 0) this.tenant[slot] = 0;
    if (this.#level[slot] !== LevelIndex.off) this.#level[slot] = LevelIndex.off;
  }

  raise(slot: number, level: number, expiresAt: number): void {
    this.#level[slot] = level;
    this.#expiresAt[slot] = expiresAt;
    this.#lastExpiry[level] = Math.max(this.#lastExpiry[level], expiresAt);
  }

  /** Of the grant that is in force at `numbers[at]`, unix milliseconds; in an array, or it would cost an object. */
  levelOf(slot: number, numbers: Float64Array, at: number): number {
    const level = this.#level[slot];
    return level !== LevelIndex.off && numbers[at] < this.#expiresAt[slot] ? level : LevelIndex.off;
  }

  /** When the last grant of at least this level expires; 0 when there is none. */
  lastExpiry(level: number): number {
    let last = 0;
    for (let at = level; at < this.#lastExpiry.length; at++) last = Math.max(last, this.#lastExpiry[at]);
    return last;
  }
}
