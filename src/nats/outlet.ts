import type { NatsConnection } from '@nats-io/transport-node';

/** What may be under way to the server. The client would keep any amount in memory for a server that takes nothing. */
const unconfirmedBytesMax = 4 * 1024 * 1024;

/**
 * Publishes without ever waiting, and in bounded memory: while the server is away, or far behind, what is published is
 * thrown away. Those for whom it was fetch it later.
 */
export class Outlet {
  readonly #connection: NatsConnection;
  readonly #onChange: (isConnected: boolean) => void;
  #isConnected = true;
  #sent = 0;
  #confirmed = 0;
  #isAsking = false;
  #discarded = 0;

  constructor(connection: NatsConnection, onChange: (isConnected: boolean) => void) {
    this.#connection = connection;
    this.#onChange = onChange;
    void this.#watch();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Messages thrown away so far. */
  get discarded(): number {
    return this.#discarded;
  }

  publish(subject: string, bytes: Uint8Array): void {
    const isFull = this.#sent - this.#confirmed + bytes.length > unconfirmedBytesMax;
    if (!this.#isConnected || isFull || this.#connection.isClosed()) {
      this.#discarded++;
      return;
    }
    this.#connection.publish(subject, bytes);
    this.#sent += bytes.length;
    if (!this.#isAsking) void this.#ask();
  }

  /** The server's answer says that it has read everything up to the question. */
  async #ask(): Promise<void> {
    this.#isAsking = true;
    while (this.#confirmed < this.#sent) {
      const asked = this.#sent;
      try {
        await this.#connection.flush();
      } catch {
        // The connection is gone, and with it what was under way.
      }
      this.#confirmed = asked;
      if (!this.#isConnected || this.#connection.isClosed()) this.#confirmed = this.#sent;
    }
    this.#isAsking = false;
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      const isConnected = type === 'reconnect';
      if (isConnected === this.#isConnected) continue;
      this.#isConnected = isConnected;
      this.#onChange(isConnected);
    }
  }
}
