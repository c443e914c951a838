/** How long to wait after a failure: twice as long each time, within bounds. */
export class Backoff {
  #nextMs: number;
  readonly #minMs: number;
  readonly #maxMs: number;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(this.#maxMs, ms * 2);
    return ms;
  }

  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
