import type { Clock } from '../clock.js';
import { expectedOutcome, type Operation, type Outcome } from '../driver.js';
import { count } from '../format.js';
import { Latency } from './latency.js';
import { Outstanding, type Pending } from './outstanding.js';
import type { Tally } from './tally.js';

export interface LedgerOptions {
  readonly tally: Tally;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

/** How a connection ended: by itself, or because the runner wanted it to. */
export type Unanswered = 'lost' | 'abandoned';

/** Of requests without an answer: a server that hangs must not take the place of all other examples. */
const timeoutExamplesMax = 5;

/** What becomes of each request: every one that was due ends in exactly one of the counts, and its latency is kept. */
export class Ledger {
  readonly tally: Tally;
  readonly latency = new Latency();
  readonly #outstanding = new Outstanding();
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Disturbances under way; different ones can overlap. */
  #disturbances = 0;
  /** Those that came since it was calm, without the ones that were retracted. */
  #announced = 0;
  #undisturbedSinceMs = 0;
  /** Outstanding requests that were met by a disturbance. */
  #holding = 0;
  /** Told of each request of the closed loop that is no longer outstanding: its outcome, null when it has none. */
  onClosedLoop: ((answered: boolean, expected: boolean) => void) | null = null;

  constructor({ tally, clock, requestTimeoutMs }: LedgerOptions) {
    this.tally = tally;
    this.#clock = clock;
    this.#timeoutMs = requestTimeoutMs;
  }

  get outstanding(): number {
    return this.#outstanding.count;
  }

  /** No more requests can be sent before some are answered, or their connections end. */
  get full(): boolean {
    return this.#outstanding.full;
  }

  /** A request is about to be sent. */
  begin(
    client: number,
    id: number,
    operation: Operation,
    dueMs: number,
    sentMs: number,
    closedLoop: boolean,
  ): Pending {
    const pending = this.#outstanding.add(client, id, operation, dueMs, sentMs);
    pending.closedLoop = closedLoop;
    pending.judged = !closedLoop && this.#disturbances === 0 && this.#holding === 0;
    if (this.#disturbances > 0) this.#hold(pending);
    return pending;
  }

  /** It could not be sent after all. */
  undo(pending: Pending): void {
    this.#close(pending);
    this.#outstanding.forget(pending);
  }

  answered(pending: Pending, outcome: Outcome): void {
    const nowMs = this.#clock.nowMs();
    // Whether it has been looked at since then or not.
    if (!pending.timedOut && nowMs - pending.sentMs >= this.#timeoutMs) this.#timeOut(pending);
    if (pending.timedOut) this.tally.counts.late++;
    else this.#settle(pending, outcome, nowMs - pending.dueMs);
    this.#outstanding.forget(pending);
  }

  /** Its connection has ended before it was answered. */
  unanswered(pending: Pending, how: Unanswered): void {
    if (!pending.timedOut) {
      this.tally.counts[how]++;
      this.#close(pending);
      if (pending.closedLoop) this.onClosedLoop?.(false, false);
    }
    this.#outstanding.forget(pending);
  }

  /** Counts those that nobody waits for any more. */
  sweep(): void {
    const sentMs = this.#clock.nowMs() - this.#timeoutMs;
    for (let oldest = this.#outstanding.oldest; oldest !== null; oldest = this.#outstanding.oldest) {
      if (oldest.sentMs > sentMs) break;
      this.#timeOut(oldest);
    }
  }

  /**
   * Something is being done to the server, or no longer. What is outstanding or due in this time is not judged by its
   * latency, and neither is what is due before all of that is gone.
   */
  disturb(on: boolean): void {
    if (!on) {
      this.#disturbances = Math.max(0, this.#disturbances - 1);
      this.#undisturbedSinceMs = this.#clock.nowMs();
      return;
    }
    if (this.#disturbances === 0 && this.#holding === 0) this.#announced = 0;
    this.#announced++;
    this.#disturbances++;
    for (let at = this.#outstanding.oldest; at !== null; at = at.younger) {
      at.judged = false;
      if (!at.holding) this.#hold(at);
    }
  }

  /** In the place of `disturb(false)`: nothing came of it, and nothing that is outstanding is excused by it. */
  retract(): void {
    this.disturb(false);
    this.#announced--;
    // As long as another one was real, what is outstanding may be so because of that one.
    if (this.#announced > 0) return;
    for (let at = this.#outstanding.oldest; at !== null; at = at.younger) {
      at.judged = !at.closedLoop;
      at.holding = false;
    }
    this.#holding = 0;
  }

  /** Something is being done to the server, or its backlog is not gone, for which it has the time that a request has. */
  get disturbed(): boolean {
    if (this.#disturbances > 0) return true;
    return this.#holding > 0 && this.#clock.nowMs() - this.#undisturbedSinceMs < this.#timeoutMs;
  }

  #hold(pending: Pending): void {
    pending.holding = true;
    this.#holding++;
  }

  #settle(pending: Pending, outcome: Outcome, tookMs: number): void {
    const { operation } = pending;
    const expected = outcome === expectedOutcome(operation);
    this.tally.counts[expected ? 'expected' : 'unexpected']++;
    if (!expected) {
      const { client, id } = pending;
      this.tally.example(() => `client ${client}, request ${id}: ${operation} answered with ${outcome}`);
    }
    if (pending.judged) this.latency.record(operation === 'slow', tookMs);
    this.#close(pending);
    if (pending.closedLoop) this.onClosedLoop?.(true, expected);
  }

  #timeOut(pending: Pending): void {
    const { client, id, operation } = pending;
    if (++this.tally.counts.timedOut <= timeoutExamplesMax) {
      const within = `within ${count(this.#timeoutMs)} ms`;
      this.tally.example(() => `client ${client}: no answer to request ${id} (${operation}) ${within}`);
    }
    if (pending.judged) {
      const lagMs = pending.sentMs - pending.dueMs;
      this.latency.record(operation === 'slow', lagMs + this.#timeoutMs);
    }
    pending.timedOut = true;
    this.#close(pending);
    if (pending.closedLoop) this.onClosedLoop?.(false, false);
  }

  #close(pending: Pending): void {
    this.#outstanding.remove(pending);
    if (pending.holding) this.#holding--;
  }
}
