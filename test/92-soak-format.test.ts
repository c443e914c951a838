import { expect, test } from 'vitest';
import { bytes, bytesBeside, count, duration, ms, percent, perHour } from '#ackgate/soak/format.js';

const MiB = 1024 * 1024;
const unknowns = [null, Number.NaN, Number.POSITIVE_INFINITY];

test.each<[number, string]>([
  [0, '0.0 MiB'],
  [64, '64 B'],
  [1024, '1.0 KiB'],
  [MiB / 10, '0.1 MiB'],
  [15.24 * MiB, '15.2 MiB'],
  [-3 * MiB, '-3.0 MiB'],
  [2048 * MiB, '2,048.0 MiB'],
])('%s bytes are %s', (value, text) => {
  expect(bytes(value)).toBe(text);
});

test('a size is exact beside a limit that reads the same', () => {
  expect(bytesBeside(16 * MiB + 1, 16 * MiB)).toBe('16.0 MiB (16,777,217 bytes)');
  expect(bytesBeside(16 * MiB, 16 * MiB)).toBe('16.0 MiB');
  expect(bytesBeside(17 * MiB, 16 * MiB)).toBe('17.0 MiB');
});

test('slopes, times, shares and counts have their units', () => {
  expect(perHour(15.2 * MiB, 'bytes')).toBe('15.2 MiB/h');
  expect(perHour(-0.01 * MiB, 'bytes')).toBe('0.0 MiB/h');
  expect(perHour(1.5, 'count')).toBe('1.5/h');
  expect([0.424, 12.34, 1234.4].map(ms)).toEqual(['0.42 ms', '12.3 ms', '1,234 ms']);
  expect(percent(0.123)).toBe('12.3 %');
  expect(percent(0.99895, 3)).toBe('99.895 %');
  expect(count(1_234_567)).toBe('1,234,567');
  expect(count(2.345)).toMatch(/^2\.3[45]$/);
});

test.each<[number, string]>([
  [0, '0.00 ms'],
  [500, '500 ms'],
  [1500, '1.5 s'],
  [45_000, '45 s'],
  [90_000, '1 min 30 s'],
  [600_000, '10 min'],
  [599_990, '10 min'],
  [3_599_900, '1 h'],
  [5_400_000, '1 h 30 min'],
  [86_400_000, '1 d'],
  [86_399_000, '1 d'],
  [183_600_000, '2 d 3 h'],
])('%s ms last %s', (value, text) => {
  expect(duration(value)).toBe(text);
});

test('what is no number is unknown', () => {
  for (const value of unknowns) {
    const texts = [bytes(value), count(value), ms(value), percent(value), duration(value)];
    expect(new Set([...texts, perHour(value, 'bytes')])).toEqual(new Set(['unknown']));
  }
});
