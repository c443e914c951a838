import { LevelIndex } from '../diagnosis/levels.js';

/** What diagnosis knows of each connection: whose it is, and what a grant raises it to. By slot. */
export class SessionLevels {
  /** Keys of the tenants, 0: unknown. */
  readonly tenant: Float64Array;
  readonly #level: Uint8Array;
  readonly #expiresAt: Float64Array;
  /** By level: when the last grant of it expires, whoever has it. */
  readonly #lastExpiry = new Float64Array(LevelIndex.capture + 1);

  constructor(slots: number) {
    this.tenant = new Float64Array(slots);
    this.#level = new Uint8Array(slots);
    this.#expiresAt = new Float64Array(slots);
  }

  /** The slot's connection is gone, and the next one inherits nothing. */
  ended(slot: number): void {
    if (this.tenant[slot] !== 0) this.tenant[slot] = 0;
    if (this.#level[slot] !== LevelIndex.off) this.raise(slot, LevelIndex.off, 0);
  }

  /** Takes the place of an earlier grant. */
  raise(slot: number, level: number, expiresAt: number): void {
    const replaces = this.#level[slot] !== LevelIndex.off;
    this.#level[slot] = level;
    this.#expiresAt[slot] = expiresAt;
    if (replaces) this.#recount();
    else this.#count(slot);
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

  // Looks at every slot, but only when a grant ends before its time.
  #recount(): void {
    this.#lastExpiry.fill(0);
    for (let slot = 0; slot < this.#level.length; slot++) this.#count(slot);
  }

  #count(slot: number): void {
    const level = this.#level[slot];
    if (level === LevelIndex.off) return;
    this.#lastExpiry[level] = Math.max(this.#lastExpiry[level], this.#expiresAt[slot]);
  }
}
