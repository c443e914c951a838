import type { StatusAnswer } from './answer.js';
import { type GateState, type Standing, standing } from './headline.js';

/** What happened between two answers. `null` where it can't be told. */
export interface Interval {
  /** Unix milliseconds of this browser, at its end. */
  atMs: number;
  /** `away`: the server did not answer. `unknown`: there is nothing to compare with yet. */
  gate: GateState | 'away' | 'unknown';
  recordsPerSecond: number | null;
  bytesPerSecond: number | null;
  /** Shares of the time in which a record waited, by who kept it. They add up to 1 at most. */
  journal: number | null;
  replication: number | null;
  degraded: number | null;
  /** Share of the time in which the stage had something to do. */
  busy: number | null;
  ringDepth: number | null;
  /** Of the clients, in milliseconds. */
  p50: number | null;
  p99: number | null;
  max: number | null;
}

type Counter = 'recordsReleased' | 'bytesSent' | 'busyNanos' | 'idleNanos' | GateCounter;
type GateCounter = 'gateClosedJournalNanos' | 'gateClosedReplicationNanos' | 'gateClosedDegradedNanos';

/** Two minutes at the pace of the page. */
const intervalsMax = 240;

/** Turns answers, whose counters only ever grow, into what happened between them. */
export class History {
  readonly intervals: Interval[] = [];
  /** Unix milliseconds when the server was last seen to have been started anew. */
  restartedAtMs: number | null = null;
  #last: StatusAnswer | null = null;
  #waitingSeq = 0;
  #waitingSinceNs = 0;

  /** The first record that waits, and for how long. */
  add(answer: StatusAnswer, atMs: number): Standing {
    const last = this.#last;
    const restarted = last !== null && isAnother(last, answer);
    if (restarted) this.restartedAtMs = atMs;
    const before = restarted ? null : last;
    const now = standing(answer, this.#closedSeconds(answer, before));
    this.#last = answer;
    this.#push(before === null ? nothing('unknown', atMs) : between(before, answer, now.gate, atMs));
    return now;
  }

  /** There was no answer. */
  miss(atMs: number): void {
    this.#push(nothing('away', atMs));
  }

  get latest(): Interval | undefined {
    return this.intervals.at(-1);
  }

  /** Whether anything was released lately. */
  get releasing(): boolean {
    return this.intervals.slice(-4).some(({ recordsPerSecond }) => (recordsPerSecond ?? 0) > 0);
  }

  #push(interval: Interval): void {
    this.intervals.push(interval);
    if (this.intervals.length > intervalsMax) this.intervals.shift();
  }

  /** A gate that opens and closes with every group of the journal is no news; one record that keeps waiting is. */
  #closedSeconds({ status, nowNs }: StatusAnswer, before: StatusAnswer | null): number {
    if (status.gateClosed !== 1 || !(status.gateClosedSinceNs > 0)) {
      this.#waitingSeq = 0;
      return 0;
    }
    if (status.waitingSeq !== this.#waitingSeq || before === null) {
      this.#waitingSeq = status.waitingSeq;
      const closedSinceThen = before === null || status.gateClosedSinceNs > before.nowNs;
      // Closed for longer, and yet another record waits: the gate lets records through all the time.
      this.#waitingSinceNs = closedSinceThen ? status.gateClosedSinceNs : nowNs;
    }
    return Math.max(0, (nowNs - this.#waitingSinceNs) / 1e9);
  }
}

function isAnother(last: StatusAnswer, { status, nowNs }: StatusAnswer): boolean {
  const before = last.status;
  if (nowNs < last.nowNs || status.rounds < before.rounds || status.recordsIn < before.recordsIn) return true;
  // One that is quick, or was away for long, may have counted further than the one before it; but it has run for less
  // time than has passed. A hundredth is for what is counted as neither busy nor idle.
  const ranNs = status.busyNanos + status.idleNanos;
  const passedNs = status.statusNs - before.statusNs;
  return ranNs > 0 && ranNs < passedNs * 0.99;
}

function nothing(gate: Interval['gate'], atMs: number): Interval {
  return {
    atMs,
    gate,
    recordsPerSecond: null,
    bytesPerSecond: null,
    journal: null,
    replication: null,
    degraded: null,
    busy: null,
    ringDepth: null,
    p50: null,
    p99: null,
    max: null,
  };
}

function between(last: StatusAnswer, answer: StatusAnswer, gate: GateState, atMs: number): Interval {
  // The counters are as old as the block that they stand in.
  const blockNs = answer.status.statusNs - last.status.statusNs;
  const ns = blockNs > 0 ? blockNs : answer.nowNs - last.nowNs;
  const grown = (name: Counter): number | null => {
    const difference = answer.status[name] - last.status[name];
    return Number.isFinite(difference) && ns > 0 ? Math.max(0, difference) : null;
  };
  const perSecond = (name: Counter) => scaled(grown(name), 1e9 / ns);
  const share = (name: GateCounter) => {
    const part = scaled(grown(name), 1 / ns);
    return part === null ? null : Math.min(1, part);
  };
  const busy = grown('busyNanos');
  const idle = grown('idleNanos');
  const roundTrip = answer.app?.roundTrip;
  return {
    atMs,
    gate,
    recordsPerSecond: perSecond('recordsReleased'),
    bytesPerSecond: perSecond('bytesSent'),
    journal: share('gateClosedJournalNanos'),
    replication: share('gateClosedReplicationNanos'),
    degraded: share('gateClosedDegradedNanos'),
    busy: busy === null || idle === null || busy + idle === 0 ? null : busy / (busy + idle),
    ringDepth: answer.status.ringDepth,
    p50: finite(roundTrip?.p50),
    p99: finite(roundTrip?.p99),
    max: finite(roundTrip?.max),
  };
}

function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}

function finite(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
