import { AckgateError } from '../errors.js';
import type { Policy } from '../policy/index.js';
import { argument, checkedIfRevision, checkKeys, optionalFunction } from '../shared/checks.js';
import { Listeners } from '../shared/listeners.js';
import type { KeptText, TextSource } from '../shared/text-source.js';
import { WatchedText, type WatchOptions, watchKeys } from '../shared/watched-text.js';
import { type FollowOptions, type KeptMode, ModeFollower, type ModeStage } from './mode-follower.js';
import {
  checkModeChange,
  decodeMode,
  encodeMode,
  isOver,
  type ModeChange,
  type ModeSetting,
  nameOf,
} from './mode-text.js';

/** How a `WatchedMode` asks its source, and by which clock overrides end. */
export interface WatchedModeOptions extends WatchOptions {
  /** The time in unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
}

/** What is kept, at one moment. */
export interface ModeSnapshot {
  /** Of the source, from 1 on; 0: nothing is kept. */
  readonly revision: number;
  /** The mode kept, also one that is over; null: nothing is kept. */
  readonly setting: ModeSetting | null;
}

/** How a stage stands to a mode store. */
export interface ModeFollowing {
  /** The mode or policy while nothing overrides it. */
  readonly fallback: string;
  /** Why what is kept is not in force; null when it is. */
  readonly refused: Error | null;
}

/** What is kept but can't be meant. */
interface ModeFault {
  readonly kept: KeptText;
  readonly error: Error;
}

const nothing: KeptMode = Object.freeze({ revision: 0, read: null });

/**
 * The durability mode that several instances share: an override with an end, over each stage's own fallback. What was
 * read last is in force, also while the source can't be reached or keeps something that can't be meant: `ageMs` grows
 * and `lastError` says why. An end is absolute, so that a forgotten override ends by itself, on every instance, whatever
 * has become of the source.
 *
 * It watches first and reads then, so no change is lost in between, and reads again now and then. Neither its timers
 * nor anything else of it keeps the process alive; the source's own connection may.
 */
export class WatchedMode {
  readonly #now: () => number;
  readonly #text: WatchedText<KeptMode>;
  readonly #listeners = new Listeners('a mode store');
  readonly #followers = new Map<ModeStage, ModeFollower>();
  /** What was kept last that can't be meant. */
  #lastFault: ModeFault | null = null;
  #snapshot: ModeSnapshot = Object.freeze({ revision: 0, setting: null });

  /** Begins at once; until the first reading nothing is known. `await refresh()` waits for it. */
  constructor(source: TextSource, options: WatchedModeOptions = {}) {
    checkKeys('options', options, ['now', ...watchKeys]);
    const { now, ...watch } = options;
    this.#now = optionalFunction('now', now) ?? Date.now;
    const reading = {
      what: 'the mode',
      empty: nothing,
      decode: (kept: KeptText) => this.#decoded(kept),
      changed: () => this.#changed(),
    };
    this.#text = new WatchedText(source, reading, watch);
  }

  /** What was read last that can be meant. */
  load(): ModeSnapshot {
    return this.#snapshot;
  }

  /** What overrides just now; null: nothing does. */
  override(): ModeSetting | null {
    const { read } = this.#text.value;
    return read === null || read.resolved === null || isOver(read.setting, this.#now()) ? null : read.setting;
  }

  /** Milliseconds since the source was last asked for what is in force, and answered so; at first, since the start. */
  ageMs(): number {
    return this.#text.ageMs;
  }

  /** What went wrong when the source was last read or watched; null when nothing did. */
  get lastError(): Error | null {
    return this.#text.lastError;
  }

  /** Calls back when something else is kept, after the stages were told. Returns what ends this. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Reads now. True when what was read is in force. Never rejects: `lastError` has the reason. */
  refresh(): Promise<boolean> {
    return this.#text.refresh();
  }

  /**
   * From now on this store moves the stage's mode: to what is kept, and back to the fallback when that is over, deleted
   * or `fallback` itself. What can't be meant, and what `check` refuses, changes nothing: what is in force stays until
   * its own end. Until the first reading the stage keeps the mode that it has.
   *
   * Returns what ends it; the stage keeps the mode it has then. It ends by itself with the stage.
   *
   * @throws ERR_ACKGATE_INVALID_ARGUMENT for a stage that follows already; what `check` throws for the fallback
   */
  follow(stage: ModeStage, options: FollowOptions): () => void {
    const follower = new ModeFollower(stage, options, this.#now);
    if (this.#followers.has(stage))
      throw argument('stage', 'one that does not follow this mode store already');
    this.#followers.set(stage, follower);
    if (this.#text.taken) follower.take(this.#text.value);
    if (this.#fault !== null) tellFault(follower, this.#fault);
    return () => {
      follower.end();
      if (this.#followers.get(stage) === follower) this.#followers.delete(stage);
    };
  }

  /** How this stage stands to what is kept; null: it does not follow. */
  following(stage: ModeStage): ModeFollowing | null {
    const follower = this.#followers.get(stage);
    if (follower === undefined || follower.ended) return null;
    return { fallback: nameOf(follower.fallback), refused: this.#fault?.error ?? follower.refused };
  }

  /** Throws what the `check` of a stage that follows here throws for this policy. */
  check(policy: Policy): void {
    for (const follower of this.#followers.values()) follower.check(policy);
  }

  /**
   * Writes a mode to the source, for all instances; when this resolves it is in force here too, unless reading it back
   * failed. Returns the new revision.
   *
   * @param options.ifRevision only if this is the revision that is kept (0: nothing is)
   * @throws ERR_ACKGATE_MODE_STALE, and nothing has changed
   * @throws what `check` throws, what the source throws, and errors that name what can't be meant
   */
  async publish(change: ModeChange, options: { readonly ifRevision?: number } = {}): Promise<number> {
    const ifRevision = checkedIfRevision(options);
    this.#text.checkWritable(ifRevision);
    const { setting, resolved } = checkModeChange(change, this.#now());
    if (resolved !== null) this.check(resolved.policy);
    const revision = await this.#text.write(encodeMode(setting), ifRevision);
    if (revision !== null) return revision;
    throw new AckgateError(
      'ERR_ACKGATE_MODE_STALE',
      `ifRevision ${ifRevision} is not the revision kept any more: look at what is kept, then publish again`,
    );
  }

  /** Ends the watch and waits for a reading under way. What overrides stays so until its own end. */
  close(): Promise<void> {
    return this.#text.close();
  }

  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #changed(): void {
    const { value } = this.#text;
    const before = this.#snapshot;
    this.#snapshot = Object.freeze({ revision: value.revision, setting: value.read?.setting ?? null });
    for (const [stage, follower] of this.#followers) {
      follower.take(value);
      if (follower.ended) this.#followers.delete(stage);
    }
    // Not of a source that is empty from the start.
    if (before.revision !== 0 || value.revision !== 0) this.#listeners.callAll();
  }

  #decoded(kept: KeptText): KeptMode {
    try {
      return { revision: kept.revision, read: decodeMode(kept) };
    } catch (error) {
      this.#lastFault = { kept, error: error as Error };
      for (const follower of this.#followers.values()) tellFault(follower, this.#lastFault);
      throw error;
    }
  }

  /** Null: what is kept can be meant, as far as known. */
  get #fault(): ModeFault | null {
    const fault = this.#lastFault;
    return fault !== null && fault.error === this.lastError ? fault : null;
  }
}

function tellFault(follower: ModeFollower, { kept, error }: ModeFault): void {
  follower.tellFault(kept.revision, String(kept.text), error);
}
