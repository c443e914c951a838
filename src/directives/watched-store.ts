import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { describe } from '../shared/describe.js';
import { Backoff } from './backoff.js';
import { decodeKept } from './decode.js';
import type { DirectiveSource, KeptSet } from './directive-source.js';
import { encodeKeptDirectives } from './encode.js';
import { directivesError } from './fault.js';
import { Listeners } from './listeners.js';
import type { Kinds } from './shape.js';
import { checkedDirectives, emptySnapshot, snapshotOf } from './snapshot.js';
import { checkIfRevision, type PublishableStore, type PublishOptions, staleError } from './store.js';
import { WatchKeeper } from './watch-keeper.js';
import { within } from './within.js';

export interface WatchedStoreOptions {
  /** As for `decodeDirectives`. */
  readonly kinds?: Kinds;
  /** Unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
  /** The set is read at least so often, should a change go untold (default 10,000 ms). */
  readonly refreshMs?: number;
  /** A source that takes longer has failed (default 5,000 ms). */
  readonly answerMs?: number;
  /** Waits after a failure, doubled from the first to the second (default 100 and 10,000 ms). */
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
}

/** A source that tells of changes without end is not read more often. */
const betweenReadsMs = 20;
const timerMax = 2 ** 31 - 1;

/**
 * The set that several instances share. What was read last is in force, also while the source can't be reached or keeps
 * something that is not a set: `ageMs` grows and `lastError` says why. When the source keeps nothing, nothing is on.
 *
 * It watches first and reads then, so no change is lost in between, and reads again now and then. Neither its timers
 * nor anything else of it keeps the process alive; the source's own connection may.
 */
export class WatchedStore implements PublishableStore {
  readonly #source: DirectiveSource;
  readonly #kinds: Kinds;
  readonly #now: () => number;
  readonly #refreshMs: number;
  readonly #answerMs: number;
  readonly #backoff: Backoff;
  readonly #watch: WatchKeeper;
  readonly #listeners = new Listeners();
  #snapshot = emptySnapshot;
  /** What the snapshot was made of; undefined before the first one. */
  #kept: KeptSet | null | undefined;
  #readError: Error | null = null;
  /** When the last reading began that was taken. */
  #takenAtMs = performance.now();
  #lastReadAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<boolean> | null = null;
  #following: Promise<boolean> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed: Promise<void> | null = null;

  /** Begins at once; until the first reading nothing is on. `await refresh()` waits for it. */
  constructor(source: DirectiveSource, options: WatchedStoreOptions = {}) {
    const { kinds = {}, now = Date.now } = options;
    this.#source = source;
    this.#kinds = kinds;
    this.#now = now;
    this.#refreshMs = milliseconds('refreshMs', options.refreshMs ?? 10_000);
    this.#answerMs = milliseconds('answerMs', options.answerMs ?? 5000);
    const retryMinMs = milliseconds('retryMinMs', options.retryMinMs ?? 100);
    const retryMaxMs = milliseconds('retryMaxMs', options.retryMaxMs ?? 10_000);
    this.#backoff = new Backoff(retryMinMs, retryMaxMs);
    this.#watch = new WatchKeeper({
      source,
      answerMs: this.#answerMs,
      retryMinMs,
      retryMaxMs,
      changed: () => this.#readSoon(),
      tried: () => void this.refresh(),
    });
    this.#watch.start();
  }

  load(): DirectiveSnapshot {
    return this.#snapshot;
  }

  /** Milliseconds since the source was last asked for what is in force, and answered with a set; at first, since the start. */
  ageMs(): number {
    return performance.now() - this.#takenAtMs;
  }

  get lastError(): Error | null {
    return this.#readError ?? this.#watch.error;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Reads now. True when what was read is in force. Never rejects: `lastError` has the reason. */
  refresh(): Promise<boolean> {
    if (this.#closed !== null) return Promise.resolve(false);
    // One that is under way may have begun before what the caller wants to see.
    if (this.#following !== null) return this.#following;
    if (this.#reading === null) return this.#begin();
    this.#following = this.#reading.then(() => {
      this.#following = null;
      return this.#closed === null ? this.#begin() : false;
    });
    return this.#following;
  }

  /**
   * Writes the set to the source; when this resolves it is in force here too, unless reading it back failed.
   *
   * @throws what the source throws, and as told in `PublishableStore`
   */
  async publish(directives: readonly Directive[], { ifRevision }: PublishOptions = {}): Promise<number> {
    checkIfRevision(ifRevision);
    if (this.#closed !== null) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'publish: this store is closed');
    }
    const { write } = this.#source;
    if (write === undefined) {
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        'publish: the source of this store has no write()',
      );
    }
    const checked = checkedDirectives(directives, { kinds: this.#kinds, now: this.#now });
    const text = encodeKeptDirectives(checked);
    const revision = await within(
      this.#answerMs,
      'writing the directives (they may be written all the same)',
      () => write.call(this.#source, text, ifRevision),
    );
    await this.refresh();
    if (revision === null) throw staleError(ifRevision ?? 0);
    return revision;
  }

  /** Ends the watch and waits for a reading under way. The set stays in force until its directives are over. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      clearTimeout(this.#timer);
      await Promise.all([this.#watch.close(), this.#reading]);
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(): Promise<boolean> {
    // Whatever it was set for, this reading begins after it.
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#reading = this.#read();
    return this.#reading;
  }

  async #read(): Promise<boolean> {
    const beganAtMs = performance.now();
    this.#lastReadAtMs = beganAtMs;
    try {
      const kept = await within(this.#answerMs, 'reading the directives', () => this.#source.read());
      if (this.#closed !== null) return false;
      this.#take(kept);
      this.#takenAtMs = beganAtMs;
      this.#readError = null;
    } catch (error) {
      this.#readError =
        error instanceof Error ? error : new Error(`reading the directives failed: ${describe(error)}`);
    } finally {
      this.#reading = null;
    }
    const wentWell = this.#readError === null;
    if (wentWell) this.#backoff.reset();
    this.#schedule(wentWell ? this.#refreshMs : Math.min(this.#refreshMs, this.#backoff.next()));
    return wentWell;
  }

  /** Puts it in force if it is another one. Throws when it is not a set. */
  #take(kept: KeptSet | null): void {
    const before = this.#kept;
    // The text too: a source that was emptied and filled again may count from 1 anew.
    if (before !== undefined && kept?.revision === before?.revision && kept?.text === before?.text) return;
    this.#snapshot = kept === null ? emptySnapshot : this.#decoded(kept);
    this.#kept = kept;
    if (before !== undefined || kept !== null) this.#listeners.callAll();
  }

  #decoded({ revision, text }: KeptSet): DirectiveSnapshot {
    if (!Number.isSafeInteger(revision) || revision < 1) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `the revision of the directives kept must be an integer from 1 on, got ${describe(revision)}`,
      );
    }
    const decoded = decodeKept(text, { nowMs: this.#now(), kinds: this.#kinds });
    if ('slug' in decoded) throw directivesError(decoded, `the directives kept as revision ${revision}`);
    return snapshotOf(revision, decoded.directives);
  }

  #readSoon(): void {
    const waitMs = this.#lastReadAtMs + betweenReadsMs - performance.now();
    if (waitMs <= 0) void this.refresh();
    else this.#schedule(waitMs);
  }

  /** Unless it will be read earlier anyway. */
  #schedule(ms: number): void {
    const atMs = performance.now() + ms;
    if (this.#closed !== null || this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      void this.refresh();
    }, ms);
    this.#timer.unref();
  }
}

function milliseconds(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 1 && value <= timerMax) return value;
  throw new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `options.${name} must be a number from 1 to ${timerMax} milliseconds, got ${describe(value)}`,
  );
}
