import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Fault } from '../faults.js';
import type { Block } from './block.js';
import type { SeedFailure, Tally } from './tally.js';
import type { SwarmWorkerData } from './worker.js';

/** What a block has come to, or which of its seeds has taken the whole thread with it. */
export type BlockResult = { tally: Tally } | { broken: SeedFailure };

/** One worker thread; started anew when a seed has ended it, or has come to no end. */
export class Hand {
  readonly #faults: readonly Fault[];
  readonly #seedMsMax: number;
  readonly #done = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | null = null;

  /** @param seedMsMax a seed that takes longer hangs */
  constructor(faults: readonly Fault[], seedMsMax: number) {
    this.#faults = faults;
    this.#seedMsMax = seedMsMax;
  }

  /** Seeds of the block under way that are done. */
  get done(): number {
    return Atomics.load(this.#done, 0);
  }

  async run(block: Block): Promise<BlockResult> {
    Atomics.store(this.#done, 0, 0);
    this.#worker ??= await this.#start();
    const worker = this.#worker;
    const watch = new AbortController();
    const hang = this.#hang(watch.signal);
    worker.postMessage(block);
    try {
      const first = await Promise.race([once(worker, 'message', { signal: watch.signal }), hang]);
      if (first !== null) return { tally: first[0] as Tally };
      return { broken: this.#broken(block, 'hang', `no end within ${this.#seedMsMax / 1000} s`) };
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { broken: this.#broken(block, 'crash', message) };
    } finally {
      watch.abort();
      this.#done[0] = 0;
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    // At once: the next block must not be given to a thread that is on its way out.
    this.#worker = null;
    await worker?.terminate();
  }

  async #start(): Promise<Worker> {
    const workerData: SwarmWorkerData = { faults: this.#faults, done: this.#done };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
    // A thread that can't even begin is no seed's fault: this throws.
    await once(worker, 'message');
    return worker;
  }

  #broken({ firstSeed }: Block, invariant: 'hang' | 'crash', message: string): SeedFailure {
    const failure = { seed: firstSeed + this.done, invariant, message };
    void this.close();
    return failure;
  }

  /** Null once a seed has taken too long; never when the signal comes first. */
  #hang(signal: AbortSignal): Promise<null> {
    return new Promise((resolve) => {
      let seen = -1;
      let sinceMs = 0;
      const timer = setInterval(() => {
        const { done } = this;
        if (done !== seen) {
          seen = done;
          sinceMs = performance.now();
        } else if (performance.now() - sinceMs > this.#seedMsMax) resolve(null);
      }, this.#seedMsMax / 20);
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    });
  }
}
