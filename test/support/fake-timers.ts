import type { Timers } from '#ackgate/supervisor/timers.js';

interface Event {
  readonly at: number;
  readonly call: () => void;
}

/** Time that stands still until a test moves it. What is due at one instant runs in the order it was asked for. */
export class FakeTimers implements Timers {
  #now = 0;
  readonly #events = new Set<Event>();

  now(): number {
    return this.#now;
  }

  /** Never early, and never late unless the test is, with `jump`. */
  after(ms: number, call: () => void): () => void {
    const event = { at: this.#now + Math.max(0, ms), call };
    this.#events.add(event);
    return () => void this.#events.delete(event);
  }

  soon(call: () => void): void {
    this.after(0, call);
  }

  /** Timers that were set and neither ran nor were cancelled. */
  get pending(): number {
    return this.#events.size;
  }

  /** Moves time by so much; all promises that can settle do so after each event and before the next. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settled();
    for (let event = this.#due(until); event !== null; event = this.#due(until)) {
      this.#events.delete(event);
      this.#now = Math.max(this.#now, event.at);
      event.call();
      await settled();
    }
    this.#now = Math.max(this.#now, until);
  }

  /** Moves the clock past events that are due, as a busy event loop does; the next `advance` runs them, late. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #due(until: number): Event | null {
    let first: Event | null = null;
    for (const event of this.#events) {
      if (event.at <= until && (first === null || event.at < first.at)) first = event;
    }
    return first;
  }
}

/** Once every promise that needs nothing but its turn has settled. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
