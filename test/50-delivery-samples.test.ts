import { describe, expect, test } from 'vitest';
import { DeliverySamples } from '#ackgate/egress/delivery-samples.js';

/** Samples of two connections, with room for four; the test says what was sent. */
function create(pool = 4) {
  const sent = new Float64Array(2);
  const recorded: number[] = [];
  const clock = { now: 0 };
  const samples = new DeliverySamples(
    2,
    pool,
    () => sent,
    (nowNs, receivedNs, entry) => recorded.push(nowNs - receivedNs, ...(entry > 0 ? [entry] : [])),
    () => clock.now,
  );
  return {
    samples,
    deliver(slot: number, total: number, nowNs: number) {
      sent[slot] = total;
      clock.now = nowNs;
      samples.delivered(slot);
      return recorded.splice(0);
    },
  };
}

describe('a sample', () => {
  test('is closed when the kernel has the last byte of its answer, not before (M30)', () => {
    const { samples, deliver } = create();
    samples.add(0, 1000, 0, 50);
    expect(deliver(0, 49, 1500)).toEqual([]);
    expect(deliver(0, 50, 1700)).toEqual([700]);
    expect(deliver(0, 99, 1900)).toEqual([]);
  });

  test('several are closed by one send, in stream order, and one by a part of it', () => {
    const { samples, deliver } = create();
    samples.add(0, 100, 0, 10);
    samples.add(0, 110, 0, 20);
    samples.add(0, 120, 0, 30);
    expect(deliver(0, 25, 200)).toEqual([100, 90]);
    expect(deliver(0, 30, 300)).toEqual([180]);
  });

  test('brings the number under which its record was taken down', () => {
    const { samples, deliver } = create();
    samples.add(0, 100, 7, 10);
    samples.add(0, 110, 0, 20);
    expect(deliver(0, 20, 200)).toEqual([100, 7, 90]);
  });

  test('belongs to its connection', () => {
    const { samples, deliver } = create();
    samples.add(0, 100, 0, 10);
    samples.add(1, 150, 0, 10);
    expect(deliver(1, 10, 200)).toEqual([50]);
    expect(deliver(0, 10, 200)).toEqual([100]);
  });

  test('of a connection that is dropped unsent is discarded', () => {
    const { samples, deliver } = create();
    samples.add(0, 100, 0, 10);
    samples.add(0, 100, 0, 20);
    samples.add(1, 100, 0, 10);
    samples.discarded(0);
    samples.discarded(0);
    expect(deliver(0, 99, 200)).toEqual([]);
    expect(deliver(1, 10, 300)).toEqual([200]);
  });
});

test('the pool has a limit: what does not fit is counted, and places come back', () => {
  const { samples, deliver } = create(2);
  for (let round = 0; round < 3; round++) {
    for (let i = 1; i <= 3; i++) samples.add(i % 2, 0, 0, i);
    expect(samples.dropped).toBe(round + 1);
    expect(deliver(1, 3, 10)).toEqual([10]);
    if (round % 2 === 0) expect(deliver(0, 3, 10)).toEqual([10]);
    else samples.discarded(0);
  }
});
