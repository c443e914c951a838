import type { LevelGrant, StageDiagnosis } from '../diagnosis/api.js';
import type { DirectiveSnapshot, DirectiveStore } from '../diagnosis/directive.js';
import { type DiagnosisLevel, diagnosisLevels, LevelIndex } from '../diagnosis/levels.js';
import { tenantKey } from '../diagnosis/sampling.js';
import { DirectivesWriter } from '../diagnosis/shared-directives.js';
import { AckgateError, AckgateRangeError } from '../errors.js';
import type { ControlOutcome } from '../shared/control-outcome.js';
import { describe } from '../shared/describe.js';
import { directivesOffset, type StageMemory } from '../shared/memory.js';
import type { CheckedDiagnosis } from './options.js';
import type { StageView } from './stage-view.js';

/** A grant is for one session; a minute more than an hour, for clocks that differ. */
const grantMsMax = 61 * 60_000;
const tenantCharsMax = 64;
const none: DirectiveSnapshot = Object.freeze({ revision: 0, directives: Object.freeze([]) });

/** What is sent to the stage about one connection; the control thread's side knows whether it is there. */
export interface SessionCalls {
  tenant(connectionId: number, key: number): ControlOutcome;
  raise(connectionId: number, level: number, expiresAt: number): ControlOutcome;
}

/** The control thread's side of diagnosis: what is in force goes into shared memory, what was seen is read from there. */
export class ControlledDiagnosis implements StageDiagnosis {
  readonly kinds: Readonly<Record<string, number>>;
  readonly #view: StageView;
  readonly #calls: SessionCalls;
  readonly #writer: DirectivesWriter;
  #baseline: DiagnosisLevel = 'off';
  #store: DirectiveStore | null = null;
  #unfollow: () => void = () => {};

  constructor(memory: StageMemory, view: StageView, options: CheckedDiagnosis, calls: SessionCalls) {
    this.#view = view;
    this.#calls = calls;
    this.kinds = options.kinds;
    this.#writer = new DirectivesWriter(memory.buffer, directivesOffset);
    if (options.baseline !== 'off') this.setBaseline(options.baseline);
  }

  get baseline(): DiagnosisLevel {
    return this.#baseline;
  }

  get store(): DirectiveStore | null {
    return this.#store;
  }

  setBaseline(level: DiagnosisLevel): void {
    this.#baseline = checkLevel('level', level);
    this.#write();
  }

  follow(store: DirectiveStore | null): void {
    if (store !== null && (typeof store?.load !== 'function' || typeof store.onChange !== 'function')) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'store must be a DirectiveStore, or null');
    }
    // Before it is read: a set that is published in between is seen by one or the other.
    const unfollow = store === null ? () => {} : store.onChange(() => this.#write());
    const before = this.#store;
    this.#store = store;
    try {
      this.#write();
    } catch (error) {
      this.#store = before;
      unfollow();
      throw error;
    }
    this.#unfollow();
    this.#unfollow = unfollow;
  }

  setTenant(connectionId: number, tenant: string): ControlOutcome {
    if (typeof tenant !== 'string' || tenant === '' || tenant.length > tenantCharsMax) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'tenant must be a text of 1 to 64 characters');
    }
    return this.#calls.tenant(connectionId, tenantKey(tenant));
  }

  raise(connectionId: number, grant: LevelGrant): ControlOutcome {
    const level = checkLevel('grant.level', grant?.level);
    const { expiresAt } = grant;
    if (typeof expiresAt !== 'number' || !(expiresAt >= 0) || expiresAt > Date.now() + grantMsMax) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `grant.expiresAt must be unix milliseconds, at most an hour ahead, got ${describe(expiresAt)}`,
      );
    }
    return this.#calls.raise(connectionId, LevelIndex[level], expiresAt);
  }

  captured(after?: number) {
    return this.#view.captured(after);
  }

  /** The stage has ended: its store may outlive it. */
  close(): void {
    this.#unfollow();
    this.#unfollow = () => {};
  }

  #write(): void {
    const snapshot = this.#store === null ? none : this.#store.load();
    this.#writer.write(snapshot, this.kinds, this.#baseline);
    this.#view.waker.wake();
  }
}

function checkLevel(name: string, level: unknown): DiagnosisLevel {
  if (diagnosisLevels.includes(level as DiagnosisLevel)) return level as DiagnosisLevel;
  throw new AckgateError(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `${name} must be one of ${diagnosisLevels.join(', ')}, got ${describe(level)}`,
  );
}
