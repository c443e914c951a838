import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { ConnectionTable } from '#ackgate/egress/connection-table.js';
import { Consumer } from '#ackgate/ring/consumer.js';
import { createRing, Producer } from '#ackgate/ring/index.js';
import { LastRecords } from '#ackgate/stage/last-records.js';
import { startAt } from './fixtures/ring-stream.mjs';

/** A ring and a table as the stage has them. Places are counted from where the ring begins. */
function create({ start = 0, capacity = 16, slots = 8 } = {}) {
  const handle = createRing({ capacity, maxPayload: 8 });
  startAt(handle, start);
  const producer = new Producer(handle);
  const ring = new Consumer(handle);
  const table = new ConnectionTable(slots);
  let consumed = 0;
  let published = 0;
  const last = new LastRecords(ring, table, () => consumed);
  return {
    ring,
    open(slot: number, id: number) {
      last.opened(slot, id);
      table.open(slot, id);
    },
    end(slot: number) {
      table.close(slot);
      table.free(slot);
    },
    publish(...ids: number[]) {
      for (const connectionId of ids) {
        const payload = new Uint8Array(1);
        expect(producer.tryPublish({ connectionId, wireSeq: 1, payload })).toBe('ok');
        published++;
      }
    },
    consume(count: number) {
      ring.release(count);
      consumed += count;
    },
    /** Where the connection of the slot is through, if its end is asked for now. */
    drainedAt: (slot: number, position = published) =>
      (last.drainedAt(slot, (start + position) | 0) - start) | 0,
  };
}

describe.each([0, 2 ** 31 - 3, -3])('a ring that begins at %d', (start) => {
  test('is waited for up to the connection’s own last record', () => {
    const { open, publish, consume, drainedAt } = create({ start });
    for (const slot of [0, 1, 2]) open(slot, 10 + slot);
    publish(10, 11, 10, 11, 99);
    expect([0, 1, 2].map((slot) => drainedAt(slot))).toEqual([3, 4, 0]);
    consume(3);
    // Slot 0 waits for nothing any more.
    expect([0, 1, 2].map((slot) => drainedAt(slot))).toEqual([3, 4, 3]);
    publish(12);
    expect([0, 1, 2].map((slot) => drainedAt(slot))).toEqual([3, 4, 6]);
    consume(3);
    expect([0, 1, 2].map((slot) => drainedAt(slot))).toEqual([6, 6, 6]);
  });

  test('is looked at as far as was published when the end was asked for', () => {
    const { open, publish, consume, drainedAt } = create({ start });
    open(0, 10);
    publish(10, 11);
    expect(drainedAt(0, 1)).toBe(1);
    publish(10);
    expect(drainedAt(0, 2)).toBe(1);
    expect(drainedAt(0, 3)).toBe(3);
    // The question came when all of it had been consumed.
    consume(3);
    expect(drainedAt(0, 1)).toBe(3);
  });
});

test('a slot’s next connection has nothing of the one before', () => {
  const { open, end, publish, drainedAt } = create();
  open(0, 10);
  publish(10, 9);
  expect(drainedAt(0)).toBe(1);
  end(0);
  open(0, 12);
  expect(drainedAt(0)).toBe(0);
  publish(12, 10);
  expect(drainedAt(0)).toBe(3);
});

test('records from before the attach count, looked at already or not', () => {
  const { open, publish, drainedAt } = create();
  open(0, 10);
  publish(20, 10);
  expect(drainedAt(0)).toBe(2);
  publish(30);
  // 20 has waited since before the last question, 30 has come after it.
  open(1, 20);
  open(2, 30);
  expect(drainedAt(1)).toBeGreaterThanOrEqual(1);
  expect(drainedAt(2)).toBe(3);
  expect(drainedAt(1)).toBe(1);
});

test('a record from long ago does not look like one to come', () => {
  const { ring, open, publish, consume, drainedAt } = create();
  open(0, 10);
  publish(10, 11);
  expect(drainedAt(0)).toBe(1);
  consume(2);
  // As if all but 4 of 2^32 records had gone through: in wrapping positions the record is ahead again.
  ring.release(-6);
  expect(drainedAt(0, -4)).toBe(-4);
});

test('every record is looked at once, however many ask, and none that was consumed unasked', () => {
  const connections = 200;
  const capacity = 256;
  const { ring, open, publish, consume, drainedAt } = create({ capacity, slots: connections });
  for (let slot = 0; slot < connections; slot++) open(slot, slot);
  const looks = vi.spyOn(ring, 'at');
  const busy = connections / 2;
  const before = 3 * capacity;
  for (let i = 0; i < before; i++) {
    publish(i % connections);
    consume(1);
  }
  for (let i = 0; i < capacity; i++) publish(i % busy);
  for (let slot = 0; slot < connections; slot++) {
    const own = slot + busy * Math.floor((capacity - 1 - slot) / busy);
    expect(drainedAt(slot)).toBe(before + (slot < busy ? own + 1 : 0));
  }
  expect(looks).toHaveBeenCalledTimes(capacity);
});

test('is what looking at every record says, whatever happens', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('publish' as const), which: fc.nat(5) }),
    fc.record({ kind: fc.constant('consume' as const), which: fc.nat(6) }),
    fc.record({ kind: fc.constant('reopen' as const), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('ask' as const), which: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 80 }), (start, steps) => {
      const world = create({ start: start | 0, capacity: 8, slots: 4 });
      const ids = [0, 1, 2, 3];
      let nextId = 4;
      for (const slot of ids) world.open(slot, slot);
      const records: number[] = [];
      let consumed = 0;
      for (const { kind, which } of steps) {
        if (kind === 'publish' && records.length - consumed < 8) {
          // One in six is for a connection that is gone.
          const id = which < 4 ? ids[which] : Math.max(0, nextId - 6);
          records.push(id);
          world.publish(id);
        } else if (kind === 'consume') {
          const count = Math.min(which, records.length - consumed);
          world.consume(count);
          consumed += count;
        } else if (kind === 'reopen') {
          world.end(which);
          ids[which] = nextId;
          world.open(which, nextId++);
        } else if (kind === 'ask') {
          const own = records.lastIndexOf(ids[which]) + 1;
          expect(world.drainedAt(which)).toBe(Math.max(own, consumed));
        }
      }
    }),
    { numRuns: 500 },
  );
});
