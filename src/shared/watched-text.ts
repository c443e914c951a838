import { AckgateError, AckgateRangeError } from '../errors.js';
import { Backoff } from './backoff.js';
import { checkIfRevision, outOfRange } from './checks.js';
import { describe } from './describe.js';
import type { KeptText, TextSource } from './text-source.js';
import { timerMsMax } from './timer-ms-max.js';
import { WatchKeeper } from './watch-keeper.js';
import { within } from './within.js';

/** How often and how patiently a source is asked. Milliseconds, 1 … 2^31-1. */
export interface WatchOptions {
  /** The text is read at least so often, should a change go untold (default 10,000). */
  readonly refreshMs?: number;
  /** A source that takes longer has failed (default 5,000). */
  readonly answerTimeoutMs?: number;
  /** How long it waits after a failure; twice as long after each further one (default 100). */
  readonly retryMsMin?: number;
  /** The longest that it waits so (default 10,000). */
  readonly retryMsMax?: number;
}

/** Their names, for what has options of its own besides. */
export const watchKeys = [
  'refreshMs',
  'answerTimeoutMs',
  'retryMsMin',
  'retryMsMax',
] as const satisfies readonly (keyof WatchOptions)[];

/** What a text means to whoever watches it. */
export interface Reading<T> {
  /** What is watched, in words, such as "the directives". */
  readonly what: string;
  /** The value where nothing is kept. */
  readonly empty: T;
  /** The value of a text. Throws for one that can't be meant; the value in force stays then. */
  decode(kept: KeptText): T;
  /** Something else is kept, or it was read for the first time, even if that is nothing. Must not throw. */
  changed(): void;
}

/** A source that tells of changes without end is not read more often. */
const betweenReadsMs = 20;
/**
 * A text that several instances share, decoded. What was read last is in force, also while the source can't be reached
 * or keeps something that can't be meant: `ageMs` grows and `lastError` says why.
 *
 * It watches first and reads then, so no change is lost in between, and reads again now and then. Neither its timers
 * nor anything else of it keeps the process alive; the source's own connection may.
 */
export class WatchedText<T> {
  readonly #source: TextSource;
  readonly #reading: Reading<T>;
  readonly #refreshMs: number;
  readonly #answerTimeoutMs: number;
  readonly #backoff: Backoff;
  readonly #watch: WatchKeeper;
  #value: T;
  /** What the value was made of; undefined before the first one. */
  #kept: KeptText | null | undefined;
  #readError: Error | null = null;
  /** When the last reading began that was taken. */
  #takenAtMs = performance.now();
  #lastReadAtMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<boolean> | null = null;
  #following: Promise<boolean> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed: Promise<void> | null = null;

  /** Begins at once; until the first reading the value is the empty one. */
  constructor(source: TextSource, reading: Reading<T>, options: WatchOptions) {
    this.#source = source;
    this.#reading = reading;
    this.#value = reading.empty;
    this.#refreshMs = milliseconds('refreshMs', options.refreshMs ?? 10_000);
    this.#answerTimeoutMs = milliseconds('answerTimeoutMs', options.answerTimeoutMs ?? 5000);
    const retryMsMin = milliseconds('retryMsMin', options.retryMsMin ?? 100);
    const retryMsMax = milliseconds('retryMsMax', options.retryMsMax ?? 10_000);
    this.#backoff = new Backoff(retryMsMin, retryMsMax);
    this.#watch = new WatchKeeper({
      source,
      what: reading.what,
      answerTimeoutMs: this.#answerTimeoutMs,
      retryMsMin,
      retryMsMax,
      changed: () => this.#readSoon(),
      tried: () => void this.refresh(),
    });
    this.#watch.start();
  }

  get value(): T {
    return this.#value;
  }

  /** Whether something in force was ever read; that nothing is kept counts too. */
  get taken(): boolean {
    return this.#kept !== undefined;
  }

  /** Milliseconds since the source was last asked for what is in force, and answered so; at first, since the start. */
  get ageMs(): number {
    return performance.now() - this.#takenAtMs;
  }

  get lastError(): Error | null {
    return this.#readError ?? this.#watch.error;
  }

  /** Reads now. True when what was read is in force. Never rejects: `lastError` has the reason. */
  refresh(): Promise<boolean> {
    if (this.#closed !== null) return Promise.resolve(false);
    // One that is under way may have begun before what the caller wants to see.
    if (this.#following !== null) return this.#following;
    if (this.#underWay === null) return this.#begin();
    this.#following = this.#underWay.then(() => {
      this.#following = null;
      return this.#closed === null ? this.#begin() : false;
    });
    return this.#following;
  }

  /** Throws when nothing can be written, or `ifRevision` is none; before anything that is to be written is looked at. */
  checkWritable(ifRevision: unknown): void {
    checkIfRevision(ifRevision);
    if (this.#closed !== null) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'publish: this store is closed');
    }
    if (this.#source.write === undefined) {
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        'publish: the source of this store has no write()',
      );
    }
  }

  /**
   * Writes a text to the source; when this resolves it is in force here too, unless reading it back failed. The new
   * revision; null when `ifRevision` is not the one that is kept any more.
   *
   * @throws what the source throws, and as told by `checkWritable`
   */
  async write(text: string, ifRevision: number | undefined): Promise<number | null> {
    this.checkWritable(ifRevision);
    const revision = await within(
      this.#answerTimeoutMs,
      `writing ${this.#reading.what} (perhaps written all the same)`,
      async () => this.#source.write?.(text, ifRevision) ?? null,
    );
    await this.refresh();
    return revision;
  }

  /** Ends the watch and waits for a reading under way. The value stays. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      clearTimeout(this.#timer);
      await Promise.all([this.#watch.close(), this.#underWay]);
    })();
    return this.#closed;
  }

  #begin(): Promise<boolean> {
    // Whatever it was set for, this reading begins after it.
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#underWay = this.#read();
    return this.#underWay;
  }

  async #read(): Promise<boolean> {
    const { what } = this.#reading;
    const beganAtMs = performance.now();
    this.#lastReadAtMs = beganAtMs;
    try {
      const kept = await within(this.#answerTimeoutMs, `reading ${what}`, () => this.#source.read());
      if (this.#closed !== null) return false;
      this.#take(kept);
      this.#takenAtMs = beganAtMs;
      this.#readError = null;
    } catch (error) {
      this.#readError =
        error instanceof Error ? error : new Error(`reading ${what} failed: ${describe(error)}`);
    } finally {
      this.#underWay = null;
    }
    const wentWell = this.#readError === null;
    if (wentWell) this.#backoff.reset();
    this.#schedule(wentWell ? this.#refreshMs : Math.min(this.#refreshMs, this.#backoff.next()));
    return wentWell;
  }

  /** Puts it in force if it is another one. Throws when it can't be meant. */
  #take(kept: KeptText | null): void {
    const before = this.#kept;
    // The text too: a source that was emptied and filled again may count from 1 anew.
    if (before !== undefined && kept?.revision === before?.revision && kept?.text === before?.text) return;
    this.#value = kept === null ? this.#reading.empty : this.#decoded(kept);
    this.#kept = kept;
    this.#reading.changed();
  }

  #decoded(kept: KeptText): T {
    const { revision } = kept;
    if (!Number.isSafeInteger(revision) || revision < 1) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `the revision of ${this.#reading.what} kept must be an integer from 1 on, got ${describe(revision)}`,
      );
    }
    return this.#reading.decode(kept);
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
  if (typeof value === 'number' && value >= 1 && value <= timerMsMax) return value;
  throw outOfRange(name, `a number of milliseconds from 1 to ${timerMsMax}`, value);
}
