import type { Clock } from '../clock.js';
import type { ClosedLoad } from '../config.js';
import type { Sent } from './connection.js';
import type { Ledger } from './ledger.js';
import type { Schedule } from './schedule.js';

export interface ClosedLoopOptions extends ClosedLoad {
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** What the requests are; when they would be due is of no meaning here. */
  readonly schedule: Schedule;
  /** Sends by whichever client is next; refused when none takes it. */
  readonly send: (schedule: Schedule, nowMs: number) => Sent;
  readonly giveUpMs: number;
}

export interface ClosedLoopResult {
  readonly requests: number;
  readonly answered: number;
  readonly expected: number;
}

/** Between two looks at what has timed out, and whether clients have come back. */
const lookMs = 5;

/** Sends so many requests, and the next one only when there are fewer than so many outstanding. */
export class ClosedLoop {
  readonly #options: ClosedLoopOptions;
  #sent = 0;
  #done = 0;
  #answered = 0;
  #expected = 0;
  #filling = false;

  constructor(options: ClosedLoopOptions) {
    this.#options = options;
  }

  /** Ends when every request has been answered or can't be any more, when nobody is connected for too long, or by the signal. */
  async run(signal: AbortSignal): Promise<ClosedLoopResult> {
    const { ledger, clock, requests, giveUpMs } = this.#options;
    ledger.onClosedLoop = (answered, expected) => this.#settled(answered, expected);
    try {
      let progressMs = clock.nowMs();
      let sent = -1;
      while (this.#done < requests && !signal.aborted) {
        this.#fill();
        const nowMs = clock.nowMs();
        if (this.#sent > sent || this.#sent > this.#done) progressMs = nowMs;
        sent = this.#sent;
        if (nowMs - progressMs >= giveUpMs) break;
        if (this.#done < requests) await clock.sleep(lookMs, signal);
        ledger.sweep();
      }
    } finally {
      ledger.onClosedLoop = null;
    }
    this.#giveUp(signal);
    return { requests, answered: this.#answered, expected: this.#expected };
  }

  #fill(): void {
    // An answer can come while its request is being sent; the loop that is under way sees to the next one then.
    if (this.#filling) return;
    this.#filling = true;
    const { clock, concurrency, requests, schedule, send, ledger } = this.#options;
    while (this.#sent < requests && this.#sent - this.#done < concurrency && !ledger.full) {
      // Counted first: it can be answered before it is sent.
      this.#sent++;
      ledger.tally.counts.due++;
      const sent = send(schedule, clock.nowMs());
      if (sent === 'refused') {
        this.#sent--;
        ledger.tally.counts.due--;
        break;
      }
      if (sent === 'failed') {
        ledger.tally.counts.unsent++;
        this.#done++;
      }
      schedule.next();
    }
    this.#filling = false;
  }

  #settled(answered: boolean, expected: boolean): void {
    this.#done++;
    if (answered) this.#answered++;
    if (expected) this.#expected++;
    this.#fill();
  }

  /** Those that were never sent because no client was there are not forgotten; those that nobody wants any more are. */
  #giveUp(signal: AbortSignal): void {
    if (signal.aborted) return;
    const { counts } = this.#options.ledger.tally;
    const unsent = this.#options.requests - this.#sent;
    counts.due += unsent;
    counts.unsent += unsent;
  }
}
