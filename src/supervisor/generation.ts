import type { Timers } from './timers.js';

/**
 * A counter of changes to wait on. Whoever waits says up to which value it has looked: a change between looking and
 * waiting is seen at once, so no wake-up is lost and nothing has to be polled.
 */
export class Generation {
  #value = 0;
  readonly #waiting = new Set<() => void>();
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get value(): number {
    return this.#value;
  }

  /** How many wait just now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  bump(): void {
    this.#value++;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves once the value is not `seen`, or about `timeoutMs` have passed; the caller looks which. */
  wait(seen: number, timeoutMs: number): Promise<void> {
    if (this.#value !== seen || !(timeoutMs > 0)) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        cancel();
        resolve();
      };
      this.#waiting.add(wake);
      const cancel = timeoutMs === Number.POSITIVE_INFINITY ? () => {} : this.#timers.after(timeoutMs, wake);
    });
  }
}
