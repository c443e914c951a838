import type { Sample } from './samples.js';

/** So long may nothing be answered, or most of it fail, before the rest of the run is not worth its time. */
const patienceMs = 30_000;
const failedShareMax = 0.5;

/** Sees when a server is so wrong that going on would tell nothing more. */
export class AnomalyWatch {
  readonly #memoryBytes: number;
  #silentSinceMs: number | null = null;
  #failingSinceMs: number | null = null;
  #wasDisturbed = false;

  /** @param memoryBytes of the machine: a server that takes nine tenths of it is ended before the kernel ends anybody */
  constructor(memoryBytes: number) {
    this.#memoryBytes = memoryBytes;
  }

  /**
   * What is wrong, in words; null as long as it is worth going on.
   *
   * @param disturbed a fault of the runner's own is under way, or its backlog not gone: what the server leaves undone in
   *   this sample and the one in which that ends is not held against it
   */
  look({ atMs, process, load }: Sample, disturbed: boolean): string | null {
    const excused = disturbed || this.#wasDisturbed;
    this.#wasDisturbed = disturbed;
    const { rssBytes } = process;
    if (rssBytes !== null && rssBytes > 0.9 * this.#memoryBytes) {
      return `the server has taken ${Math.round(rssBytes / 2 ** 20)} MiB, nine tenths of the machine's memory`;
    }
    const answered = load.expected + load.unexpected;
    const failed = load.unexpected + load.timedOut + load.lost + load.unsent;
    const isSilent = answered === 0 && (load.outstanding > 0 || failed > 0);
    const isFailing = failed > 0 && failed > failedShareMax * (failed + load.expected);
    this.#silentSinceMs = isSilent && !excused ? (this.#silentSinceMs ?? atMs) : null;
    this.#failingSinceMs = isFailing && !excused ? (this.#failingSinceMs ?? atMs) : null;
    if (this.#silentSinceMs !== null && atMs - this.#silentSinceMs >= patienceMs) {
      return `nothing has been answered for ${patienceMs / 1000} s`;
    }
    if (this.#failingSinceMs !== null && atMs - this.#failingSinceMs >= patienceMs) {
      return `more than half of the requests have failed for ${patienceMs / 1000} s`;
    }
    return null;
  }
}
