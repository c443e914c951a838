import type { Socket } from 'node:net';
import type { Connection } from './connection.js';
import type { ConnectionEnd, OwnEndReason } from './ends.js';
import type { FrameDecoder } from './frame-decoder.js';
import type { SupervisorLimits } from './options.js';
import type { ClientProtocol, Reply } from './protocol.js';
import type { PushSlot } from './push-awaiter.js';
import { RequestQueue } from './request-queue.js';
import type { Timers } from './timers.js';

/** Frames of one connection that are taken before others have their turn. */
const framesPerTurn = 32;

/** What a session needs of a `net.Socket`: what comes in. */
export type InboundSocket = Pick<Socket, 'pause' | 'resume' | 'destroyed'>;

/** What becomes of what a client sends. */
export interface SessionOwner<D> {
  /** Gives a request to the application. May throw, or return a promise. */
  handle(session: Session<D>, body: Uint8Array): void | PromiseLike<void>;
  reply(session: Session<D>, reply: Reply): void;
  /** The client says that it sends nothing more. */
  left(session: Session<D>, reason: 'end-of-stream' | 'client-disconnect'): void;
  failed(session: Session<D>, reason: OwnEndReason, error?: unknown): void;
  /** A request is being handled, or is no longer. */
  handling(change: 1 | -1): void;
  /** None of its requests is being handled, and none waits for that. */
  idle(session: Session<D>): void;
}

export interface SessionParts<D> {
  readonly protocol: ClientProtocol;
  readonly limits: SupervisorLimits;
  readonly timers: Timers;
  readonly owner: SessionOwner<D>;
}

/**
 * The inbound half of one connection: takes bytes, cuts them into frames, and has them handled in order, so many at once.
 * Replies to pushes overtake requests that wait, for a handler may be waiting for one.
 */
export class Session<D> {
  readonly connection: Connection<D>;
  /** Without a reply so far, by correlation id. */
  readonly pushes = new Map<number, PushSlot>();
  /** How many of the services, in their order, know of it. */
  welcomedBy = 0;
  /** A disconnect frame was sent, or is about to be: there is no second one. */
  told = false;
  /** It is not tracked any more, and leaves the stage once its requests are handled; with this reason for its client. */
  leaving: { readonly reason: number | null } | null = null;
  /** It was reset, and has ended like this unless the stage says soon that it was its doing. */
  broken: ConnectionEnd | null = null;
  cancelBroken = () => {};
  socketClosed = false;
  readonly #socket: InboundSocket;
  readonly #parts: SessionParts<D>;
  readonly #decoder: FrameDecoder;
  readonly #queue = new RequestQueue();
  #handling = 0;
  /** Frames taken since the last pause. */
  #taken = 0;
  /** Frames out of the queue that were handed over since the last pause. */
  #unqueued = 0;
  #queueTurnDue = false;
  #reading = true;
  #takesRequests = true;
  #ended = false;
  #turnDue = false;

  constructor(
    connection: Connection<D>,
    socket: InboundSocket,
    decoder: FrameDecoder,
    parts: SessionParts<D>,
  ) {
    this.connection = connection;
    this.#socket = socket;
    this.#decoder = decoder;
    this.#parts = parts;
  }

  get id(): number {
    return this.connection.id;
  }

  get isIdle(): boolean {
    return this.#handling === 0 && this.#queue.isEmpty;
  }

  receive(chunk: Uint8Array): void {
    if (!this.#reading) return;
    if (this.#guard(() => this.#decoder.push(chunk)) === null) return;
    if (!this.#turnDue) this.#decode();
  }

  /** The client has ended its stream; what it sent before counts. */
  end(): void {
    this.#ended = true;
    if (this.#reading && !this.#turnDue) this.#decode();
  }

  /** Nothing more is read; what was read and waits is still handled. */
  stopReading(): void {
    if (!this.#reading) return;
    this.#reading = false;
    if (!this.#socket.destroyed) this.#socket.pause();
  }

  /** No request is handed over any more; those being handled are. Replies are still taken. */
  stopRequests(): void {
    this.#takesRequests = false;
    this.#queue.clear();
  }

  #decode(): void {
    while (this.#reading) {
      // Counted across reads: there are up to 32 of a socket in one turn.
      if (this.#taken === framesPerTurn) {
        this.#waitForTurn();
        break;
      }
      const body = this.#next();
      if (body === null) break;
      this.#taken++;
      this.#take(body);
    }
    const { limits, owner } = this.#parts;
    if (this.#reading && this.#heldBytes() > limits.inboundBytes) owner.failed(this, 'inbound-full');
  }

  #heldBytes(): number {
    return (this.#guard(() => this.#decoder.heldBytes) ?? 0) + this.#queue.bytes;
  }

  /** Reads no more meanwhile, so that a flood stays in the kernel. */
  #waitForTurn(): void {
    this.#turnDue = true;
    this.#socket.pause();
    this.#parts.timers.soon(() => {
      this.#turnDue = false;
      this.#taken = 0;
      if (!this.#reading) return;
      this.#socket.resume();
      this.#decode();
    });
  }

  #next(): Uint8Array | null {
    const decoder = this.#decoder;
    const found = this.#guard(() => {
      const body = decoder.next();
      return { body, fault: decoder.fault, isPartial: decoder.heldBytes > 0 };
    });
    if (found === null || found.body !== null || !this.#reading) return found?.body ?? null;
    const { owner } = this.#parts;
    if (found.fault !== null) owner.failed(this, found.fault);
    else if (this.#ended && found.isPartial) owner.failed(this, 'truncated-frame');
    else if (this.#ended) owner.left(this, 'end-of-stream');
    return null;
  }

  #take(body: Uint8Array): void {
    const { protocol, limits, owner } = this.#parts;
    const known = this.#guard(() => ({
      leaves: protocol.isDisconnect(body),
      reply: protocol.readReply(body) ?? null,
    }));
    if (known === null) return;
    if (known.leaves) owner.left(this, 'client-disconnect');
    else if (known.reply !== null) owner.reply(this, known.reply);
    else if (!this.#takesRequests) return;
    else if (this.#handling < limits.handling && this.#queue.isEmpty) this.#run(body);
    else this.#queue.push(body);
  }

  #run(body: Uint8Array): void {
    const { owner } = this.#parts;
    this.#handling++;
    owner.handling(1);
    let pending: Promise<void> | null;
    try {
      const handled = owner.handle(this, body) as PromiseLike<void> | undefined;
      // In a promise of our own: whatever a thenable does, it settles once, and later.
      pending = typeof handled?.then === 'function' ? new Promise((resolve) => resolve(handled)) : null;
    } catch (error) {
      this.#settled(error ?? new Error('threw without a reason'));
      return;
    }
    if (pending === null) {
      this.#settled();
      return;
    }
    pending.then(
      () => this.#resume(),
      (error) => this.#resume(error ?? new Error('rejected without a reason')),
    );
  }

  #resume(error?: unknown): void {
    this.#settled(error);
    this.#runQueued();
  }

  /** Handlers that return at once, or settle without waiting for anything, would else run without end. */
  #runQueued(): void {
    while (!this.#queue.isEmpty && this.#handling < this.#parts.limits.handling && !this.#queueTurnDue) {
      if (this.#unqueued === framesPerTurn) {
        this.#queueTurnDue = true;
        this.#parts.timers.soon(() => {
          this.#queueTurnDue = false;
          this.#unqueued = 0;
          this.#runQueued();
        });
        return;
      }
      this.#unqueued++;
      this.#run(this.#queue.shift());
    }
  }

  #settled(error?: unknown): void {
    const { owner } = this.#parts;
    this.#handling--;
    if (error !== undefined) owner.failed(this, 'handler-failed', error);
    // After that: who waits for the last one has to see what came of it.
    owner.handling(-1);
    if (this.isIdle) owner.idle(this);
  }

  /** Null: the protocol, which is replaceable, has thrown. */
  #guard<T>(call: () => T): T | null {
    try {
      return call();
    } catch (error) {
      this.#parts.owner.failed(this, 'malformed-frame', error);
      return null;
    }
  }
}
