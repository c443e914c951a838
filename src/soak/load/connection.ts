import type { ClientEvents, Operation, Outcome, SoakClient, ViolationKind } from '../driver.js';
import { messageOf } from '../error-text.js';
import type { Ledger, Unanswered } from './ledger.js';
import type { Pending } from './outstanding.js';

export interface ConnectionOptions {
  readonly ledger: Ledger;
  /** Of the client. */
  readonly number: number;
  /** Ids go on from this one: those of a client are unique over all of its connections. */
  readonly lastId: number;
  readonly ordered: boolean;
  /** The connection has ended, and nobody on this side wanted it to. */
  onLost(detail: string): void;
}

/** `failed`: the driver threw, and what it has made of the request nobody knows. */
export type Sent = 'sent' | 'refused' | 'failed';

/** One connection of a client: what was sent on it, and whether the answers fit. */
export class Connection {
  /** Of this connection alone: what it says after its end is not taken for its successor's. */
  readonly events: ClientEvents;
  /** Set when the connection is made. */
  client: SoakClient | null = null;
  readonly #options: ConnectionOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #firstId: number;
  #lastId: number;
  #highestAnswered = 0;
  #ended = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#lastId = options.lastId;
    this.#firstId = options.lastId + 1;
    this.events = {
      answered: (id, outcome) => this.#answered(id, outcome),
      violated: (kind, detail) => this.#violated(kind, detail),
      closed: (detail) => {
        if (this.end('lost')) options.onLost(detail);
      },
    };
  }

  get lastId(): number {
    return this.#lastId;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Refused when the connection takes nothing any more. */
  send(operation: Operation, bytes: number, dueMs: number, sentMs: number, closedLoop: boolean): Sent {
    const { client } = this;
    if (client === null || this.#ended) return 'refused';
    const { ledger, number } = this.#options;
    const id = this.#lastId + 1;
    const pending = ledger.begin(number, id, operation, dueMs, sentMs, closedLoop);
    this.#pending.set(id, pending);
    this.#lastId = id;
    const sent = this.#put(client, id, operation, bytes);
    // It may have been answered meanwhile, or the end of the connection has taken it along.
    if (sent === 'sent' || this.#ended || this.#pending.get(id) !== pending) return 'sent';
    this.#pending.delete(id);
    this.#lastId = id - 1;
    ledger.undo(pending);
    return sent;
  }

  /** Nothing counts from now on, and what is unanswered remains so. False when the connection had ended before. */
  end(how: Unanswered): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    for (const pending of this.#pending.values()) this.#options.ledger.unanswered(pending, how);
    this.#pending.clear();
    return true;
  }

  #put(client: SoakClient, id: number, operation: Operation, bytes: number): Sent {
    try {
      return client.send({ id, operation, bytes }) ? 'sent' : 'refused';
    } catch (error) {
      const { tally } = this.#options.ledger;
      tally.example(() => `${this.#name}: the driver's send threw: ${messageOf(error)}`);
      return 'failed';
    }
  }

  #answered(id: number, outcome: Outcome): void {
    if (this.#ended) return;
    const { ledger, ordered } = this.#options;
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#unknown(id);
      return;
    }
    this.#pending.delete(id);
    // The one that comes too late is out of turn, not those before it: one that never comes is missing, and nothing else.
    if (id > this.#highestAnswered) this.#highestAnswered = id;
    else if (ordered) this.#outOfTurn(id);
    ledger.answered(pending, outcome);
  }

  #outOfTurn(id: number): void {
    const highest = this.#highestAnswered;
    this.#count('disordered', () => `request ${id} was answered after request ${highest}`);
  }

  #unknown(id: number): void {
    if (id >= this.#firstId && id <= this.#lastId && Number.isInteger(id)) {
      this.#count('duplicated', () => `request ${id} was answered again`);
    } else
      this.#count('corrupted', () => `an answer to request ${id}, which was not sent on this connection`);
  }

  #violated(kind: ViolationKind, detail: string): void {
    if (!this.#ended) this.#count(kind, () => detail);
  }

  #count(kind: ViolationKind, detail: () => string): void {
    const { tally } = this.#options.ledger;
    tally.counts[kind]++;
    tally.example(() => `${this.#name}: ${kind}: ${detail()}`);
  }

  get #name(): string {
    return `client ${this.#options.number}`;
  }
}
