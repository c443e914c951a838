import { AckgateError } from '../errors.js';
import { checkMs } from '../shared/checks.js';
import { Generation } from './generation.js';
import { PushDisconnected, PushExpired, PushTimeout } from './push-errors.js';
import type { Timers } from './timers.js';

/** How a push stands. All but `pending` are final. */
export type PushState = 'pending' | 'replied' | 'expired' | 'disconnected' | 'cancelled';

/** Waits for the reply to one push. */
export interface PushAwaiter {
  /** Tells the push from others, on the wire too; a supervisor uses none twice. */
  readonly correlationId: number;
  /** The connection that it went to. */
  readonly connectionId: number;
  /**
   * The reply's payload. It is delivered once.
   *
   * @param timeoutMs how long to wait in milliseconds, 0 … Infinity (default Infinity: until the push is decided)
   * @throws PushTimeout the client is connected but slow; the push waits on, call again
   * @throws PushDisconnected the connection has ended, by whichever way; within milliseconds of its end
   * @throws PushExpired the push's own deadline has passed
   * @throws AckgateError ERR_ACKGATE_PUSH_TAKEN: it was delivered already, or cancelled
   */
  receive(timeoutMs?: number): Promise<Uint8Array>;
  /** Gives up: a reply that still comes is thrown away. Does nothing once the push is decided. */
  cancel(): void;
}

export interface PushSlotOptions {
  correlationId: number;
  connectionId: number;
  /** From now on, in milliseconds; null: none. */
  deadlineMs: number | null;
  /** Runs once, when the push is decided: its slot is free again. */
  onDecided: (slot: PushSlot) => void;
}

/**
 * One push that was handed over. It is decided once: by the reply, its deadline, the end of its connection, or whoever
 * gives up. The clock alone says whether a deadline has passed, so a late timer changes nothing.
 */
export class PushSlot implements PushAwaiter {
  readonly correlationId: number;
  readonly connectionId: number;
  readonly #timers: Timers;
  readonly #changes: Generation;
  readonly #deadlineMs: number | null;
  readonly #expiresAt: number;
  readonly #onDecided: (slot: PushSlot) => void;
  #cancelTimer = () => {};
  #state: PushState = 'pending';
  #reply: Uint8Array | null = null;

  constructor(timers: Timers, { correlationId, connectionId, deadlineMs, onDecided }: PushSlotOptions) {
    this.correlationId = correlationId;
    this.connectionId = connectionId;
    this.#timers = timers;
    this.#changes = new Generation(timers);
    this.#deadlineMs = deadlineMs;
    this.#expiresAt = deadlineMs === null ? Number.POSITIVE_INFINITY : timers.now() + deadlineMs;
    this.#onDecided = onDecided;
    if (this.#expiresAt !== Number.POSITIVE_INFINITY) this.#watchDeadline();
  }

  get state(): PushState {
    this.look();
    return this.#state;
  }

  /** False: it came too late, or was there already. */
  reply(payload: Uint8Array): boolean {
    this.look();
    if (this.#state !== 'pending') return false;
    this.#reply = payload;
    this.#decide('replied');
    return true;
  }

  disconnect(): void {
    this.look();
    if (this.#state === 'pending') this.#decide('disconnected');
  }

  cancel(): void {
    this.look();
    if (this.#state === 'pending') this.#decide('cancelled');
  }

  /** Notices that the deadline has passed, which its timer may be late to do. */
  look(): void {
    if (this.#state === 'pending' && this.#timers.now() >= this.#expiresAt) this.#decide('expired');
  }

  async receive(timeoutMs = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    checkMs('timeoutMs', timeoutMs);
    const until = this.#timers.now() + timeoutMs;
    for (;;) {
      const seen = this.#changes.value;
      switch (this.state) {
        case 'replied':
          return this.#take();
        case 'disconnected':
          throw new PushDisconnected(this.connectionId);
        case 'expired':
          throw new PushExpired(this.#deadlineMs as number);
        case 'cancelled':
          throw taken('was cancelled');
      }
      const leftMs = until - this.#timers.now();
      if (leftMs <= 0) throw new PushTimeout(timeoutMs);
      await this.#changes.wait(seen, leftMs);
    }
  }

  #take(): Uint8Array {
    const reply = this.#reply;
    if (reply === null) throw taken('was delivered already');
    this.#reply = null;
    return reply;
  }

  #watchDeadline(): void {
    const leftMs = this.#expiresAt - this.#timers.now();
    const call = () => {
      this.look();
      if (this.#state === 'pending') this.#watchDeadline();
    };
    this.#cancelTimer = this.#timers.after(Math.max(0, leftMs), call, { background: true });
  }

  #decide(state: Exclude<PushState, 'pending'>): void {
    this.#state = state;
    this.#cancelTimer();
    this.#onDecided(this);
    this.#changes.bump();
  }
}

function taken(how: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_PUSH_TAKEN', `the reply to this push ${how}`);
}
