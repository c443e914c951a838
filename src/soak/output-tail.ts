/** Keeps the end of what a process writes, however much that is: the memory is taken once. */
export class OutputTail {
  readonly #bytes: Buffer;
  #written = 0;

  constructor(bytesMax: number) {
    this.#bytes = Buffer.alloc(bytesMax);
  }

  append(chunk: Uint8Array): void {
    const size = this.#bytes.length;
    const kept = chunk.length > size ? chunk.subarray(chunk.length - size) : chunk;
    this.#written += chunk.length - kept.length;
    const at = this.#written % size;
    const untilEnd = Math.min(kept.length, size - at);
    this.#bytes.set(kept.subarray(0, untilEnd), at);
    this.#bytes.set(kept.subarray(untilEnd), 0);
    this.#written += kept.length;
  }

  text(): string {
    const size = this.#bytes.length;
    if (this.#written <= size) return this.#bytes.toString('utf8', 0, this.#written);
    const at = this.#written % size;
    const whole = Buffer.concat([this.#bytes.subarray(at), this.#bytes.subarray(0, at)]);
    // The cut may go through a character: what is left of it is not shown.
    let start = 0;
    while (start < Math.min(3, size) && (whole[start] & 0xc0) === 0x80) start++;
    return whole.toString('utf8', start);
  }
}
