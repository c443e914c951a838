import type { KeptText, TextSource } from '#ackgate/directives/index.js';

/** One text in memory, with as many sources to it as there are instances. Nothing of it ever fails. */
export class InMemoryText {
  #kept: KeptText | null = null;
  #revision = 0;
  readonly #watches = new Set<() => void>();

  get kept(): KeptText | null {
    return this.#kept;
  }

  put(text: string): number {
    this.#kept = { revision: ++this.#revision, text };
    for (const changed of [...this.#watches]) changed();
    return this.#revision;
  }

  delete(): void {
    this.#kept = null;
    for (const changed of [...this.#watches]) changed();
  }

  source(): TextSource {
    return {
      read: async () => this.#kept,
      watch: async (changed) => {
        // One object for each watch: the same function may be given twice.
        const watch = () => changed();
        this.#watches.add(watch);
        return () => void this.#watches.delete(watch);
      },
      write: async (text, ifRevision) => {
        if (ifRevision !== undefined && ifRevision !== (this.#kept?.revision ?? 0)) return null;
        return this.put(text);
      },
    };
  }
}
