import { Contained } from './contained.js';

/** Those who want to hear of changes. One that throws is told by a process warning: the change has been made. */
export class Listeners {
  readonly #listeners = new Set<{ call: () => void }>();
  readonly #contained: Contained;

  /** `what` they listen to, such as "a directive store". */
  constructor(what: string) {
    this.#contained = new Contained(`a listener of ${what}`, 'ACKGATE_LISTENER');
  }

  /** Returns what ends this; the same function may listen twice. */
  add(call: () => void): () => void {
    const entry = { call };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  callAll(): void {
    for (const entry of [...this.#listeners]) {
      if (this.#listeners.has(entry)) this.#contained.run(entry.call);
    }
  }
}
