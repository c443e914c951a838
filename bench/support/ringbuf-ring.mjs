// Records over ringbuf.js, a ring of bytes that knows no records: each has the same length here, which is to its favour,
// is put together in one array, and goes in with one push; as many as there are come out with one pop.
import { RingBuffer } from 'ringbuf.js';

const headerBytes = 24;
const recordsPerPop = 256;

export function createRingbuf(records, payloadBytes) {
  return {
    buffer: RingBuffer.getStorageForCapacity(records * (headerBytes + payloadBytes), Uint8Array),
    payloadBytes,
  };
}

export function ringbufWriter({ buffer, payloadBytes }) {
  const ring = new RingBuffer(buffer, Uint8Array);
  const record = new Uint8Array(headerBytes + payloadBytes);
  const doubles = new Float64Array(record.buffer, 0, 2);
  const words = new Uint32Array(record.buffer, 16, 2);
  return (connectionId, wireSeq, payload) => {
    if (ring.available_write() < record.length) return false;
    doubles[0] = wireSeq;
    doubles[1] = connectionId;
    words[0] = payload.length;
    record.set(payload, headerBytes);
    return ring.push(record) === record.length;
  };
}

/** `onRecord(wireSeq, bytes, payloadAt)` for each of up to `limit` records; returns how many. */
export function ringbufReader({ buffer, payloadBytes }, onRecord) {
  const ring = new RingBuffer(buffer, Uint8Array);
  const recordBytes = headerBytes + payloadBytes;
  const records = new Uint8Array(recordsPerPop * recordBytes);
  const doubles = new Float64Array(records.buffer);
  return (limit) => {
    const count = Math.min(Math.floor(ring.available_read() / recordBytes), limit, recordsPerPop);
    if (count === 0) return 0;
    ring.pop(records, count * recordBytes);
    for (let i = 0; i < count; i++) {
      onRecord(doubles[(i * recordBytes) / 8], records, i * recordBytes + headerBytes);
    }
    return count;
  };
}
