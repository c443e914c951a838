import type { Socket } from 'node:net';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
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
}

/** Lets sockets in, or turns them away: through the stage, so that they are told why. */
export class Admission {
  readonly #parts: AdmissionParts;
  /** Refused sockets on their way out. */
  readonly #refused = new Set<number>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Gives the socket to the stage. Throws what that throws; the socket is closed then. */
  attach(socket: Socket, options: { connectionId?: number }): number {
    const { stage, counters } = this.#parts;
    try {
      return stage.attach(socket, options);
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

  /** Whether the connection that has ended was one that was refused. */
  ended(connectionId: number): boolean {
    return this.#refused.delete(connectionId);
  }

  #refuse(socket: Socket, why: RefusalReason, reason: number): void {
    const { stage, urgent, counters } = this.#parts;
    counters.refused[why]++;
    if (this.#refused.size >= refusalsMax) {
      socket.destroy();
      return;
    }
    try {
      const id = stage.attach(socket);
      this.#refused.add(id);
      urgent.run(() => stage.disconnect(id, { when: 'now', reason }));
    } catch (error) {
      closeUnlessTaken(socket, error);
    }
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
