const lengthBytes = 4;
const blockBytesMin = 1024;
const blockBytesMax = 65_536;

interface Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Of the first body that waits. */
  start: number;
  /** Behind the last one. */
  end: number;
}

/**
 * Bodies that wait for their handler, packed: a client that sends many small ones makes the server hold little more than
 * it has sent, and a body keeps no read alive that it came with.
 */
export class RequestQueue {
  #blocks: Block[] = [];
  #bytes = 0;

  /** What the bodies take up, with 4 bytes of length each. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  push(body: Uint8Array): void {
    const size = lengthBytes + body.length;
    let block = this.#blocks.at(-1);
    if (block === undefined || block.end + size > block.bytes.length) {
      const grown = Math.min(blockBytesMax, 2 * (block?.bytes.length ?? blockBytesMin / 2));
      const bytes = new Uint8Array(Math.max(grown, size));
      block = { bytes, view: new DataView(bytes.buffer), start: 0, end: 0 };
      this.#blocks.push(block);
    }
    block.view.setUint32(block.end, body.length);
    block.bytes.set(body, block.end + lengthBytes);
    block.end += size;
    this.#bytes += size;
  }

  /** The first one, which stays as it is; there must be one. */
  shift(): Uint8Array {
    const block = this.#blocks[0];
    const at = block.start + lengthBytes;
    const body = block.bytes.subarray(at, at + block.view.getUint32(block.start));
    block.start = at + body.length;
    this.#bytes -= lengthBytes + body.length;
    if (block.start === block.end) this.#blocks.shift();
    return body;
  }

  clear(): void {
    this.#blocks = [];
    this.#bytes = 0;
  }
}
