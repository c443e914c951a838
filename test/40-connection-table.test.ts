import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConnectionTable, SlotState } from '#ackgate/egress/connection-table.js';

/** Ids in all the ways that applications make them; the last two hash badly on purpose. */
const id = fc.oneof(
  fc.nat(20),
  fc.maxSafeNat(),
  fc.nat(50).map((n) => n * 2 ** 32),
  fc.nat(50).map((n) => n * 2 ** 32 + n),
);

interface Model {
  slotOf: Map<number, number>;
  closing: Map<number, number>;
  generation: number[];
}

/** Compares everything that the table shows with the model. */
function compare(table: ConnectionTable, model: Model, absent: number[]): void {
  expect(table.count).toBe(model.slotOf.size + model.closing.size);
  for (const [connection, slot] of model.slotOf) {
    expect(table.find(connection)).toBe(slot);
    expect(table.id[slot]).toBe(connection);
    expect(table.state[slot]).toBe(SlotState.open);
  }
  for (const [slot, connection] of model.closing) {
    expect(table.state[slot]).toBe(SlotState.closing);
    expect(table.id[slot]).toBe(connection);
  }
  for (const connection of absent) if (!model.slotOf.has(connection)) expect(table.find(connection)).toBe(-1);
  expect(Array.from(table.generation)).toEqual(model.generation);
}

test('any history finds what a Map finds', () => {
  const step = fc.record({ open: fc.boolean(), id, pick: fc.nat(), free: fc.boolean() });
  const property = fc.property(
    fc.integer({ min: 1, max: 12 }),
    fc.array(step, { maxLength: 100 }),
    (slots, steps) => {
      const table = new ConnectionTable(slots);
      const model: Model = { slotOf: new Map(), closing: new Map(), generation: new Array(slots).fill(0) };
      const seen: number[] = [];
      for (const { open, id: connection, pick, free } of steps) {
        const slot = table.state.indexOf(SlotState.free);
        if (open && slot >= 0 && !model.slotOf.has(connection)) {
          table.open(slot, connection);
          model.slotOf.set(connection, slot);
          model.generation[slot]!++;
          seen.push(connection);
        } else if (free && model.closing.size > 0) {
          const [freed] = [...model.closing.keys()];
          table.free(freed!);
          model.closing.delete(freed!);
          expect(table.state[freed!]).toBe(SlotState.free);
        } else if (model.slotOf.size > 0) {
          const [gone, at] = [...model.slotOf][pick % model.slotOf.size]!;
          table.close(at);
          model.slotOf.delete(gone);
          model.closing.set(at, gone);
        }
        compare(table, model, seen);
      }
    },
  );
  fc.assert(property, { numRuns: 300 });
});

describe('clusters', () => {
  test.each([
    ['consecutive', (n: number) => n],
    ['apart by 2^32', (n: number) => n * 2 ** 32],
    ['apart by a power of two', (n: number) => n * 4096],
    ['halves alike, so that they cancel out', (n: number) => n * 2 ** 32 + n],
    ['at the end of what a number holds', (n: number) => Number.MAX_SAFE_INTEGER - n],
  ])('ids that are %s are found, in a full table, while others go', (_, idOf) => {
    const slots = 512;
    const table = new ConnectionTable(slots);
    for (let n = 0; n < slots; n++) table.open(n, idOf(n));
    // Out of the middle of the runs.
    for (let n = 0; n < slots; n += 3) table.close(n);
    for (let n = 0; n < slots; n++) expect(table.find(idOf(n))).toBe(n % 3 === 0 ? -1 : n);
    for (let n = 0; n < slots; n += 3) {
      table.free(n);
      table.open(n, idOf(n + slots));
    }
    for (let n = 0; n < slots; n++) expect(table.find(idOf(n % 3 === 0 ? n + slots : n))).toBe(n);
    expect(table.count).toBe(slots);
  });
});

test('an id that is closing may be open again in another slot', () => {
  const table = new ConnectionTable(2);
  table.open(0, 9);
  table.close(0);
  table.open(1, 9);
  expect(table.find(9)).toBe(1);
  table.free(0);
  expect(table.find(9)).toBe(1);
});

test('the generation goes from its largest value to 0, never below', () => {
  const table = new ConnectionTable(1);
  table.generation[0] = 0x7fffffff;
  table.open(0, 1);
  expect(table.generation[0]).toBe(0);
});

test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
  'an id that no one has: %s',
  (absent) => {
    const table = new ConnectionTable(4);
    table.open(0, 1);
    expect(table.find(absent)).toBe(-1);
  },
);
