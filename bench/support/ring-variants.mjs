import { Consumer, claimFull, Producer } from '../../dist/ring/index.js';
import { NaiveRing } from './naive-ring.mjs';

// Beyond 2^31, where a number that is passed or stored the wrong way costs an object.
export const firstSeq = 2 ** 40;
export const connectionId = 2 ** 40 + 5;

/**
 * Ways to bring records from one end to the other. `writer` returns a function that offers one record and says
 * whether it was taken; `reader` one that takes up to `limit` and returns how many, adding to `state.sum` what it
 * read.
 */
export const variants = {
  'claim/publish': {
    writer({ ring }, payload) {
      const producer = new Producer(ring);
      const { bytes } = producer;
      const { length } = payload;
      return (i) => {
        const at = producer.claim(length);
        if (at === claimFull) return false;
        bytes.set(payload, at);
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
};

function readRing({ ring }, state) {
  const consumer = new Consumer(ring);
  const { sum } = state;
  return (limit) => {
    const available = consumer.available();
    const count = Math.min(available, limit);
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
