import type { ControlOutcome } from '../shared/control-outcome.js';
import type { Timers } from './timers.js';

/** Tries again what found the stage's control ring full; nothing else can bring it about. */
const retryMs = 1;

/** Control calls that must not be lost, in the order they were made. */
export class Urgent {
  readonly #timers: Timers;
  readonly #waiting: (() => ControlOutcome)[] = [];
  #cancel: (() => void) | null = null;
  #stopped = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  run(call: () => ControlOutcome): void {
    if (this.#stopped) return;
    if (this.#waiting.length === 0 && call() !== 'full') return;
    this.#waiting.push(call);
    this.#retryLater();
  }

  /** There is nobody left to tell. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#cancel?.();
    this.#cancel = null;
  }

  #retryLater(): void {
    this.#cancel ??= this.#timers.after(retryMs, () => {
      this.#cancel = null;
      let done = 0;
      while (done < this.#waiting.length && this.#waiting[done]() !== 'full') done++;
      this.#waiting.splice(0, done);
      if (this.#waiting.length > 0) this.#retryLater();
    });
  }
}
