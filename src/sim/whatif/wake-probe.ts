import { Worker } from 'node:worker_threads';
import { monotonicNow } from '../../shared/clock.js';

const probeEveryMs = 2;

/** What the two threads of a probe share: a word to sleep on, the time of the wake, and what was measured. */
export const ProbeWord = { rung: 0, count: 1 } as const;
export const probeHeaderBytes = 64;
const probesMax = 200_000;

/** How long a sleeping thread of this machine took to wake, and when it was woken; of `monotonicNow`. */
export interface WakeSample {
  readonly atNs: number;
  readonly ns: number;
}

/**
 * Wakes a sleeping thread again and again, while the machine does what it does otherwise, and notes how long it took. It
 * stands for the stage's thread, which can't be asked without slowing it down.
 */
export class WakeProbe {
  readonly #words: Int32Array;
  readonly #values: Float64Array;
  readonly #worker: Worker;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    const memory = new SharedArrayBuffer(probeHeaderBytes + (1 + 2 * probesMax) * 8);
    this.#words = new Int32Array(memory);
    this.#values = new Float64Array(memory, probeHeaderBytes);
    this.#worker = new Worker(new URL('./wake-probe-thread.js', import.meta.url), {
      workerData: memory,
      execArgv: [],
    });
    this.#worker.unref();
    this.#timer = setInterval(() => this.#ring(), probeEveryMs);
    this.#timer.unref();
  }

  /** Ends the thread. Returns what it has measured. */
  finish(): WakeSample[] {
    clearInterval(this.#timer);
    this.#worker.terminate();
    const count = Atomics.load(this.#words, ProbeWord.count);
    return Array.from({ length: count }, (_, i) => ({
      atNs: this.#values[1 + 2 * i],
      ns: this.#values[2 + 2 * i],
    }));
  }

  #ring(): void {
    if (Atomics.load(this.#words, ProbeWord.rung) !== 0) return;
    if (Atomics.load(this.#words, ProbeWord.count) >= probesMax) return;
    this.#values[0] = monotonicNow();
    Atomics.store(this.#words, ProbeWord.rung, 1);
    Atomics.notify(this.#words, ProbeWord.rung);
  }
}
