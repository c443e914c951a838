import { AckgateError } from '../../errors.js';
import type { Operation } from '../driver.js';
import { Connection, type Sent } from './connection.js';
import type { Connector } from './connector.js';
import { cut, leave } from './leave.js';
import type { Ledger } from './ledger.js';

export interface LoadClientOptions {
  readonly number: number;
  readonly connector: Connector;
  readonly ledger: Ledger;
  readonly ordered: boolean;
  readonly reconnectDelayMs: number;
}

/** A server that refuses connections is not asked more often than that. */
const retryMsMin = 100;

/** One of the clients that make the load. It comes back after its connection has ended, whoever ended it. */
export class LoadClient {
  readonly #options: LoadClientOptions;
  readonly #stopping = new AbortController();
  #connection: Connection | null = null;
  #awayByUs = false;
  #lastId = 0;
  #returning: Promise<void> | null = null;

  constructor(options: LoadClientOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** Not connected because it was cut, and it has not failed to come back since then. */
  get awayByUs(): boolean {
    return this.#awayByUs;
  }

  /** The first connection. */
  async connect(signal: AbortSignal): Promise<void> {
    const failed = await this.#tryConnect(AbortSignal.any([signal, this.#stopping.signal]));
    if (failed === null) return;
    const message = `client ${this.#options.number} could not connect: ${failed}`;
    throw new AckgateError('ERR_ACKGATE_SOAK_CONNECT', message);
  }

  /** Refused when there is no connection that takes it. */
  send(operation: Operation, bytes: number, dueMs: number, sentMs: number, closedLoop: boolean): Sent {
    return this.#connection?.send(operation, bytes, dueMs, sentMs, closedLoop) ?? 'refused';
  }

  /** Cuts the connection, by an end or a reset; the client comes back as at other times. False when there is none. */
  cut(reset: boolean): boolean {
    const client = this.#give();
    if (client === null) return false;
    this.#awayByUs = true;
    cut(client, reset, this.#options.connector.clock);
    this.#comeBack();
    return true;
  }

  /** Leaves for good. What is unanswered is not expected any more. */
  async close(): Promise<void> {
    this.#stopping.abort();
    const client = this.#give();
    if (client !== null) await leave(client, this.#options.connector.clock);
    await this.#returning;
  }

  /** Takes the connection away, if there is one: nobody has lost it. */
  #give() {
    const connection = this.#connection;
    if (connection === null) return null;
    this.#connection = null;
    this.#lastId = connection.lastId;
    connection.end('abandoned');
    return connection.client;
  }

  /** Why there is no connection; null when there is one. */
  async #tryConnect(signal: AbortSignal): Promise<string | null> {
    const { connector, ledger, number, ordered } = this.#options;
    let endedEarly: string | null = null;
    const connection = new Connection({
      ledger,
      number,
      ordered,
      lastId: this.#lastId,
      onLost: (detail) => {
        endedEarly = detail;
        this.#lost(connection, detail);
      },
    });
    const made = await connector.connect(number, connection.events, signal);
    this.#awayByUs = false;
    if ('failed' in made) {
      connection.end('abandoned');
      return made.failed;
    }
    connection.client = made.client;
    if (connection.ended || signal.aborted) {
      connection.end('abandoned');
      cut(made.client, false, connector.clock);
      return endedEarly ?? 'stopped';
    }
    ledger.tally.counts.connectionsMade++;
    this.#connection = connection;
    return null;
  }

  #lost(connection: Connection, detail: string): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#lastId = connection.lastId;
    const { ledger, number, connector } = this.#options;
    ledger.tally.counts.connectionsLost++;
    ledger.tally.example(() => `client ${number}: connection lost: ${detail}`);
    // Whatever is left of it.
    if (connection.client !== null) cut(connection.client, false, connector.clock);
    this.#comeBack();
  }

  #comeBack(): void {
    if (!this.#stopping.signal.aborted) this.#returning = this.#return();
  }

  async #return(): Promise<void> {
    const { connector, ledger, number, reconnectDelayMs } = this.#options;
    const { signal } = this.#stopping;
    let delayMs = reconnectDelayMs;
    for (;;) {
      await connector.clock.sleep(delayMs, signal);
      if (signal.aborted) return;
      const failed = await this.#tryConnect(signal);
      if (failed === null || signal.aborted) return;
      ledger.tally.example(() => `client ${number}: could not connect again: ${failed}`);
      delayMs = Math.max(retryMsMin, reconnectDelayMs);
    }
  }
}
