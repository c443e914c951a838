import { AckgateError, AckgateRangeError } from '../errors.js';
import type { Stage } from '../stage/api.js';
import type { SupervisorCounters } from './counters.js';
import type { SupervisorLimits } from './options.js';
import type { ClientProtocol, Reply } from './protocol.js';
import { type PushAwaiter, PushSlot } from './push-awaiter.js';
import { PushDisconnected } from './push-errors.js';
import type { Session } from './session.js';
import type { Timers } from './timers.js';

export interface PushesParts<D> {
  readonly stage: Pick<Stage, 'push'>;
  readonly timers: Timers;
  readonly limits: SupervisorLimits;
  readonly protocol: ClientProtocol;
  readonly counters: SupervisorCounters;
  readonly isTracked: (session: Session<D>) => boolean;
  /** The client has left too many unanswered. */
  readonly onTooMany: (session: Session<D>) => void;
}

/** Pushes to clients, and what they reply. Correlation ids are never used again, so a late reply meets nobody else's. */
export class Pushes<D> {
  readonly #parts: PushesParts<D>;
  #lastCorrelationId = 0;
  #pending = 0;

  constructor(parts: PushesParts<D>) {
    this.#parts = parts;
  }

  /** Without a reply, deadline or end so far. */
  get pending(): number {
    return this.#pending;
  }

  push(session: Session<D>, payload: Uint8Array, deadlineMs: number | null): PushAwaiter {
    const { protocol, counters } = this.#parts;
    this.#checkPending(session);
    // The slot first: a reply must find it, however soon it comes.
    const slot = this.#open(session, deadlineMs);
    try {
      this.#handOver(session, protocol.writePush(slot.correlationId, payload));
    } catch (error) {
      slot.cancel();
      throw error;
    }
    counters.pushes++;
    return slot;
  }

  reply(session: Session<D>, { correlationId, payload }: Reply): void {
    const { counters } = this.#parts;
    if (session.pushes.get(correlationId)?.reply(payload) === true) counters.replies++;
    else counters.repliesIgnored++;
  }

  #checkPending(session: Session<D>): void {
    const { pendingPushes } = this.#parts.limits;
    if (session.pushes.size < pendingPushes) return;
    // Those whose deadline has passed don't count, however late their timers are.
    for (const slot of session.pushes.values()) slot.look();
    if (session.pushes.size < pendingPushes) return;
    this.#parts.onTooMany(session);
    throw new AckgateError(
      'ERR_ACKGATE_TOO_MANY_PUSHES',
      `connection ${session.id} left ${pendingPushes} pushes without a reply`,
    );
  }

  #open(session: Session<D>, deadlineMs: number | null): PushSlot {
    const slot = new PushSlot(this.#parts.timers, {
      correlationId: ++this.#lastCorrelationId,
      connectionId: session.id,
      deadlineMs,
      onDecided: ({ correlationId }) => {
        session.pushes.delete(correlationId);
        this.#pending--;
      },
    });
    session.pushes.set(slot.correlationId, slot);
    this.#pending++;
    return slot;
  }

  #handOver(session: Session<D>, body: Uint8Array): void {
    const { isTracked, stage } = this.#parts;
    // Making the body was up to the application's protocol, which may have ended the connection.
    const sent = isTracked(session) ? stage.push(session.id, body) : 'gone';
    if (sent === true) return;
    if (sent === 'gone') throw new PushDisconnected(session.id);
    if (sent === 'full') {
      throw new AckgateError(
        'ERR_ACKGATE_CONTROL_FULL',
        'too many control calls wait for the stage; try again',
      );
    }
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `payload makes a body of ${body.length} bytes, more than the stage takes; raise ring.maxPayload`,
    );
  }
}
