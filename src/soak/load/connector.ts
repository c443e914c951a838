import type { Clock } from '../clock.js';
import type { ClientEvents, SoakClient, SoakDriver } from '../driver.js';
import { messageOf } from '../error-text.js';
import { leave, withinMs } from './leave.js';

/** Longest time for one connection to be made, a logon included. */
const connectMs = 10_000;

export interface ConnectorOptions {
  readonly driver: SoakDriver;
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly seed: number;
}

/** A connection, or why there is none. */
export type Connected = { readonly client: SoakClient } | { readonly failed: string };

/** Makes connections by the driver, each of them in good time or not at all. */
export class Connector {
  readonly #options: ConnectorOptions;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  async connect(number: number, events: ClientEvents, signal: AbortSignal): Promise<Connected> {
    const { clock } = this.#options;
    const unwanted = new AbortController();
    const giveUp = () => unwanted.abort();
    signal.addEventListener('abort', giveUp, { once: true });
    const stopped = new Promise<null>((resolve) => {
      unwanted.signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    if (signal.aborted) giveUp();
    const attempt = this.#attempt(number, events, unwanted.signal);
    try {
      const made = await withinMs(clock, connectMs, Promise.race([attempt, stopped]), null);
      if (made !== null) return made;
      // It may come all the same, and then nobody has a use for it.
      unwanted.abort();
      void attempt.then((late) => ('client' in late ? leave(late.client, clock) : undefined));
      return { failed: signal.aborted ? 'stopped' : `not connected within ${connectMs / 1000} s` };
    } finally {
      // The driver may listen to its signal for as long as the connection lives.
      signal.removeEventListener('abort', giveUp);
    }
  }

  async #attempt(number: number, events: ClientEvents, signal: AbortSignal): Promise<Connected> {
    const { driver, host, port, seed } = this.#options;
    try {
      const context = { host, port, client: number, seed: clientSeed(seed, number), events, signal };
      const client = await driver.connect(context);
      if (typeof client?.send !== 'function' || typeof client.close !== 'function') {
        return { failed: "the driver's connect must give an object with send() and close()" };
      }
      return { client };
    } catch (error) {
      return { failed: messageOf(error) };
    }
  }
}

const clientSeed = (seed: number, number: number) => (Math.imul(seed, 0x9e3779b1) + number) >>> 0;
