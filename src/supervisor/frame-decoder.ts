const headerBytes = 4;
const nothing = new Uint8Array(0);
/** A frame that comes in pieces is collected in a buffer that starts with this size and doubles. */
const pieceBytesMin = 1024;

/** Why a stream of frames can't be read any further. */
export type FrameFault =
  /** What should be a frame is none. */
  | 'malformed-frame'
  /** It promises a body above the limit. */
  | 'oversize-frame';

/** Cuts the bytes of one connection into frame bodies. */
export interface FrameDecoder {
  /** Takes the next bytes, which nobody changes any more. */
  push(chunk: Uint8Array): void;
  /** The next whole body, which stays as it is; null when there is none yet, or never will be. */
  next(): Uint8Array | null;
  /** Not null: nothing behind this point can be trusted. */
  readonly fault: FrameFault | null;
  /** Bytes taken that are not part of a body handed out. */
  readonly heldBytes: number;
}

/** Frames of a little-endian u32 length and as many bytes of body, at least one. */
export class LengthPrefixDecoder implements FrameDecoder {
  readonly #bodyBytesMax: number;
  #bytes: Uint8Array = nothing;
  #start = 0;
  #end = 0;
  /** `#bytes` was made here and has room behind `#end`. */
  #own = false;
  #fault: FrameFault | null = null;

  /** @param bodyBytesMax largest body in bytes; a header that promises more is an `oversize-frame` */
  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Not null: nothing behind this point can be trusted. */
  get fault(): FrameFault | null {
    return this.#fault;
  }

  /** Bytes taken that are not part of a body handed out. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes the next bytes, which nobody changes any more. */
  push(chunk: Uint8Array): void {
    if (this.heldBytes === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    // Doubling, so that a client that sends byte by byte costs no more than one that does not.
    if (!this.#own || this.#end + chunk.length > this.#bytes.length) this.#grow(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole body, which stays as it is; null when there is none yet, or never will be. */
  next(): Uint8Array | null {
    if (this.#fault !== null || this.heldBytes < headerBytes) return null;
    const bytes = this.#bytes;
    const at = this.#start;
    const length = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
    if (length === 0 || length > this.#bodyBytesMax) {
      this.#fault = length === 0 ? 'malformed-frame' : 'oversize-frame';
      return null;
    }
    if (this.heldBytes < headerBytes + length) return null;
    this.#start = at + headerBytes + length;
    const body = bytes.subarray(at + headerBytes, this.#start);
    if (this.heldBytes === 0) this.#release();
    return body;
  }

  /** Bodies that were handed out are views of the old buffer, which is not written to any more. */
  #grow(more: number): void {
    const held = this.heldBytes;
    let size = pieceBytesMin;
    while (size < held + more) size *= 2;
    const bytes = new Uint8Array(size);
    bytes.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = held;
    this.#own = true;
  }

  #release(): void {
    this.#bytes = nothing;
    this.#start = 0;
    this.#end = 0;
    this.#own = false;
  }
}
