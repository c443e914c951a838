import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { checkedIfRevision, checkKeys, optionalFunction } from '../shared/checks.js';
import { Listeners } from '../shared/listeners.js';
import type { KeptText, TextSource } from '../shared/text-source.js';
import { WatchedText, type WatchOptions, watchKeys } from '../shared/watched-text.js';
import { decodeKept } from './decode.js';
import { encodeKeptDirectives } from './encode.js';
import { directivesError } from './fault.js';
import { checkKinds, type Kinds } from './shape.js';
import { checkedDirectives, emptySnapshot, snapshotOf } from './snapshot.js';
import { type PublishableStore, type PublishOptions, staleError } from './store.js';

/** How a `WatchedStore` asks its source, and what it checks a set by. */
export interface WatchedStoreOptions extends WatchOptions {
  /**
   * The application's names for its kinds of record (default none: they are called by their numbers, `"0"` to
   * `"65535"`). A directive for another name is refused.
   */
  readonly kinds?: Kinds;
  /** The time in unix milliseconds (default `Date.now`). */
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
    checkKeys('store options', options, ['kinds', 'now', ...watchKeys]);
    const { kinds = {}, now, ...watch } = options;
    checkKinds(kinds);
    this.#kinds = kinds;
    this.#now = optionalFunction('now', now) ?? Date.now;
    const reading = {
      what: 'the directives',
      empty: emptySnapshot,
      decode: (kept: KeptText) => this.#decoded(kept),
      changed: () => this.#tell(),
    };
    this.#text = new WatchedText(source, reading, watch);
  }

  /** The set in force: what was read last that is one. */
  load(): DirectiveSnapshot {
    return this.#text.value;
  }

  /** Milliseconds since the source was last asked for what is in force, and answered with a set; at first, since the start. */
  ageMs(): number {
    return this.#text.ageMs;
  }

  /** What went wrong when the source was last read or watched; null when nothing did. */
  get lastError(): Error | null {
    return this.#text.lastError;
  }

  /** `listener` is called when another set has come into force. Returns a function that ends this. */
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
  async publish(directives: readonly Directive[], options: PublishOptions = {}): Promise<number> {
    const ifRevision = checkedIfRevision(options);
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

  /** As `close()`, for `await using`. */
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
