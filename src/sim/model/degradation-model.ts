import { SimulationFailure } from '../failure.js';

/** How long a state holds before it is logged, and the time between two reminders. */
const holdNs = 1e9;
const reminderNs = 5e9;

/** What the gauge, the log and the degraded time must be, from what each round has seen. */
export class DegradationModel {
  degraded: boolean;
  nanos = 0;
  /** The last round. */
  lastNs: number;
  #flippedNs: number;
  #logged: boolean;
  #loggedNs: number;
  /** The last round that can have logged a transition, or a reminder, which was due. */
  #overdueSince = Number.POSITIVE_INFINITY;

  constructor(degraded: boolean, nowNs: number) {
    this.degraded = degraded;
    this.lastNs = nowNs;
    this.#flippedNs = nowNs;
    // A stage that starts degraded says so at once; `line` is told of it before this is made.
    this.#logged = degraded;
    this.#loggedNs = nowNs;
  }

  /** Time spent degraded up to `nowNs`. */
  nanosAt(nowNs: number): number {
    return this.nanos + (this.degraded ? nowNs - this.lastNs : 0);
  }

  /** A round at `nowNs` has found this. `tickNs`: it looks at the log at least so often. */
  round(degraded: boolean, nowNs: number, tickNs: number): void {
    this.nanos = this.nanosAt(nowNs);
    this.lastNs = nowNs;
    if (degraded !== this.degraded) {
      this.degraded = degraded;
      this.#flippedNs = nowNs;
    }
    const dueNs = this.#dueNs();
    if (nowNs < dueNs + tickNs) this.#overdueSince = Number.POSITIVE_INFINITY;
    else if (this.#overdueSince === Number.POSITIVE_INFINITY) this.#overdueSince = nowNs;
    else if (nowNs > this.#overdueSince + tickNs) {
      throw new SimulationFailure('I09', `${degraded ? 'degraded' : 'whole'} for long, and nothing logged`);
    }
  }

  /** A line was logged at `nowNs`. `modeChanged`: a mode was taken in this round. */
  line(kind: 'degraded' | 'whole' | 'reminder', nowNs: number, modeChanged: boolean): void {
    const early = (sinceNs: number, ns: number) => nowNs - sinceNs < ns;
    if (kind === 'reminder') {
      if (!this.#logged || early(this.#loggedNs, reminderNs)) {
        throw new SimulationFailure('I09', 'a reminder out of its time');
      }
    } else {
      const degraded = kind === 'degraded';
      if (degraded === this.#logged) throw new SimulationFailure('I09', `"${kind}" was logged twice`);
      if (!modeChanged && (degraded !== this.degraded || early(this.#flippedNs, holdNs))) {
        throw new SimulationFailure('I09', `"${kind}" was logged before it had held for a second`);
      }
      this.#logged = degraded;
    }
    this.#loggedNs = nowNs;
  }

  #dueNs(): number {
    if (this.degraded !== this.#logged) return this.#flippedNs + holdNs;
    return this.degraded ? this.#loggedNs + reminderNs : Number.POSITIVE_INFINITY;
  }
}
