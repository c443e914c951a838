/** When to flush inside a batch: the first of three limits, each over connections with nothing under way. */
export interface CadenceLimits {
  /** Bytes waiting on one connection: well below what its buffer holds. */
  bytes: number;
  /** Records appended since the last flush. */
  records: number;
  /** Age of the oldest appended byte. */
  delayNs: number;
}

export class FlushCadence {
  readonly #limits: CadenceLimits;
  #records = 0;
  #oldestNs = 0;
  #due = false;

  constructor(limits: CadenceLimits) {
    this.#limits = limits;
  }

  /** Notes one record appended to a clear connection that now has `waitingBytes`. */
  note(waitingBytes: number, nowNs: number): void {
    if (this.#records === 0) this.#oldestNs = nowNs;
    this.#records++;
    if (waitingBytes >= this.#limits.bytes || this.#records >= this.#limits.records) this.#due = true;
  }

  due(nowNs: number): boolean {
    return this.#due || (this.#records > 0 && nowNs - this.#oldestNs >= this.#limits.delayNs);
  }

  flushed(): void {
    this.#records = 0;
    this.#due = false;
  }
}
