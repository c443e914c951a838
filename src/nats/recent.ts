/** A message as it was published. */
export interface Published {
  readonly first: number;
  readonly last: number;
  readonly bytes: Buffer;
}

/** What was published last, so that whoever missed a little of it need not be given it from the files. */
export class Recent {
  readonly #bytesMax: number;
  #messages: Published[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(message: Published): void {
    const newest = this.#messages.at(-1);
    if (newest !== undefined && newest.last + 1 !== message.first) this.#clear();
    this.#messages.push(message);
    this.#bytes += keptBytes(message);
    let old = 0;
    while (this.#bytes > this.#bytesMax && old < this.#messages.length) {
      this.#bytes -= keptBytes(this.#messages[old]!);
      old++;
    }
    if (old > 0) this.#messages.splice(0, old);
  }

  /**
   * The message that has this sequence, and those behind it; none when it isn't kept.
   *
   * @param bytesMax of all of them, unless the first alone is more
   */
  from(sequence: number, bytesMax: number): readonly Published[] {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#messages[middle]!.last < sequence) low = middle + 1;
      else high = middle;
    }
    const found = this.#messages[low];
    if (found === undefined || found.first > sequence) return [];
    let end = low + 1;
    for (let bytes = found.bytes.length; end < this.#messages.length; end++) {
      bytes += this.#messages[end]!.bytes.length;
      if (bytes > bytesMax) break;
    }
    return this.#messages.slice(low, end);
  }

  #clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }
}

/** A view keeps the whole of its memory. */
function keptBytes({ bytes }: Published): number {
  return bytes.buffer.byteLength;
}
