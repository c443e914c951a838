const headerBytes = 4;
const nothing = Buffer.alloc(0);

/** Cuts a stream of bytes into frame bodies. */
export class FrameReader {
  readonly #bodyBytesMax: number;
  #bytes: Buffer = nothing;
  #position = 0;
  #malformed = false;

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** True once a frame was empty or longer than allowed. Nothing after it can be trusted. */
  get malformed(): boolean {
    return this.#malformed;
  }

  /** True when bytes are held that are not a whole frame yet, or were not taken yet. */
  get pending(): boolean {
    return this.#position < this.#bytes.length;
  }

  /** Takes the next bytes. The reader keeps `chunk` until `next` has returned null. */
  push(chunk: Buffer): void {
    this.#bytes = this.pending ? Buffer.concat([this.#bytes.subarray(this.#position), chunk]) : chunk;
    this.#position = 0;
  }

  /** The next whole body, or null when more bytes are needed. It is a view: read it before the next `push`. */
  next(): Buffer | null {
    const available = this.#bytes.length - this.#position;
    if (this.#malformed || available < headerBytes) return this.#keepRest();
    const length = this.#bytes.readUInt32LE(this.#position);
    if (length === 0 || length > this.#bodyBytesMax) {
      this.#malformed = true;
      return null;
    }
    if (available < headerBytes + length) return this.#keepRest();
    const start = this.#position + headerBytes;
    this.#position = start + length;
    return this.#bytes.subarray(start, this.#position);
  }

  /** Copies the few bytes of an unfinished frame, so that the chunk may be used again by whoever owns it. */
  #keepRest(): null {
    this.#bytes = this.pending ? Buffer.from(this.#bytes.subarray(this.#position)) : nothing;
    this.#position = 0;
    return null;
  }
}
