import type { KeptText, TextSource } from '#ackgate/directives/index.js';

/** A source in memory, with the faults of one behind a network: the test says what is lost, late, doubled or broken. */
export class ScriptedSource implements TextSource {
  kept: KeptText | null = null;
  reads = 0;
  /** Watches asked for, and those that stand. */
  watches = 0;
  readonly watching = new Set<{ changed: () => void; failed: (error: unknown) => void }>();
  /** What a read, a watch or a write waits for before and after it looks; may throw or never end. */
  beforeRead: () => unknown = () => {};
  afterRead: () => unknown = () => {};
  beforeWatch: () => unknown = () => {};
  afterWatch: () => unknown = () => {};
  beforeWrite: () => unknown = () => {};
  onStop: () => unknown = () => {};
  /** False: changes go untold. */
  tells = true;
  #revision = 0;

  async read(): Promise<KeptText | null> {
    this.reads++;
    await this.beforeRead();
    const { kept } = this;
    await this.afterRead();
    return kept;
  }

  async watch(changed: () => void, failed: (error: unknown) => void): Promise<() => Promise<void>> {
    this.watches++;
    await this.beforeWatch();
    const watch = { changed, failed };
    this.watching.add(watch);
    await this.afterWatch();
    return async () => {
      this.watching.delete(watch);
      await this.onStop();
    };
  }

  async write(text: string, ifRevision: number | undefined): Promise<number | null> {
    await this.beforeWrite();
    if (ifRevision !== undefined && ifRevision !== (this.kept?.revision ?? 0)) return null;
    return this.put(text);
  }

  /** Another one wrote. */
  put(text: string): number {
    this.kept = { revision: ++this.#revision, text };
    this.tell();
    return this.#revision;
  }

  delete(): void {
    this.kept = null;
    this.tell();
  }

  tell(): void {
    if (this.tells) for (const { changed } of [...this.watching]) changed();
  }

  /** The connection of every watch is lost. */
  cut(error: unknown = new Error('connection lost')): void {
    for (const watch of [...this.watching]) {
      this.watching.delete(watch);
      watch.failed(error);
    }
  }
}
