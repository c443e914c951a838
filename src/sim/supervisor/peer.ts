import type { Connection } from '../../supervisor/connection.js';
import type { ConnectionEnd } from '../../supervisor/ends.js';
import type { PushAwaiter } from '../../supervisor/push-awaiter.js';
import type { NodeSocket } from './node-socket.js';

/** A push that was handed over, and what the client has answered so far. */
export interface Push {
  readonly peer: Peer;
  readonly payload: Uint8Array;
  readonly awaiter: PushAwaiter;
  /** Virtual milliseconds; Infinity: it has no deadline. */
  readonly expiresAt: number;
  /** Its own client's, in the order in which they were sent. */
  readonly replies: Uint8Array[];
  delivered: number;
  cancelled: boolean;
}

/** One connection, as it must be: plain fields that share nothing with the supervisor's. */
export class Peer {
  readonly id: number;
  readonly socket: NodeSocket;
  connection: Connection | null = null;
  /** Numbers of the services that were told of it, and of its end, in the order of being told. */
  readonly connectedBy: number[] = [];
  readonly disconnectedBy: number[] = [];
  end: ConnectionEnd | null = null;
  /** Numbers of the answers published for it. */
  readonly answers: number[] = [];
  /** So many of them it must be sent before an end in order. */
  owed = 0;
  /** How many it was sent. */
  answersGot = 0;
  /** Its end was asked for at once, whatever is under way. */
  forced = false;
  leaving = false;
  /** It has ended, has nothing under way, and the stage was not told since then. */
  staysSinceNs = Number.POSITIVE_INFINITY;
  /** Reasons of the disconnect frames that were handed to the stage; and whether the last word was one. */
  readonly told: number[] = [];
  farewell = false;
  disconnectsGot = 0;
  /** By correlation id. */
  readonly pushes = new Map<number, Push>();
  /** Number of the request that was handed over last. */
  handled = 0;
  /** Requests in the handler. */
  running = 0;
  /** Of these, those that never settle. */
  stuck = 0;
  handlerFailed = false;
  /** The task in which a request was handed over last, and how many were in it. */
  turn = -1;
  handedOver = 0;
  /** It was turned away, and was never a connection. */
  refused = false;
  /** The stage has it. */
  attached = true;
  /** Node has closed its side. */
  socketClosed = false;

  constructor(id: number, socket: NodeSocket) {
    this.id = id;
    this.socket = socket;
  }

  /** The handler has published an answer for it; `handling`: for a request of its own that is under way. */
  published(answer: number, handling: boolean): void {
    this.answers.push(answer);
    if (this.forced) return;
    if (this.end === null || (this.end.outcome === 'finished' && handling)) this.owed = this.answers.length;
  }
}
