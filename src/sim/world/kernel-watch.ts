import { constants } from 'node:os';
import { SenderOp, SenderState, sendBufferBytes } from '../../egress/sender.js';
import type { SenderObserver } from '../kernel/sender-parts.js';
import { Mark } from '../trace.js';
import type { Fallback } from './reached.js';
import type { RoundChecks } from './round-checks.js';
import type { World } from './world.js';

const { EINTR } = constants.errno;

export interface KernelWatchHooks {
  checks: () => RoundChecks;
  reach: (name: Fallback) => void;
  /** The stage is in the middle of a round, and every other thread may go on. */
  inRound: () => boolean;
}

/** Sees what goes to the kernel and what comes back, and lets things happen at the worst moments in between. */
export class KernelWatch implements SenderObserver {
  readonly #world: World;
  readonly #hooks: KernelWatchHooks;
  /** By slot: what the kernel was last given, and when. */
  readonly #askedBytes: number[] = [];
  readonly #askedNs: number[] = [];
  /** By slot: the last round in which the kernel has not taken, or not at once, all that it was given. */
  readonly #shortRound: number[] = [];

  /** Calls in a row that were interrupted, but for the last. */
  #interruptions = 0;

  constructor(world: World, hooks: KernelWatchHooks) {
    this.#world = world;
    this.#hooks = hooks;
  }

  called(): void {
    const { faults, sender, server } = this.#world;
    // Of the call before.
    this.#interruptions = sender.state[SenderState.submitErrno] === EINTR ? this.#interruptions + 1 : 0;
    this.#hooks.checks().checkCalls();
    // Somebody comes, and orders, in the middle of a round.
    if (this.#hooks.inRound() && faults.strikes('churn', 0.3)) server.attach();
  }

  submitted(op: number, slot: number, offset: number, length: number): void {
    const { faults, server, timeline, trace } = this.#world;
    this.#hooks.checks().submitted(slot);
    if (op === SenderOp.poll) this.#hooks.reach('poll-armed');
    else if (offset + length === sendBufferBytes) {
      this.#hooks.reach('wrapped-buffer');
      // The kernel has the first piece of a frame, and nothing has failed.
      if (!server.closing && faults.strikes('exit', 0.5)) server.exit();
    }
    this.#askedBytes[slot] = length;
    this.#askedNs[slot] = timeline.nowNs;
    trace.note(Mark.submitted, op * 65_536 + slot, offset, length);
  }

  answered(op: number, slot: number, value: number): void {
    const { stage, timeline, trace } = this.#world;
    trace.note(Mark.answered, op, slot, value);
    // What is behind it could not be handed over before.
    const late = op === SenderOp.poll || timeline.nowNs > this.#askedNs[slot];
    if (late || value < this.#askedBytes[slot]) this.#shortRound[slot] = stage.rounds;
  }

  closing(slot: number, how: number, underWay: boolean): void {
    const { sender, server, stage, trace } = this.#world;
    trace.note(Mark.closing, slot, how);
    // The kernel would not take it, or was interrupted again and again. Once or twice is none of that: the results are
    // there at the next look.
    const { state } = sender;
    const failed = state[SenderState.submitErrno] !== 0;
    const refused = failed && (state[SenderState.unsubmitted] > 0 || this.#interruptions >= 2);
    const waited = underWay || refused || (this.#shortRound[slot] ?? -1) >= stage.rounds - 1;
    server.closingSlot(slot, how, waited);
    this.#shortRound[slot] = -1;
  }
}
