import type { Socket } from 'node:net';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { Logger } from '../shared/logger.js';
import type { Stage } from '../stage/api.js';
import type { SupervisorCounters } from './counters.js';
import { DisconnectReason, type RefusalReason } from './ends.js';
import type { Urgent } from './urgent.js';

/** Sockets at once that are being told why they are refused; more are closed without a word. */
const refusalsMax = 64;

export interface AdmissionParts {
  readonly stage: Pick<Stage, 'attach' | 'disconnect'>;
  readonly urgent: Urgent;
  readonly counters: SupervisorCounters;
  readonly logger: Logger;
}

/** Lets sockets in, or turns them away: through the stage, so that they are told why. */
export class Admission {
  readonly #parts: AdmissionParts;
  /** Refused sockets that are not closed yet. */
  #refused = 0;
  #warned = false;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Gives the socket to the stage. Throws what that throws; the socket is closed then. */
  attach(socket: Socket, options: { connectionId?: number }): number {
    return this.prepare(socket, () => this.#parts.stage.attach(socket, options));
  }

  /** Does what a new connection needs. Throws what that throws; the socket is closed then. */
  prepare<T>(socket: Socket, call: () => T): T {
    const { counters } = this.#parts;
    try {
      return call();
    } catch (error) {
      counters.refused[reasonFor(codeOf(error))]++;
      closeUnlessTaken(socket, error);
      throw error;
    }
  }

  refuseForShutdown(socket: Socket): AckgateError {
    this.#refuse(socket, 'shutting-down', DisconnectReason.shutdown);
    return new AckgateError('ERR_ACKGATE_SHUTTING_DOWN', 'the server is being shut down');
  }

  refuseForCap(socket: Socket, connections: number): AckgateError {
    this.#refuse(socket, 'too-many-connections', DisconnectReason.tooManyConnections);
    return new AckgateError(
      'ERR_ACKGATE_TOO_MANY_CONNECTIONS',
      `all ${connections} connections are taken; raise limits.connections`,
    );
  }

  #refuse(socket: Socket, why: RefusalReason, reason: number): void {
    const { stage, urgent, counters } = this.#parts;
    counters.refused[why]++;
    if (this.#refused >= refusalsMax) {
      socket.destroy();
      return;
    }
    try {
      const id = stage.attach(socket);
      this.#refused++;
      socket.once('close', () => this.#refused--);
      urgent.run(() => stage.disconnect(id, { when: 'now', reason }));
    } catch (error) {
      if (codeOf(error) === 'ERR_ACKGATE_TOO_MANY_CONNECTIONS') this.#warnOnce();
      closeUnlessTaken(socket, error);
    }
  }

  #warnOnce(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#parts.logger.warn(
      { refusalsMax },
      'no room in the stage to tell refused clients why: raise its connections to limits.connections and 64 more',
    );
  }
}

/** One that the stage has already is somebody's live connection. */
function closeUnlessTaken(socket: Socket, error: unknown): void {
  if (codeOf(error) !== 'ERR_ACKGATE_SOCKET_ATTACHED') socket.destroy();
}

function codeOf(error: unknown): AckgateErrorCode | undefined {
  return (error as { code?: AckgateErrorCode }).code;
}

function reasonFor(code: AckgateErrorCode | undefined): RefusalReason {
  switch (code) {
    case 'ERR_ACKGATE_TOO_MANY_FDS':
      return 'too-many-descriptors';
    case 'ERR_ACKGATE_TOO_MANY_CONNECTIONS':
      return 'too-many-connections';
    case 'ERR_ACKGATE_CONNECTION_ID_IN_USE':
    case 'ERR_ACKGATE_CONNECTION_ID_USED':
      return 'connection-id';
    default:
      return 'unattachable';
  }
}
