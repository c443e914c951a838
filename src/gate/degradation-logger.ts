import type { DurabilityMode } from '../policy/index.js';
import type { Logger } from '../shared/logger.js';

/** How long a state must have held before its transition is logged: a flapping replica makes no noise. */
export const holdNs = 1e9;
/** Between two reminders while degraded. */
const reminderIntervalNs = 5e9;

/** How a policy stands: what log lines and events about degradation say. */
export interface DegradationFields {
  /** Text of the policy in force. */
  policy: string;
  /** Its mode; `custom` for a policy of one's own. */
  mode: DurabilityMode | 'custom';
  /** Nodes whose cursors count, the primary included. */
  connectedNodes: number;
  /** Nodes (or zones) that the unmet clause asks for; when none is unmet, the most that any clause does. */
  neededNodes: number;
  /** The unmet clause's text; null when none is. */
  clause: string | null;
}

/**
 * Turns "is the policy degraded just now" into a gauge, log lines and the time spent degraded. A pure state
 * machine: it is fed the state and the time, in nanoseconds of any monotonic clock, and has neither clock nor timer.
 *
 * The first `tick` (or `reseed`) starts it.
 */
export class DegradationLogger {
  readonly #logger: Logger;
  readonly #describe: () => DegradationFields;
  readonly #onTransition: (degraded: boolean, fields: DegradationFields) => void;

  #started = false;
  /** As of the last tick. */
  #degraded = false;
  #lastTickNs = 0;
  /** When `#degraded` last changed: the hold runs from here. */
  #flippedNs = 0;
  /** What the log says: differs from `#degraded` exactly while a hold is running. */
  #loggedDegraded = false;
  #reminderNs = 0;
  #degradedNanos = 0;

  /**
   * `describe` is asked for the fields only when a line is logged, after the tick's state was taken over.
   * `onTransition` hears of every logged transition, before the logger.
   */
  constructor(
    logger: Logger,
    describe: () => DegradationFields,
    onTransition: (degraded: boolean, fields: DegradationFields) => void = () => {},
  ) {
    this.#logger = logger;
    this.#describe = describe;
    this.#onTransition = onTransition;
  }

  /** The gauge: the state at the last tick, no hold applied. */
  get policyDegraded(): boolean {
    return this.#degraded;
  }

  /** Time spent degraded, up to the last tick. */
  get policyDegradedNanos(): number {
    return this.#degradedNanos;
  }

  /** Time spent degraded, the interval since the last tick included. */
  degradedNanosAt(nowNs: number): number {
    return this.#degraded ? this.#degradedNanos + Math.max(0, nowNs - this.#lastTickNs) : this.#degradedNanos;
  }

  /** When `tick` has something to log at the latest, if the state stays as it is; Infinity: never. */
  get nextDeadlineNs(): number {
    if (this.#degraded !== this.#loggedDegraded) return this.#flippedNs + holdNs;
    return this.#degraded ? this.#reminderNs : Number.POSITIVE_INFINITY;
  }

  /** Takes the state as it is now. */
  tick(degraded: boolean, nowNs: number): void {
    if (!this.#started) {
      this.#start(degraded, nowNs);
      return;
    }
    this.#accumulate(nowNs);
    if (degraded !== this.#degraded) {
      this.#degraded = degraded;
      this.#flippedNs = nowNs;
    }
    if (this.#degraded !== this.#loggedDegraded) {
      if (nowNs >= this.#flippedNs + holdNs) this.#logTransition(nowNs);
    } else if (this.#degraded && nowNs >= this.#reminderNs) {
      this.#reminderNs = nowNs + reminderIntervalNs;
      this.#logger.warn(this.#describe(), 'durability policy still degraded, acknowledgements are held back');
    }
  }

  /**
   * Takes the first evaluation of a new policy. The change is deliberate, so there is no hold: a state that differs
   * from what the log says is logged at once. When it is degraded (or not) as before, everything goes on as it was,
   * a running hold included.
   */
  reseed(degraded: boolean, nowNs: number): void {
    if (!this.#started) {
      this.#start(degraded, nowNs);
      return;
    }
    this.#accumulate(nowNs);
    if (degraded === this.#degraded) return;
    this.#degraded = degraded;
    this.#flippedNs = nowNs;
    if (degraded !== this.#loggedDegraded) this.#logTransition(nowNs);
  }

  #start(degraded: boolean, nowNs: number): void {
    this.#started = true;
    this.#degraded = degraded;
    this.#lastTickNs = nowNs;
    this.#flippedNs = nowNs;
    if (degraded) this.#logTransition(nowNs);
  }

  /** The interval between two ticks belongs to the earlier state. */
  #accumulate(nowNs: number): void {
    this.#degradedNanos = this.degradedNanosAt(nowNs);
    this.#lastTickNs = Math.max(this.#lastTickNs, nowNs);
  }

  // The state is complete before the logger is called, so that one that throws can't make it log twice.
  #logTransition(nowNs: number): void {
    this.#loggedDegraded = this.#degraded;
    if (this.#degraded) this.#reminderNs = nowNs + reminderIntervalNs;
    const fields = this.#describe();
    this.#onTransition(this.#degraded, fields);
    if (this.#degraded)
      this.#logger.warn(fields, 'durability policy degraded, acknowledgements are held back');
    else this.#logger.info(fields, 'durability policy met again');
  }
}
