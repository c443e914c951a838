import { setImmediate as turn } from 'node:timers/promises';

/** Time for the soak runner that goes as fast as its work allows: whoever is to wake next wakes at once. */
export class VirtualClock {
  #nowMs = 0;
  #sleepers = [];

  nowMs() {
    return this.#nowMs;
  }

  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = { atMs: this.#nowMs + ms, wake: resolve };
      if (signal !== undefined) {
        const stop = () => {
          this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
          resolve();
        };
        signal.addEventListener('abort', stop, { once: true });
        sleeper.wake = () => {
          signal.removeEventListener('abort', stop);
          resolve();
        };
      }
      this.#sleepers.push(sleeper);
    });
  }

  async advance(ms) {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await turn();
      let first = -1;
      for (let at = 0; at < this.#sleepers.length; at++) {
        const { atMs } = this.#sleepers[at];
        if (atMs <= untilMs && (first < 0 || atMs < this.#sleepers[first].atMs)) first = at;
      }
      if (first < 0) break;
      const [sleeper] = this.#sleepers.splice(first, 1);
      this.#nowMs = sleeper.atMs;
      sleeper.wake();
    }
    this.#nowMs = untilMs;
  }
}
