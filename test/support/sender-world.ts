import type { Sender } from '#ackgate/egress/sender.js';

/** What a peer finds when it looks for bytes. */
export type Read = Uint8Array | 'nothing' | 'end' | 'reset';

/** The other end of a connection, under the test's control: it reads only when it is told to. */
export interface Peer {
  /** The sender's end, a private descriptor; whoever opens it owns it. */
  readonly fd: number;
  read(bytesMax: number): Read;
  /** Ends the peer's own writes: a half-close. */
  endWrites(): Promise<void>;
  /** Goes away; over TCP with a reset. */
  reset(): Promise<void>;
  /** Another descriptor of the sender's end, held by the process for the rest of the test. */
  holdDuplicate(): void;
  /** Lets go of both ends as far as the world holds them. */
  destroy(): Promise<void>;
}

export interface SenderSizes {
  slots: number;
  ringEntries?: number;
  /** Results that the table holds. */
  results?: number;
  /** `SO_SNDBUF` of the connections where there is one; 0, the default: the system's own, which grows to megabytes. */
  kernelSendBufferBytes?: number;
}

export interface SenderUnderTest {
  sender: Sender;
  arena: Uint8Array;
  fence: Int32Array;
  /** Writes the wake descriptor. */
  wake(): void;
  /** The descriptor itself, for another thread to write; null where there is none. */
  wakeFd: number | null;
  /** Takes away what the sender was made from. */
  dispose(): void;
}

/** The kernel that a sender runs on. */
export interface World {
  connect(kernelSendBufferBytes?: number): Promise<Peer>;
  makeSender(sizes: SenderSizes): SenderUnderTest;
  /** Descriptors that are open now; null where there are none. */
  openDescriptors(): number | null;
  /** Lets the rest of the world run for a moment. */
  settle(): Promise<void>;
  /** The clock that sleeps are measured with, in milliseconds. */
  nowMs(): number;
  /** Whether a reset shows at the peer as one; Unix sockets have only ends. */
  readonly hasReset: boolean;
  /** Whether the pages behind the arena can be given back. */
  readonly hasPages: boolean;
  close(): Promise<void>;
}
