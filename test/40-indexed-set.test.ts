import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IndexedSet } from '#ackgate/egress/indexed-set.js';

const slots = 6;

test('any history holds what a Set holds', () => {
  const step = fc.record({ what: fc.constantFrom('add', 'add', 'delete', 'clear'), slot: fc.nat(slots - 1) });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const set = new IndexedSet(slots);
    const model = new Set<number>();
    for (const { what, slot } of steps) {
      if (what === 'add') set.add(slot);
      else if (what === 'delete') set.delete(slot);
      else set.clear();
      if (what === 'add') model.add(slot);
      else if (what === 'delete') model.delete(slot);
      else model.clear();
      expect(set.size).toBe(model.size);
      expect(new Set(set.items.subarray(0, set.size))).toEqual(model);
      for (let one = 0; one < slots; one++) expect(set.has(one)).toBe(model.has(one));
    }
  });
  fc.assert(property);
});

test('going through it backwards, members may leave on the way', () => {
  const set = new IndexedSet(slots);
  for (let slot = 0; slot < slots; slot++) set.add(slot);
  const seen: number[] = [];
  for (let i = set.size - 1; i >= 0; i--) {
    const slot = set.items[i]!;
    seen.push(slot);
    if (slot % 2 === 0) set.delete(slot);
  }
  expect(seen.sort()).toEqual([0, 1, 2, 3, 4, 5]);
  expect(set.size).toBe(3);
});
