import { describe } from '../shared/describe.js';

/** Those who want to hear of changes. One that throws is reported as a warning: the change has been made. */
export class Listeners {
  readonly #listeners = new Set<{ call: () => void }>();

  /** Returns what ends this; the same function may listen twice. */
  add(call: () => void): () => void {
    const entry = { call };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  callAll(): void {
    for (const entry of [...this.#listeners]) {
      if (!this.#listeners.has(entry)) continue;
      try {
        entry.call();
      } catch (error) {
        process.emitWarning(`a listener of a directive store failed: ${describe(error)}`, 'AckgateWarning');
      }
    }
  }
}
