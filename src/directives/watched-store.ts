import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { Listeners } from '../shared/listeners.js';
import type { KeptText, TextSource } from '../shared/text-source.js';
import { WatchedText, type WatchOptions } from '../shared/watched-text.js';
import { decodeKept } from './decode.js';
import { encodeKeptDirectives } from './encode.js';
import { directivesError } from './fault.js';
import type { Kinds } from './shape.js';
import { checkedDirectives, emptySnapshot, snapshotOf } from './snapshot.js';
import { type PublishableStore, type PublishOptions, staleError } from './store.js';

export interface WatchedStoreOptions extends WatchOptions {
  /** As for `decodeDirectives`. */
  readonly kinds?: Kinds;
  /** Unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
}

/**
 * The set that several instances share. What was read last is in force, also while the source can't be reached or keeps
 * something that is not a set: `ageMs` grows and `lastError` says why. When the source keeps nothing, nothing is on.
 *
 * It watches first and reads then, so no change is lost in between, and reads again now and then. Neither its timers
 * nor anything else of it keeps the process alive; the source's own connection may.
 */
export class WatchedStore implements PublishableStore {
  readonly #kinds: Kinds;
  readonly #now: () => number;
  readonly #listeners = new Listeners('a directive store');
  readonly #text: WatchedText<DirectiveSnapshot>;
  #told = emptySnapshot;

  /** Begins at once; until the first reading nothing is on. `await refresh()` waits for it. */
  constructor(source: TextSource, options: WatchedStoreOptions = {}) {
    const { kinds = {}, now = Date.now, ...watch } = options;
    this.#kinds = kinds;
    this.#now = now;
    const reading = {
      what: 'the directives',
      empty: emptySnapshot,
      decode: (kept: KeptText) => this.#decoded(kept),
      changed: () => this.#tell(),
    };
    this.#text = new WatchedText(source, reading, watch);
  }

  load(): DirectiveSnapshot {
    return this.#text.value;
  }

  /** Milliseconds since the source was last asked for what is in force, and answered with a set; at first, since the start. */
  ageMs(): number {
    return this.#text.ageMs;
  }

  get lastError(): Error | null {
    return this.#text.lastError;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Reads now. True when what was read is in force. Never rejects: `lastError` has the reason. */
  refresh(): Promise<boolean> {
    return this.#text.refresh();
  }

  /**
   * Writes the set to the source; when this resolves it is in force here too, unless reading it back failed.
   *
   * @throws what the source throws, and as told in `PublishableStore`
   */
  async publish(directives: readonly Directive[], { ifRevision }: PublishOptions = {}): Promise<number> {
    this.#text.checkWritable(ifRevision);
    const checked = checkedDirectives(directives, { kinds: this.#kinds, now: this.#now });
    const revision = await this.#text.write(encodeKeptDirectives(checked), ifRevision);
    if (revision === null) throw staleError(ifRevision ?? 0);
    return revision;
  }

  /** Ends the watch and waits for a reading under way. The set stays in force until its directives are over. */
  close(): Promise<void> {
    return this.#text.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Not of a source that is empty from the start. */
  #tell(): void {
    const snapshot = this.load();
    if (snapshot === this.#told) return;
    this.#told = snapshot;
    this.#listeners.callAll();
  }

  #decoded({ revision, text }: KeptText): DirectiveSnapshot {
    const decoded = decodeKept(text, { nowMs: this.#now(), kinds: this.#kinds });
    if ('slug' in decoded) throw directivesError(decoded, `the directives kept as revision ${revision}`);
    return snapshotOf(revision, decoded.directives);
  }
}
