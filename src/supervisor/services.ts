import { types } from 'node:util';
import type { Logger } from '../shared/logger.js';
import type { Connection } from './connection.js';
import type { ConnectionEnd } from './ends.js';
import type { Service } from './options.js';
import type { Session } from './session.js';
import { FlushError, type FlushFailure } from './shutdown.js';
import type { Timers } from './timers.js';
import { within } from './within.js';

/** Tells the parts of the application that want to know. What one of them throws concerns nobody else. */
export class Services<D> {
  readonly #services: readonly Service<D>[];
  readonly #logger: Logger;

  constructor(services: readonly Service<D>[], logger: Logger) {
    this.#services = services;
    this.#logger = logger;
  }

  /** Of a new connection, for as long as it `isTracked`: one of them may end it. */
  welcome(session: Session<D>, isTracked: () => boolean): void {
    const { connection } = session;
    for (const service of this.#services) {
      if (!isTracked()) break;
      session.welcomedBy++;
      this.#tell(service, connection, () => service.connected?.(connection));
    }
  }

  /** Of an end: those that were told of the beginning. */
  goodbye({ connection, welcomedBy }: Session<D>, end: ConnectionEnd): void {
    for (const service of this.#services.slice(0, welcomedBy)) {
      this.#tell(service, connection, () => service.disconnected?.(connection, end));
    }
  }

  /** @throws FlushError */
  async flush(timers: Timers, flushMs: number): Promise<void> {
    const failures: FlushFailure[] = [];
    for (const service of this.#services) {
      try {
        await within(timers, flushMs, () => service.flush?.());
      } catch (error) {
        failures.push({ service: service.name, error });
      }
    }
    if (failures.length > 0) throw new FlushError(failures);
  }

  #tell(service: Service<D>, { id: connectionId }: Connection<D>, call: () => unknown): void {
    const failed = (error: unknown) => {
      this.#logger.error({ service: service.name, connectionId, err: error }, 'service failed');
    };
    try {
      const result = call();
      if (types.isPromise(result)) result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }
}
