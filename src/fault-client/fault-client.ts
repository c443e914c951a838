import { setImmediate as turn } from 'node:timers/promises';
import { frame, lengthPrefixFraming } from '../encode/framing.js';
import { atMost } from '../shared/at-most.js';
import { checkInteger } from './checks.js';
import { type ClientOptions, FramedClient } from './framed-client.js';
import { noise } from './noise.js';

/** The largest length that a header can hold. */
const u32Max = 2 ** 32 - 1;
/** Bytes that follow a header that promises too many. */
const oversizeTailBytes = 16;
/** A flood goes out in pieces of about so many bytes. */
const floodPieceBytes = 64 * 1024;

export interface FloodOptions {
  /** How many, at most. */
  frames: number;
  /** Of each. */
  body: Uint8Array;
  /** Gives up after so many milliseconds, with a server that doesn't read; default 10,000. */
  timeMsMax?: number;
}

export interface TrickleOptions {
  /** Bytes in one piece; default 1. */
  chunkBytes?: number;
  /** Between two pieces, in milliseconds; default 10. */
  everyMs?: number;
}

/** The same client, and everything that it can do to a server that it should not. */
export class FaultClient extends FramedClient {
  /** Rejects with the error of the socket when there is no connection to be had, such as `ECONNREFUSED`. */
  static async connect(options: ClientOptions): Promise<FaultClient> {
    options.signal?.throwIfAborted();
    return new FaultClient(options).open(options);
  }

  /** The first `bytes` bytes of a frame, header included, and nothing after them: 1 up to all but one. */
  halfFrame(body: Uint8Array, bytes: number): Promise<boolean> {
    const whole = frame(lengthPrefixFraming, body);
    checkInteger('bytes', bytes, 1, whole.length - 1);
    return this.send(whole.subarray(0, bytes));
  }

  /** So many bytes of noise, where a header should be. */
  garbage(bytes: number): Promise<boolean> {
    return this.send(noise(this.random, bytes));
  }

  /** A well-formed frame, the body of which is noise. */
  noiseFrame(bodyBytes: number): Promise<boolean> {
    return this.sendFrame(noise(this.random, bodyBytes));
  }

  /** A header that promises a body of so many bytes, up to 2^32-1, and at most 16 of them. */
  oversize(bodyBytes: number): Promise<boolean> {
    checkInteger('bodyBytes', bodyBytes, 0, u32Max);
    const { headerBytes, writeHeader } = lengthPrefixFraming;
    const bytes = new Uint8Array(headerBytes + Math.min(bodyBytes, oversizeTailBytes));
    writeHeader(bytes, 0, bodyBytes);
    return this.send(bytes);
  }

  /** A header that promises no body. */
  emptyFrame(): Promise<boolean> {
    return this.sendFrame(new Uint8Array(0));
  }

  /**
   * Frames as fast as the socket takes them, one piece of 64 KiB under way at a time. Resolves with how many the kernel
   * has taken whole: fewer than asked for when the connection ended or the time was over.
   */
  async flood({ frames, body, timeMsMax = 10_000 }: FloodOptions): Promise<number> {
    checkInteger('frames', frames, 0, Number.MAX_SAFE_INTEGER);
    const one = frame(lengthPrefixFraming, body);
    const perPiece = Math.min(frames, Math.max(1, Math.floor(floodPieceBytes / one.length)));
    const piece = new Uint8Array(one.length * perPiece);
    for (let at = 0; at < piece.length; at += one.length) piece.set(one, at);

    const until = performance.now() + timeMsMax;
    let taken = 0;
    while (taken < frames && performance.now() < until) {
      const count = Math.min(perPiece, frames - taken);
      const sent = this.send(piece.subarray(0, one.length * count));
      if (!(await atMost(until - performance.now(), sent))) break;
      taken += count;
      // A kernel with room takes each piece in the same turn, and nothing else in the process would ever run.
      await turn();
    }
    return taken;
  }

  /** Small pieces with a pause after each. Resolves with how many bytes the kernel has taken. */
  async trickle(bytes: Uint8Array, { chunkBytes = 1, everyMs = 10 }: TrickleOptions = {}): Promise<number> {
    checkInteger('chunkBytes', chunkBytes, 1, Number.MAX_SAFE_INTEGER);
    let taken = 0;
    while (taken < bytes.length) {
      const piece = bytes.subarray(taken, taken + chunkBytes);
      if (!(await this.send(piece))) break;
      taken += piece.length;
      if (!(await this.wait(everyMs))) break;
    }
    return taken;
  }

  /**
   * The first `count` of the bytes, then an RST, after a pause if one is given. A server on Node that finds both at once
   * reads the bytes and then an orderly end; only one that has read the bytes before finds `ECONNRESET`.
   */
  async resetAfter(bytes: Uint8Array, count: number, pauseMs = 0): Promise<void> {
    checkInteger('count', count, 0, bytes.length);
    if (count > 0) await this.send(bytes.subarray(0, count));
    if (pauseMs > 0) await this.wait(pauseMs);
    await this.reset();
  }

  /** An RST at once; what the kernel has not sent yet is lost. Resolves when the socket is closed. */
  reset(): Promise<void> {
    if (!this.socket.destroyed) this.socket.resetAndDestroy();
    return this.closed;
  }

  /** From now on nothing is read: the kernel's receive buffer fills, and the window closes. */
  stopReading(): void {
    this.pace.stop();
  }

  /** Reads as fast as it can again. */
  resumeReading(): void {
    this.pace.resume();
  }

  /** From now on reads so many bytes a second, evenly, at least 1; a read of up to 16 KiB may come first. */
  slowReader(bytesPerSecond: number): void {
    checkInteger('bytesPerSecond', bytesPerSecond, 1, Number.MAX_SAFE_INTEGER);
    this.pace.slow(bytesPerSecond);
  }
}
