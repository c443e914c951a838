import type { Ended } from './run-record.js';

/** Why a run ends: the first reason counts, and stops everything that is under way. */
export class Ending {
  readonly #abort = new AbortController();
  #ended: Ended | null = null;

  /** Aborted when the run is to end before its time. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get early(): boolean {
    return this.#ended !== null;
  }

  end(ended: Ended): void {
    if (this.#ended !== null) return;
    this.#ended = ended;
    this.#abort.abort();
  }

  /** Why the run has ended, once it has. */
  get reason(): Ended {
    return this.#ended ?? { why: 'time' };
  }
}
