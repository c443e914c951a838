import type { Socket } from 'node:net';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { lingeringClose } from './socket-adapter.js';

/** One attached connection, as the control thread knows it. */
export interface Attached {
  readonly id: number;
  readonly slot: number;
  /** Null: attached by descriptor. */
  readonly socket: Socket | null;
  /** Its end was asked for: nothing more is sent to it but what was published before. */
  leaving: boolean;
  /** Identifies the socket whichever descriptor stands for it. */
  readonly inode: number;
}

/**
 * The control thread's list of connections. It gives out slots, so that a full stage is known at once; a slot comes
 * back with the connection's last event.
 */
export class Connections {
  readonly #byId = new Map<number, Attached>();
  readonly #freeSlots: number[];
  readonly #capacity: number;
  readonly #inodes = new Set<number>();
  #highestId = -1;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#freeSlots = Array.from({ length: capacity }, (_, index) => capacity - 1 - index);
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Attached | undefined {
    return this.#byId.get(id);
  }

  /** The connection, or `'gone'`. Throws for an id that was never given out. */
  find(id: number): Attached | 'gone' {
    checkConnectionId(id);
    const found = this.#byId.get(id);
    if (found !== undefined) return found;
    if (id > this.#highestId) {
      throw new AckgateError('ERR_ACKGATE_UNKNOWN_CONNECTION', `no connection ever had the id ${id}`);
    }
    return 'gone';
  }

  /** The id for a new connection: the one asked for, or one above all before. */
  newId(wanted: number | undefined): number {
    if (wanted === undefined) {
      if (this.#highestId >= Number.MAX_SAFE_INTEGER) {
        throw new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', 'all connection ids are used');
      }
      return Math.max(1, this.#highestId + 1);
    }
    checkConnectionId(wanted);
    if (this.#byId.has(wanted)) {
      throw new AckgateError(
        'ERR_ACKGATE_CONNECTION_ID_IN_USE',
        `connectionId ${wanted} is connected already`,
      );
    }
    if (wanted <= this.#highestId) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_CONNECTION_ID_USED',
        `connectionId must be above ${this.#highestId}, the highest so far, got ${wanted}: an answer to an earlier ` +
          'client that is still held back would reach a later one with its id',
      );
    }
    return wanted;
  }

  checkRoom(): void {
    if (this.#freeSlots.length === 0) {
      throw new AckgateError(
        'ERR_ACKGATE_TOO_MANY_CONNECTIONS',
        `all ${this.#capacity} connections are taken; raise the option connections`,
      );
    }
  }

  nextSlot(): number {
    return this.#freeSlots[this.#freeSlots.length - 1];
  }

  /** Two writers on one socket would mix their frames. */
  checkSocket(inode: number): void {
    if (this.#inodes.has(inode)) {
      throw new AckgateError(
        'ERR_ACKGATE_SOCKET_ATTACHED',
        'the socket is attached already, by another descriptor',
      );
    }
  }

  add(id: number, socket: Socket | null, inode: number): Attached {
    const slot = this.#freeSlots.pop() as number;
    const attached: Attached = { id, slot, socket, inode, leaving: false };
    this.#inodes.add(inode);
    this.#byId.set(id, attached);
    if (id > this.#highestId) this.#highestId = id;
    return attached;
  }

  /** The stage has let go of a connection: its slot is free, and Node's side of the socket is ended too. */
  ended(slot: number, id: number, orderly: boolean): void {
    const attached = this.#byId.get(id);
    this.#byId.delete(id);
    if (attached !== undefined) this.#inodes.delete(attached.inode);
    this.#freeSlots.push(slot);
    const socket = attached?.socket;
    if (socket === null || socket === undefined) return;
    if (orderly) lingeringClose(socket);
    else socket.destroy();
  }

  /** Sockets that the stage left behind when it ended without a last event for each. */
  *remaining(): Iterable<Attached> {
    yield* [...this.#byId.values()];
  }
}

function checkConnectionId(id: unknown): asserts id is number {
  if (typeof id !== 'number') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `connectionId must be a number, got ${typeof id}`);
  }
  if (!Number.isSafeInteger(id) || id < 0) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `connectionId must be an integer from 0 to 2^53-1, got ${id}`,
    );
  }
}
