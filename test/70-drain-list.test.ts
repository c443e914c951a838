import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { CloseHow, sendBufferBytes } from '#ackgate/egress/sender.js';
import { lengthPrefixFraming } from '#ackgate/encode/framing.js';
import { DrainList } from '#ackgate/stage/drain-list.js';
import { createEgress } from './support/egress.js';
import { bytesOf } from './support/values.js';

const { ECONNRESET } = constants.errno;

function create() {
  const list = new DrainList(4);
  // As in the stage: whoever begins to close leaves the list.
  const one = createEgress(4, 64, (slot) => list.remove(slot));
  one.sender.answer = ({ bytes }) => bytes.length;
  for (let slot = 0; slot < 3; slot++) one.connect(slot);
  return { ...one, list, closed: () => one.sender.closes.map(({ slot }) => slot) };
}

test.each([0, 2 ** 31 - 3, -3])(
  'ends a connection once the ring is consumed up to its last record (%d)',
  (place) => {
    const { list, egress, closed, sender } = create();
    const after = (records: number) => (place + records) | 0;
    list.add(1, after(9), after(5), null);
    list.add(2, after(7), after(7), null);
    for (const records of [0, 4]) expect(list.sweep(after(records), egress, 1)).toBe(0);
    expect(list.sweep(after(5), egress, 1)).toBe(1);
    expect(closed()).toEqual([1]);
    expect(list.sweep(after(9), egress, 1)).toBe(1);
    expect(sender.closes).toEqual([1, 2].map((slot) => ({ slot, how: CloseHow.orderly })));
    expect(list.size).toBe(0);
  },
);

test('waits for the last byte, and for the farewell behind it', () => {
  const { list, egress, closed, sender } = create();
  const farewell = lengthPrefixFraming.disconnect(9);
  egress.appendBytes(0, bytesOf(10), 1);
  list.add(0, 0, 0, farewell);
  expect(list.sweep(0, egress, 50)).toBe(1);
  // It counts as an append: no heartbeat is due behind the last frame.
  expect(egress.lastAppendNs[0]).toBe(50);
  expect(list.sweep(0, egress, 51)).toBe(0);
  egress.flush(52);
  expect(list.sweep(0, egress, 53)).toBe(1);
  expect(closed()).toEqual([0]);
  expect(sender.received.get(0)).toEqual(Buffer.concat([bytesOf(10), farewell]));
});

test('says farewell once, however often it is asked to', () => {
  const { list, egress, sender } = create();
  const farewell = lengthPrefixFraming.disconnect(9);
  list.add(0, 0, 0, farewell);
  list.add(0, 99, 99, farewell);
  list.sweep(0, egress, 1);
  list.add(0, 0, 0, farewell);
  egress.flush(2);
  list.sweep(0, egress, 3);
  expect(sender.received.get(0)).toEqual(Buffer.from(farewell));
});

test('forgets a connection that ended otherwise', () => {
  const { list, egress, closed, letGo } = create();
  list.add(0, 5, 5, lengthPrefixFraming.disconnect(1));
  egress.drop(0, 1, 0);
  letGo(0);
  list.remove(0);
  egress.open(0, 200, 9, 1);
  expect(list.sweep(9, egress, 2)).toBe(0);
  expect(closed()).toEqual([0]);
  // Its next connection has no farewell left over.
  list.add(0, 9, 9, null);
  list.sweep(9, egress, 3);
  expect(egress.counters.bytesAppended).toBe(0);
});

test.each([0, 2 ** 31 - 1])('a record is past its place or not, also where the count wraps (%d)', (place) => {
  const { list } = create();
  list.add(1, place, (place - 5) | 0, null);
  expect(list.isPast(1, (place - 1) | 0)).toBe(false);
  expect(list.isPast(1, place)).toBe(true);
  expect(list.isPast(1, (place + 1) | 0)).toBe(true);
  expect(list.isPast(2, (place + 1) | 0)).toBe(false);
  expect(list.isPast(-1, place)).toBe(false);
});

test('a farewell that finds no room may end others of the list: nothing is appended for those', () => {
  const { list, egress, sender, letGo } = create();
  sender.answer = () => undefined;
  const farewell = lengthPrefixFraming.disconnect(9);
  for (const slot of [0, 1, 2]) list.add(slot, 0, 0, farewell);
  egress.appendBytes(1, bytesOf(100), 1);
  egress.appendBytes(2, bytesOf(sendBufferBytes), 1);
  egress.flush(1);
  // Looking for room finds that both peers have gone.
  for (const slot of [2, 1]) sender.complete(slot, -ECONNRESET);
  list.sweep(0, egress, 2);
  expect([...egress.appendedTotal.subarray(0, 3)]).toEqual([farewell.length, 100, sendBufferBytes]);
  for (const slot of [2, 1]) letGo(slot);
  expect(egress.dirty.has(1)).toBe(false);
});
