import { Consumer, claimFull, Producer } from '../../dist/ring/index.js';
import { NaiveRing } from './naive-ring.mjs';
import { ringbufReader, ringbufWriter } from './ringbuf-ring.mjs';

// Beyond 2^31, where a number that is passed or stored the wrong way costs an object.
export const firstSeq = 2 ** 40;
export const connectionId = 2 ** 40 + 5;

const messagesInBatch = 64;

/**
 * Ways to bring records from one end to the other. `writer` returns a function that offers one record and says
 * whether it was taken; `reader` one that takes up to `limit` and returns how many, adding to `state.sum` what it
 * read. Those that send `messages` can only run between two threads, and their reader gets one message.
 */
export const variants = {
  'claim/publish': {
    // Word by word into the slot, as an engine writes its fields: a payload is a multiple of four bytes here.
    writer({ ring }, payload) {
      const producer = new Producer(ring);
      const { buffer, byteOffset, byteLength } = producer.bytes;
      const words = new Int32Array(buffer, byteOffset, byteLength / 4);
      const fields = new Int32Array(payload.buffer, payload.byteOffset, payload.length / 4);
      const { length } = payload;
      return (i) => {
        const at = producer.claim(length);
        if (at === claimFull) return false;
        const first = at / 4;
        for (let field = 0; field < fields.length; field++) words[first + field] = fields[field];
        producer.publish(connectionId, firstSeq + i);
        return true;
      };
    },
    reader: readRing,
  },
  tryPublish: {
    writer({ ring }, payload) {
      const producer = new Producer(ring);
      return (i) => producer.tryPublish({ connectionId, wireSeq: firstSeq + i, payload }) === 'ok';
    },
    reader: readRing,
  },
  'naive byte ring': {
    writer({ naive }, payload) {
      const ring = new NaiveRing(naive);
      return (i) => ring.push({ connectionId, wireSeq: firstSeq + i, payload });
    },
    reader({ naive }, state) {
      const ring = new NaiveRing(naive);
      return (limit) => {
        let taken = 0;
        for (; taken < limit; taken++) {
          const record = ring.pop();
          if (record === null) break;
          state.sum[0] += record.wireSeq - firstSeq + record.payload[0];
        }
        return taken;
      };
    },
  },
  'ringbuf.js': {
    writer({ ringbuf }, payload) {
      const push = ringbufWriter(ringbuf);
      return (i) => push(connectionId, firstSeq + i, payload);
    },
    reader({ ringbuf }, { sum }) {
      return ringbufReader(ringbuf, (wireSeq, bytes, at) => {
        sum[0] += wireSeq - firstSeq + bytes[at];
      });
    },
  },
  postMessage: {
    messages: true,
    writer({ window, taken }, payload, worker) {
      let sent = Atomics.load(taken, 0);
      return (i) => {
        if (sent - Atomics.load(taken, 0) >= window) return false;
        worker.postMessage({ connectionId, wireSeq: firstSeq + i, payload });
        sent++;
        return true;
      };
    },
    reader({ taken }, { sum }) {
      return ({ wireSeq, payload }) => {
        sum[0] += wireSeq - firstSeq + payload[0];
        Atomics.add(taken, 0, 1);
        return 1;
      };
    },
  },
  /** An array of records per message: the reader hears of them later, and each costs less. */
  'postMessage of batches': {
    messages: true,
    writer({ window, taken }, payload, worker) {
      let sent = Atomics.load(taken, 0);
      let batch = [];
      return (i) => {
        if (sent - Atomics.load(taken, 0) >= window) return false;
        // Each with bytes of its own, as an engine's answers have: an array that comes twice would be sent once.
        batch.push({ connectionId, wireSeq: firstSeq + i, payload: payload.slice() });
        sent++;
        if (batch.length === messagesInBatch) {
          worker.postMessage(batch);
          batch = [];
        }
        return true;
      };
    },
    reader({ taken }, { sum }) {
      return (records) => {
        for (const { wireSeq, payload } of records) sum[0] += wireSeq - firstSeq + payload[0];
        Atomics.add(taken, 0, records.length);
        return records.length;
      };
    },
  },
};

/** Those that need no event loop to read, and so run on one thread too. */
export const ringVariants = Object.fromEntries(
  Object.entries(variants).filter(([, variant]) => !variant.messages),
);

function readRing({ ring }, state) {
  const consumer = new Consumer(ring);
  const { sum } = state;
  return (limit) => {
    const count = Math.min(consumer.available(), limit);
    for (let i = 0; i < count; i++) {
      const record = consumer.at(i);
      sum[0] += record.wireSeq - firstSeq + record.bytes[0];
    }
    if (count > 0) consumer.release(count);
    return count;
  };
}

/** What `state.sum` must be after `records` of them. */
export const expectedSum = (records, payload) => records * payload[0] + (records * (records - 1)) / 2;
