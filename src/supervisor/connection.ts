import type { ConnectionEnd } from './ends.js';
import type { PushAwaiter } from './push-awaiter.js';

/** Where a connection is in its life. It never goes back: a client whose connection has ended connects anew. */
export type ConnectionState = 'spawning' | 'live' | ConnectionEnd['outcome'];

/** How a push waits for its reply. */
export interface PushOptions {
  /** How long the push waits for its reply, in milliseconds from 0 on (default: for as long as the connection lives). */
  readonly deadlineMs?: number;
}

/** What a connection's end is to look like. */
export interface DisconnectOptions {
  /** `drained` (default): once everything that was published for it has gone. `now`: at once. */
  readonly when?: 'drained' | 'now';
  /** Sends a disconnect frame with this reason before, 0 … 255 (default: no frame); from `applicationReasonMin` on for applications. */
  readonly reason?: number;
}

/** What connections ask their supervisor for. */
export interface ConnectionOwner<D> {
  push(connectionId: number, payload: Uint8Array, options?: PushOptions): PushAwaiter;
  disconnect(connectionId: number, options?: DisconnectOptions): boolean;
  subscribe(connection: Connection<D>, topic: string): void;
}

/** One client's connection, as the application sees it. */
export class Connection<D = unknown> {
  /** The stage's connection id, for what the application publishes. Never used again. */
  readonly id: number;
  /** Address of the client, if the socket has one. */
  readonly remoteAddress: string | undefined;
  /** The application's own; what `onConnection` has returned. */
  data: D = undefined as D;
  /** Changed by the supervisor alone. @internal */
  current: ConnectionState = 'spawning';
  /** Changed by the supervisor alone. @internal */
  readonly topics = new Set<string>();
  readonly #owner: ConnectionOwner<D>;

  /** @internal */
  constructor(id: number, remoteAddress: string | undefined, owner: ConnectionOwner<D>) {
    this.id = id;
    this.remoteAddress = remoteAddress;
    this.#owner = owner;
  }

  /** Where it is in its life: `live` as long as it is tracked. */
  get state(): ConnectionState {
    return this.current;
  }

  /** Topics that it has subscribed to. What they mean is the application's. */
  get subscriptions(): ReadonlySet<string> {
    return this.topics;
  }

  /** Sends the client something that it is to answer, past the gate: see `Supervisor.push`. */
  push(payload: Uint8Array, options?: PushOptions): PushAwaiter {
    return this.#owner.push(this.id, payload, options);
  }

  /**
   * Notes a subscription: before a shutdown the client is told. Doing so twice, or when the connection has ended, does
   * nothing.
   *
   * @param topic any text that is not empty
   * @throws AckgateError ERR_ACKGATE_TOO_MANY_SUBSCRIPTIONS: the client is told and its connection ends;
   *   ERR_ACKGATE_INVALID_ARGUMENT
   */
  subscribe(topic: string): void {
    this.#owner.subscribe(this, topic);
  }

  /** False: there was no such subscription. */
  unsubscribe(topic: string): boolean {
    return this.topics.delete(topic);
  }

  /** Ends the connection; nothing more is read from it. False: it had ended already. See `Supervisor.disconnect`. */
  disconnect(options?: DisconnectOptions): boolean {
    return this.#owner.disconnect(this.id, options);
  }
}
