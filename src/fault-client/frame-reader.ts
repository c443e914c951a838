import { lengthPrefixFraming } from '../encode/framing.js';

/** Longest body that a client takes for a frame: a header that promises more is the server's mistake. 64 MiB. */
const receivedBodyBytesMax = 64 * 1024 * 1024;

const { headerBytes } = lengthPrefixFraming;

/** Cuts a stream of bytes, in whatever pieces it comes, into the bodies of length-prefixed frames. */
export class FrameReader {
  readonly #onBody: (body: Uint8Array) => void;
  readonly #header = new Uint8Array(headerBytes);
  #headerFilled = 0;
  /** Of the frame that is being received, from the end of its header on. */
  #body: Uint8Array | undefined;
  #bodyFilled = 0;
  #promisedBytes: number | undefined;

  constructor(onBody: (body: Uint8Array) => void) {
    this.#onBody = onBody;
  }

  /** What the header at fault promised. Nothing that follows it can be told apart, so nothing more is read. */
  get malformedBytes(): number | undefined {
    return this.#promisedBytes;
  }

  /** Copies what it keeps: `chunk` can be used again. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.#promisedBytes === undefined) {
      at += this.#body === undefined ? this.#fillHeader(chunk, at) : this.#fillBody(this.#body, chunk, at);
    }
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(headerBytes - this.#headerFilled, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === headerBytes) this.#begin(new DataView(this.#header.buffer).getUint32(0, true));
    return taken;
  }

  #begin(bodyBytes: number): void {
    this.#headerFilled = 0;
    if (bodyBytes > receivedBodyBytesMax) this.#promisedBytes = bodyBytes;
    else if (bodyBytes === 0) this.#onBody(new Uint8Array(0));
    else this.#body = new Uint8Array(bodyBytes);
  }

  #fillBody(body: Uint8Array, chunk: Uint8Array, at: number): number {
    const taken = Math.min(body.length - this.#bodyFilled, chunk.length - at);
    body.set(chunk.subarray(at, at + taken), this.#bodyFilled);
    this.#bodyFilled += taken;
    if (this.#bodyFilled === body.length) {
      this.#body = undefined;
      this.#bodyFilled = 0;
      this.#onBody(body);
    }
    return taken;
  }
}
