import type { OnReadOpts, Socket } from 'node:net';

/** Bytes taken from the kernel at once, at most. */
const readBytesMax = 16 * 1024;
/** A slow reader takes a tenth of a second's worth at a time, so that its pace is even. */
const readsPerSecond = 10;

interface Slow {
  readonly bytesPerSecond: number;
}

/**
 * Whether, and how fast, a socket is read. Reads into memory of its own, so that a pause stops at the kernel: what is not
 * read fills the receive buffer there, and then the server's send buffer, instead of Node's memory.
 */
export class ReadPace {
  /** To be given to the socket when it is made. */
  readonly onread: OnReadOpts;
  readonly #wait: (ms: number) => Promise<boolean>;
  #buffer = new Uint8Array(readBytesMax);
  #socket: Socket | undefined;
  /** Its identity tells a pause that is over whether it still counts. */
  #slow: Slow | undefined;

  /** `wait` resolves after the time, with false when the connection has been closed meanwhile. */
  constructor(onBytes: (chunk: Uint8Array) => void, wait: (ms: number) => Promise<boolean>) {
    this.#wait = wait;
    this.onread = {
      buffer: () => this.#next(),
      callback: (bytes, buffer) => {
        onBytes(buffer.subarray(0, bytes));
        if (this.#slow !== undefined) void this.#rest(this.#slow, bytes);
        return true;
      },
    };
  }

  /** Called in the turn in which the socket is made: one that is not to be read has then not been read at all. */
  attach(socket: Socket, read: boolean): void {
    this.#socket = socket;
    if (!read) socket.pause();
  }

  stop(): void {
    this.#slow = undefined;
    this.#socket?.pause();
  }

  resume(): void {
    this.#slow = undefined;
    this.#socket?.resume();
  }

  slow(bytesPerSecond: number): void {
    this.#slow = { bytesPerSecond };
    this.#socket?.resume();
  }

  #next(): Uint8Array {
    const rate = this.#slow?.bytesPerSecond ?? Number.POSITIVE_INFINITY;
    const bytes = Math.max(1, Math.min(readBytesMax, Math.floor(rate / readsPerSecond)));
    if (this.#buffer.length !== bytes) this.#buffer = new Uint8Array(bytes);
    return this.#buffer;
  }

  async #rest(slow: Slow, bytes: number): Promise<void> {
    this.#socket?.pause();
    const open = await this.#wait((bytes / slow.bytesPerSecond) * 1000);
    if (open && this.#slow === slow) this.#socket?.resume();
  }
}
