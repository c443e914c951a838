import type { Clock } from '#ackgate/soak/clock.js';

interface Sleeper {
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Time that stands still until a test moves it. Sleepers wake in the order of their times, then of their coming. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #sleepers: Sleeper[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        atMs: this.#nowMs + Math.max(0, ms),
        order: this.#order++,
        wake: () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      const stop = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        sleeper.wake();
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Those who sleep now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves time by so much; after each one that wakes, all promises that can settle do so before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settled();
    for (let next = this.#next(untilMs); next !== null; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
      await settled();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Advances until the promise has settled, in steps, and no further than so many milliseconds. */
  async until<T>(promise: Promise<T>, limitMs: number, stepMs = 10): Promise<T> {
    let over = false;
    const done = () => {
      over = true;
    };
    promise.then(done, done);
    for (let ms = 0; ms < limitMs && !over; ms += stepMs) await this.advance(stepMs);
    if (!over) throw new Error(`it is not over after ${limitMs} ms`);
    return promise;
  }

  /** Time goes by while nobody gets a turn, as in a process that is held up. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Takes out the first that is to wake by then. There are few. */
  #next(untilMs: number): Sleeper | null {
    let first: Sleeper | null = null;
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs > untilMs) continue;
      if (first === null || sleeper.atMs < first.atMs) first = sleeper;
      else if (sleeper.atMs === first.atMs && sleeper.order < first.order) first = sleeper;
    }
    if (first !== null) this.#sleepers.splice(this.#sleepers.indexOf(first), 1);
    return first;
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
