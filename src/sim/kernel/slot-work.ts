import { constants } from 'node:os';
import { SenderOp, sendBufferBytes } from '../../egress/sender.js';
import type { SimulatedSocket } from './socket.js';

const { EBADF, EBUSY, ECANCELED, EFAULT, EINVAL } = constants.errno;

/** Where a request is. */
export const At = {
  nowhere: 0,
  /** Accepted, and not taken by the kernel. */
  queue: 1,
  /** The kernel has it and gets to it later. */
  delayed: 2,
  /** The kernel has it and waits for the socket. */
  socket: 3,
} as const;

export const Life = { free: 0, open: 1, closing: 2 } as const;

/** One slot of a simulated sender: its socket, and at most a send and a poll. */
export class SlotWork {
  socket: SimulatedSocket | null = null;
  generation = 0;
  life: number = Life.free;
  send: number = At.nowhere;
  poll: number = At.nowhere;
  /** Of the send: where its bytes are in the arena, and how many. */
  offset = 0;
  length = 0;
  /** The last send that moved bytes did not move all of them. */
  cutShort = false;
  /** Counts what was delayed, so that none of it is done after its connection. */
  ticket = 0;
  /** Looks after the socket, made once. */
  readonly onWritable: () => void;
  #copy: Uint8Array | null = null;
  #guarded = false;

  constructor(onWritable: () => void) {
    this.onWritable = onWritable;
  }

  get busy(): boolean {
    return this.send !== At.nowhere || this.poll !== At.nowhere;
  }

  open(socket: SimulatedSocket, generation: number): void {
    this.socket = socket;
    this.generation = generation;
    this.life = Life.open;
    this.cutShort = false;
    this.#guarded = false;
  }

  /** Remembers the bytes of the send: the kernel may read them at any time until it has answered. */
  guard(arena: Uint8Array): void {
    if (this.#guarded) return;
    this.#guarded = true;
    this.#copy ??= new Uint8Array(sendBufferBytes);
    this.#copy.set(arena.subarray(this.offset, this.offset + this.length));
  }

  /** The place in the arena of the first byte that has changed since; -1: none has. */
  firstChange(arena: Uint8Array): number {
    if (!this.#guarded) return -1;
    const now = arena.subarray(this.offset, this.offset + this.length);
    const before = (this.#copy as Uint8Array).subarray(0, this.length);
    if (Buffer.compare(now, before) === 0) return -1;
    return this.offset + now.findIndex((byte, index) => byte !== before[index]);
  }

  /** The send has been answered. */
  endSend(): void {
    this.send = At.nowhere;
    this.#guarded = false;
  }
}

/** 0 when a request can go out, else what answers it. */
export function refusal(
  work: SlotWork | undefined,
  op: number,
  generation: number,
  offset: number,
  length: number,
): number {
  if (work === undefined) return -EINVAL;
  if (work.life === Life.free || work.generation !== generation) return -EBADF;
  if (work.life === Life.closing) return -ECANCELED;
  if (op === SenderOp.send) {
    if (offset + length > sendBufferBytes) return -EFAULT;
    return work.send === At.nowhere ? 0 : -EBUSY;
  }
  if (op === SenderOp.poll) return work.poll === At.nowhere ? 0 : -EBUSY;
  return -EINVAL;
}
