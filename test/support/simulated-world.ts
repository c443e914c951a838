import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { type Invariant, SimulationFailure } from '#ackgate/sim/failure.js';
import type { KernelFaults } from '#ackgate/sim/kernel/kernel-faults.js';
import type { SimulatedSenderParts } from '#ackgate/sim/kernel/sender-parts.js';
import { SimulatedSender } from '#ackgate/sim/kernel/simulated-sender.js';
import { SimulatedSocket } from '#ackgate/sim/kernel/socket.js';
import { Timeline } from '#ackgate/sim/timeline.js';
import type { Peer, Read, SenderSizes, SenderUnderTest, World } from './sender-world.js';

const ECONNRESET = 104;
/** Odd, so that it does not end where a chunk does; more than a test sends without reading. */
const socketBytes = 300_001;
const firstFd = 10;

/** A kernel in which nothing goes wrong. */
export const noFaults: KernelFaults = {
  sendLimit: (length) => length,
  sendResult: () => null,
  completionDelayNs: () => 0,
  cancelDelayNs: () => 0,
  submission: () => null,
  resultPlace: (count) => count,
  violated(invariant: Invariant, message: string): never {
    throw new SimulationFailure(invariant, message);
  },
};

/** Which descriptors there are; the lowest free number comes next. */
class Descriptors {
  readonly #sockets = new Map<number, SimulatedSocket>();
  /** Those that no sender has: both ends as the process holds them, and duplicates. */
  others = 0;

  add(timeline: Timeline, sink: ConstructorParameters<typeof SimulatedSocket>[3]): SimulatedSocket {
    let fd = firstFd;
    while (this.get(fd) !== undefined) fd++;
    const socket = new SimulatedSocket(timeline, fd, socketBytes, sink);
    this.#sockets.set(fd, socket);
    return socket;
  }

  get(fd: number): SimulatedSocket | undefined {
    const socket = this.#sockets.get(fd);
    return socket?.closed === false ? socket : undefined;
  }

  get open(): number {
    return [...this.#sockets.values()].filter(({ closed }) => !closed).length + this.others;
  }
}

export class SimulatedPeer implements Peer {
  readonly fd: number;
  readonly socket: SimulatedSocket;
  readonly #descriptors: Descriptors;
  /** What the kernel has accepted, less what was read. */
  #bytes = Buffer.alloc(0);
  #held = 2;

  constructor(timeline: Timeline, descriptors: Descriptors) {
    this.#descriptors = descriptors;
    this.socket = descriptors.add(timeline, (bytes, at, length) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(at, at + length)]);
    });
    this.fd = this.socket.fd;
    descriptors.others += this.#held;
  }

  read(bytesMax: number): Read {
    if (this.socket.wasReset) return 'reset';
    const count = this.socket.take(bytesMax);
    if (count > 0) {
      const read = this.#bytes.subarray(0, count);
      this.#bytes = this.#bytes.subarray(count);
      return read;
    }
    return this.socket.writesEnded ? 'end' : 'nothing';
  }

  /** Nothing that the sender's side would notice. */
  async endWrites(): Promise<void> {}

  async reset(): Promise<void> {
    this.socket.fail(ECONNRESET);
  }

  holdDuplicate(): void {
    this.#held++;
    this.#descriptors.others++;
  }

  async destroy(): Promise<void> {
    this.#descriptors.others -= this.#held;
    this.#held = 0;
  }
}

/** Virtual sockets in virtual time. */
export class SimulatedWorld implements World {
  readonly hasReset = true;
  readonly hasPages = true;
  readonly timeline = new Timeline(1e9);
  readonly faults: KernelFaults;
  readonly #whenFull: 'wait' | 'refuse';
  readonly #parts: Partial<SimulatedSenderParts>;
  readonly #descriptors = new Descriptors();

  /** By default the sender is asked for anything, and answers as real ones do. */
  constructor(
    whenFull: 'wait' | 'refuse',
    faults: Partial<KernelFaults> = {},
    parts: Partial<SimulatedSenderParts> = { tolerates: () => true },
  ) {
    this.#whenFull = whenFull;
    this.faults = { ...noFaults, ...faults };
    this.#parts = parts;
  }

  async connect(): Promise<SimulatedPeer> {
    return new SimulatedPeer(this.timeline, this.#descriptors);
  }

  makeSender({
    slots,
    ringEntries = 256,
    results,
  }: SenderSizes): SenderUnderTest & { sender: SimulatedSender } {
    const arena = new Uint8Array(slots * sendBufferBytes);
    const fence = new Int32Array(new SharedArrayBuffer(4));
    const sender = new SimulatedSender({
      timeline: this.timeline,
      arena,
      slots,
      fence,
      socketOf: (fd) => this.#descriptors.get(fd),
      faults: this.faults,
      whenFull: this.#whenFull,
      ringEntries,
      ...(results === undefined ? {} : { resultRows: results }),
      ...this.#parts,
    });
    return { sender, arena, fence, wakeFd: null, wake: () => sender.wake(), dispose: () => {} };
  }

  openDescriptors(): number {
    return this.#descriptors.open;
  }

  async settle(): Promise<void> {
    this.timeline.spend(100_000);
  }

  nowMs(): number {
    return this.timeline.nowNs / 1e6;
  }

  async close(): Promise<void> {}
}
