import { describe, expect, test } from 'vitest';
import { FlushCadence } from '#ackgate/egress/flush-cadence.js';

const limits = { bytes: 1400, records: 256, delayNs: 200_000 };

describe('a flush is due', () => {
  test('with the bytes that wait on one connection', () => {
    const cadence = new FlushCadence(limits);
    cadence.note(1399, 0);
    cadence.note(1399, 0);
    expect(cadence.due(0)).toBe(false);
    cadence.note(1400, 0);
    expect(cadence.due(0)).toBe(true);
  });

  test('with the number of records since the last flush, over all connections', () => {
    const cadence = new FlushCadence(limits);
    for (let i = 0; i < 255; i++) cadence.note(10, 0);
    expect(cadence.due(0)).toBe(false);
    cadence.note(10, 0);
    expect(cadence.due(0)).toBe(true);
  });

  test('with the age of the oldest byte, not of the last', () => {
    const cadence = new FlushCadence(limits);
    cadence.note(10, 1000);
    cadence.note(10, 150_000);
    expect(cadence.due(200_999)).toBe(false);
    expect(cadence.due(201_000)).toBe(true);
  });

  test('never with nothing appended', () => {
    const cadence = new FlushCadence(limits);
    expect(cadence.due(1e18)).toBe(false);
  });
});

test('a flush starts all three anew', () => {
  const cadence = new FlushCadence(limits);
  for (let i = 0; i < 255; i++) cadence.note(10, 0);
  cadence.note(5000, 0);
  cadence.flushed();
  expect(cadence.due(1e9)).toBe(false);
  cadence.note(10, 1e9);
  expect(cadence.due(1e9 + 199_999)).toBe(false);
  expect(cadence.due(1e9 + 200_000)).toBe(true);
});

test('it stays due until the flush', () => {
  const cadence = new FlushCadence(limits);
  cadence.note(2000, 0);
  cadence.note(10, 0);
  expect(cadence.due(0)).toBe(true);
});

test('limits of 1 and 0 flush after every record', () => {
  for (const each of [
    { ...limits, bytes: 1 },
    { ...limits, records: 1 },
    { ...limits, delayNs: 0 },
  ]) {
    const cadence = new FlushCadence(each);
    expect(cadence.due(5)).toBe(false);
    cadence.note(1, 5);
    expect(cadence.due(5)).toBe(true);
  }
});
