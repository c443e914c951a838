import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bytes, copyBytes } from '#ackgate/shared/bytes.js';

const room = 256;
const guard = 0xa5;
const numbered = () => new Uint8Array(new SharedArrayBuffer(room)).map((_, i) => i * 7 + 1);

test('any length, from anywhere to anywhere: the bytes and no others', () => {
  const place = fc.nat(64);
  const property = fc.property(place, place, fc.nat(room - 64), (at, from, length) => {
    const source = numbered();
    const target = new Uint8Array(new SharedArrayBuffer(room)).fill(guard);
    copyBytes(new Bytes(target), at, new Bytes(source), from, length);
    const expected = new Uint8Array(room).fill(guard);
    expected.set(source.subarray(from, from + length), at);
    expect([...target]).toEqual([...expected]);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('views that begin inside their memory', () => {
  const source = numbered().subarray(3, 100);
  const memory = new Uint8Array(room).fill(guard);
  copyBytes(new Bytes(memory.subarray(13)), 2, new Bytes(source), 5, 37);
  expect([...memory.subarray(15, 52)]).toEqual([...source.subarray(5, 42)]);
  expect(memory[14]).toBe(guard);
  expect(memory[52]).toBe(guard);
});
