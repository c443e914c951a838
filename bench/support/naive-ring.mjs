// The usual small ring of bytes, for comparison: each side loads both counters for every record, and a record is a
// view that is copied in and out.
const headerBytes = 28;

export function createNaiveRing(bytes) {
  return { buffer: new SharedArrayBuffer(8 + bytes) };
}

export class NaiveRing {
  #counters;
  #bytes;
  #view;
  #size;

  constructor({ buffer }) {
    this.#counters = new Uint32Array(buffer, 0, 2);
    this.#bytes = new Uint8Array(buffer, 8);
    this.#view = new DataView(buffer, 8);
    this.#size = buffer.byteLength - 8;
  }

  push({ connectionId, wireSeq, payload, kind = 0 }) {
    const write = Atomics.load(this.#counters, 0);
    const read = Atomics.load(this.#counters, 1);
    const need = (headerBytes + payload.length + 7) & ~7;
    let at = write % this.#size;
    const skip = this.#size - at < need ? this.#size - at : 0;
    if (this.#size - (write - read) < need + skip) return false;
    if (skip > 0) {
      this.#view.setInt32(at, -1, true);
      at = 0;
    }
    this.#view.setInt32(at, payload.length, true);
    this.#view.setFloat64(at + 4, wireSeq, true);
    this.#view.setFloat64(at + 12, connectionId, true);
    this.#view.setFloat64(at + 20, kind, true);
    this.#bytes.set(payload, at + headerBytes);
    Atomics.store(this.#counters, 0, write + skip + need);
    return true;
  }

  pop() {
    const write = Atomics.load(this.#counters, 0);
    let read = Atomics.load(this.#counters, 1);
    if (write === read) return null;
    let at = read % this.#size;
    let length = this.#view.getInt32(at, true);
    if (length < 0) {
      read += this.#size - at;
      at = 0;
      length = this.#view.getInt32(0, true);
    }
    const record = {
      wireSeq: this.#view.getFloat64(at + 4, true),
      connectionId: this.#view.getFloat64(at + 12, true),
      kind: this.#view.getFloat64(at + 20, true),
      payload: this.#bytes.slice(at + headerBytes, at + headerBytes + length),
    };
    Atomics.store(this.#counters, 1, read + ((headerBytes + length + 7) & ~7));
    return record;
  }
}
