import { AckgateError } from '../errors.js';
import type { Policy, PolicyInput, ResolvedPolicy } from '../policy/index.js';
import { argument, checkKeys, checkLogger, optionalFunction } from '../shared/checks.js';
import { describe } from '../shared/describe.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import type { Stage } from '../stage/api.js';
import { checkPolicy } from '../stage/options.js';
import { isOver, type ModeSetting, nameOf, type ReadSetting } from './mode-text.js';

/** What of a stage a mode store works with. */
export type ModeStage = Pick<Stage, 'setMode' | 'status'>;

/** How a stage follows a mode store: `WatchedMode.follow`. */
export interface FollowOptions {
  /** The mode or policy while nothing overrides it: give the stage the same one when it is started. `follow` throws for a text that is none. */
  readonly fallback: PolicyInput;
  /** Throws for a policy that this server can't keep, such as `checkPostgresPolicy`: what is in force stays then (default: none is refused). */
  readonly check?: (policy: Policy) => void;
  /** Where every change is told, with who made it (default: nowhere). */
  readonly logger?: Logger;
}

/** What is kept, as a follower gets it. */
export interface KeptMode {
  readonly revision: number;
  /** Null: nothing is kept. */
  readonly read: ReadSetting | null;
}

/** The longest that an end can go unnoticed when the machine slept or its clock was set: timers count neither. */
const lookMs = 1000;
/** How long to wait when the stage takes no more calls just now. */
const retryMs = 100;
/** Texts that were told of are remembered up to so many. */
const toldMax = 64;

/** Moves one stage's mode. */
export class ModeFollower {
  readonly fallback: ResolvedPolicy;
  /** Why what is kept is not in force; null when it is, or when it can't even be meant. */
  refused: Error | null = null;
  /** The stage takes nothing more, ever. */
  ended = false;
  readonly #stage: ModeStage;
  readonly #check: ((policy: Policy) => void) | null;
  readonly #logger: Logger;
  readonly #now: () => number;
  #kept: KeptMode | null = null;
  /** What overrides until its own end: what is kept, or what was kept before it, if that one is refused. */
  #accepted: KeptMode | null = null;
  /** What the stage was given last. */
  #applied: { policy: ResolvedPolicy; by: KeptMode | null } | null = null;
  readonly #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(stage: ModeStage, options: FollowOptions, now: () => number) {
    checkKeys('follow options', options, ['fallback', 'check', 'logger']);
    if (typeof stage?.setMode !== 'function' || typeof stage.status !== 'function') {
      throw argument('stage', 'a stage');
    }
    this.#stage = stage;
    this.#check = optionalFunction('check', options.check);
    this.#logger = safeLogger(checkLogger(options.logger ?? silentLogger));
    this.#now = now;
    if (options.fallback === undefined) throw argument('fallback', 'a mode or a policy');
    this.fallback = checkPolicy(options.fallback);
    this.#check?.(this.fallback.policy);
  }

  /** Throws what `check` throws. */
  check(policy: Policy): void {
    this.#check?.(policy);
  }

  /** Something else is kept. */
  take(kept: KeptMode): void {
    this.#kept = kept;
    this.refused = null;
    const { read } = kept;
    if (read === null || read.resolved === null || isOver(read.setting, this.#now())) this.#accepted = kept;
    else if (this.#allows(kept, read.setting, read.resolved)) this.#accepted = kept;
    this.#look();
  }

  /** What is kept can't be meant: told once for each such text. */
  tellFault(revision: number, text: string, error: Error): void {
    if (!this.#isNews(text)) return;
    const fields = { revision, why: error.message };
    this.#logger.error(fields, 'unknown mode in the mode store, the one in force stays');
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.#timer);
  }

  #allows({ revision }: KeptMode, setting: ModeSetting, { policy }: ResolvedPolicy): boolean {
    try {
      this.#check?.(policy);
      return true;
    } catch (error) {
      this.refused = error instanceof Error ? error : new Error(describe(error));
      const { by = null } = setting;
      const fields = { revision, by, policy: policy.toString(), why: this.refused.message };
      if (this.#isNews(setting.policy)) {
        this.#logger.error(fields, 'mode of the mode store refused, the one in force stays');
      }
      return false;
    }
  }

  #look(): void {
    if (this.ended || this.#kept === null) return;
    clearTimeout(this.#timer);
    const nowMs = this.#now();
    // A refused one that is over has been withdrawn: the one before it does not come back by that.
    if (this.refused !== null && isOverIn(this.#kept, nowMs)) {
      this.refused = null;
      this.#accepted = this.#kept;
    }
    // Until something was accepted, the stage keeps the mode that it was started with.
    if (this.#accepted === null) {
      this.#lookAt(nowMs);
      return;
    }
    const overrides = isOverIn(this.#accepted, nowMs) ? null : (this.#accepted.read?.resolved ?? null);
    if (this.#set(overrides ?? this.fallback, overrides === null)) this.#lookAt(nowMs);
  }

  /** Timers stand still while the machine sleeps, so the end is looked for now and then as well. */
  #lookAt(nowMs: number): void {
    const ends = [this.#kept, this.#accepted]
      .map((mode) => mode?.read?.setting.expiresAt ?? 0)
      .filter((expiresAt) => expiresAt > nowMs);
    if (ends.length > 0) this.#lookIn(Math.min(lookMs, ...ends.map((expiresAt) => expiresAt - nowMs)));
  }

  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.ceil(ms));
    this.#timer.unref();
  }

  /** False when there is nothing more to wait for, or something else is waited for. */
  #set(policy: ResolvedPolicy, isFallback: boolean): boolean {
    const accepted = this.#accepted as KeptMode;
    const last = this.#applied;
    if (last !== null && last.policy === policy && last.by === accepted) return true;
    const status = this.#stage.status();
    const isThere = status.modeByte === policy.byte && status.policy === policy.policy.toString();
    // Its status may not show yet what it was given last, so that counts too.
    const isInForce = isThere && (last === null || isSame(last.policy, policy));
    try {
      if (!isInForce) this.#stage.setMode(policy.mode === 'custom' ? policy.policy : policy.mode);
    } catch (error) {
      return this.#refusedByStage(error);
    }
    this.#applied = { policy, by: accepted };
    const from = last === null ? nameOfStatus(status) : nameOf(last.policy);
    if (last !== null || !isInForce || !isFallback) this.#tell(accepted, from, policy, isFallback);
    return true;
  }

  #refusedByStage(error: unknown): boolean {
    if (error instanceof AckgateError && error.code === 'ERR_ACKGATE_CONTROL_FULL') {
      this.#lookIn(retryMs);
    } else {
      // It has ended, or is fenced for good, and has told so itself.
      this.end();
    }
    return false;
  }

  #tell({ revision, read }: KeptMode, from: string, to: ResolvedPolicy, isFallback: boolean): void {
    const { by = null, expiresAt } = read?.setting ?? {};
    const fields = {
      from,
      to: nameOf(to),
      policy: to.policy.toString(),
      by,
      why: read === null ? 'deleted' : isFallback && read.resolved !== null ? 'expired' : 'published',
      expiresAt: expiresAt === undefined ? null : timeText(expiresAt),
      revision,
    };
    this.#logger.info(fields, 'durability mode set by the mode store');
  }

  /** The first time that this text is told of, as far as remembered. */
  #isNews(text: string): boolean {
    if (this.#told.has(text)) return false;
    if (this.#told.size >= toldMax) this.#told.clear();
    this.#told.add(text);
    return true;
  }
}

function isOverIn({ read }: KeptMode, nowMs: number): boolean {
  return read !== null && isOver(read.setting, nowMs);
}

function isSame(a: ResolvedPolicy, b: ResolvedPolicy): boolean {
  return a.byte === b.byte && a.policy.toString() === b.policy.toString();
}

function nameOfStatus({ mode, policy }: { mode: string; policy: string }): string {
  return mode === 'custom' ? policy : mode;
}

/** As a date, as far as there are dates. */
function timeText(unixMs: number): string {
  const date = new Date(unixMs);
  return Number.isNaN(date.getTime()) ? String(unixMs) : date.toISOString();
}
