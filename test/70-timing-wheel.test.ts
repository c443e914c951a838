import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimingWheel } from '#ackgate/shared/timing-wheel.js';

const ms = 1e6;
const tickNs = 10 * ms;
const startNs = 9_876_543_210_987;

/** A wheel whose times are relative to its start. */
function create(slots: number, buckets?: number) {
  const wheel = new TimingWheel({ slots, startNs, ...(buckets === undefined ? {} : { buckets }) });
  const due = new Int32Array(slots);
  return {
    wheel,
    schedule: (slot: number, at: number) => wheel.schedule(slot, startNs + at),
    defer: (slot: number, at: number) => wheel.defer(slot, startNs + at),
    expire: (now: number, limit = slots) =>
      Array.from(due.subarray(0, wheel.expire(startNs + now, due, limit))),
    next: () => wheel.nextDeadlineNs() - startNs,
  };
}

describe('one item', () => {
  test('comes up at its deadline, once', () => {
    const { wheel, schedule, expire, next } = create(4);
    schedule(2, 25 * ms);
    expect(wheel.isScheduled(2)).toBe(true);
    expect(next()).toBeLessThanOrEqual(25 * ms);
    expect(expire(24.999999 * ms)).toEqual([]);
    expect(next()).toBe(25 * ms);
    expect(expire(25 * ms)).toEqual([2]);
    expect(wheel.isScheduled(2)).toBe(false);
    expect(expire(99 * ms)).toEqual([]);
    expect(next()).toBe(Number.POSITIVE_INFINITY);
  });

  test('deferred, it comes up at the later deadline only', () => {
    const { schedule, defer, expire } = create(1);
    schedule(0, 1000 * ms);
    for (let at = 0; at < 5000; at += 7) {
      expect(expire(at * ms)).toEqual([]);
      defer(0, (at + 1000) * ms);
    }
    expect(expire(5997 * ms)).toEqual([]);
    expect(expire(5998 * ms)).toEqual([0]);
  });

  test('scheduled again, earlier or later, only the last deadline counts', () => {
    const { wheel, schedule, expire } = create(1);
    schedule(0, 500 * ms);
    schedule(0, 100 * ms);
    schedule(0, 300 * ms);
    expect(wheel.size).toBe(1);
    expect(expire(299 * ms)).toEqual([]);
    schedule(0, 299.5 * ms);
    expect(expire(300 * ms)).toEqual([0]);
    expect(wheel.size).toBe(0);
  });

  test('cancelled, it never comes up, and cancelling twice does nothing', () => {
    const { wheel, schedule, defer, expire, next } = create(2);
    schedule(0, 100 * ms);
    wheel.cancel(0);
    wheel.cancel(0);
    wheel.cancel(1);
    defer(0, 200 * ms);
    expect(wheel.size).toBe(0);
    expect(next()).toBe(Number.POSITIVE_INFINITY);
    expect(expire(1000 * ms)).toEqual([]);
  });

  test('the next deadline is told to a tick, whatever was scheduled before', () => {
    const { wheel, schedule, expire, next } = create(3);
    schedule(0, 55 * ms);
    schedule(1, 155 * ms);
    schedule(2, 505 * ms);
    wheel.cancel(0);
    expect(next()).toBe(150 * ms);
    expect(expire(155 * ms)).toEqual([1]);
    expect(next()).toBe(500 * ms);
    expect(expire(500 * ms)).toEqual([]);
    expect(next()).toBe(505 * ms);
  });

  test('after a long jump, what a limit left over is still told to be due', () => {
    const { schedule, expire, next } = create(2);
    // The jump is longer than a turn of 1,024 ticks, and the turn that remains begins at these two.
    for (const slot of [0, 1]) schedule(slot, 977 * tickNs);
    expect(expire(2000 * tickNs, 1)).toEqual([0]);
    expect(next()).toBeLessThanOrEqual(977 * tickNs);
    expect(expire(2000 * tickNs, 1)).toEqual([1]);
  });

  test('overdue when it is scheduled, it comes up at the next call', () => {
    const { schedule, expire, next } = create(1);
    expire(5000 * ms);
    schedule(0, 10 * ms);
    expect(next()).toBeLessThanOrEqual(10 * ms);
    expect(expire(5000 * ms)).toEqual([0]);
  });

  test.each([32, 1024])('further away than %i ticks, it is not early', (buckets) => {
    const { schedule, expire } = create(1, buckets);
    const far = (5 * buckets + 3) * tickNs;
    schedule(0, far);
    for (let at = 0; at < far; at += tickNs / 2) expect(expire(at)).toEqual([]);
    expect(expire(far)).toEqual([0]);
  });

  test('with the deadline Infinity or NaN it never comes up and nothing hangs', () => {
    const { schedule, expire } = create(3, 32);
    schedule(0, Number.POSITIVE_INFINITY);
    schedule(1, Number.NaN);
    schedule(2, 700 * ms);
    for (let at = 0; at < 700; at++) expect(expire(at * ms)).toEqual([]);
    expect(expire(700 * ms)).toEqual([2]);
    expect(expire(1e9 * ms)).toEqual([]);
  });
});

describe('many items', () => {
  test('a jump of an hour, of two months: all that is due, nothing else, and it returns', () => {
    for (const jump of [3600e9, 60 * 24 * 3600e9]) {
      const { schedule, defer, expire, next } = create(1000);
      for (let slot = 0; slot < 1000; slot++) schedule(slot, slot * 20 * ms);
      for (let slot = 0; slot < 1000; slot += 2) defer(slot, jump + 1000 + slot * tickNs);
      const odd = Array.from({ length: 500 }, (_, index) => 2 * index + 1);
      expect(expire(jump).sort((a, b) => a - b)).toEqual(odd);
      expect(next()).toBeLessThanOrEqual(jump + 1000);
      expect(next()).toBeGreaterThan(jump);
      expect(expire(jump + 999)).toEqual([]);
      expect(expire(jump + 1000)).toEqual([0]);
      expect(expire(jump + 3600e9)).toHaveLength(499);
    }
  });

  test('one call takes no more than its limit; the rest follows at once', () => {
    const { wheel, schedule, expire, next } = create(32_768);
    for (let slot = 0; slot < 32_768; slot++) schedule(slot, 1000 * ms + (slot % 100) * tickNs);
    const seen = new Set<number>();
    for (let call = 0; call < 32; call++) {
      expect(next()).toBeLessThanOrEqual(2000 * ms);
      const due = expire(2000 * ms, 1024);
      expect(due).toHaveLength(1024);
      for (const slot of due) seen.add(slot);
    }
    expect(seen.size).toBe(32_768);
    expect(wheel.size).toBe(0);
    expect(expire(2000 * ms)).toEqual([]);
    expect(next()).toBe(Number.POSITIVE_INFINITY);
  });

  test('a limit of 0 takes nothing and loses nothing', () => {
    const { schedule, expire, next } = create(1);
    schedule(0, tickNs);
    expect(expire(10 * tickNs, 0)).toEqual([]);
    expect(next()).toBeLessThanOrEqual(tickNs);
    expect(expire(10 * tickNs, 1)).toEqual([0]);
  });

  test('heartbeats of 32,768 connections: each once per interval', () => {
    const { schedule, expire } = create(32_768);
    const interval = 1000 * ms;
    const beats = new Int32Array(32_768);
    for (let slot = 0; slot < beats.length; slot++)
      schedule(slot, interval + (slot * interval) / beats.length);
    for (let at = 0; at < 10_000 * ms; at += tickNs) {
      for (const slot of expire(at)) {
        beats[slot]++;
        schedule(slot, at + interval);
      }
    }
    // The first beat comes after one to two intervals.
    expect(Math.min(...beats)).toBe(8);
    expect(Math.max(...beats)).toBe(9);
  });
});

type Step =
  | { kind: 'schedule' | 'defer'; slot: number; inNs: number }
  | { kind: 'cancel'; slot: number }
  | { kind: 'expire'; afterNs: number; limit: number }
  | { kind: 'sleep' };

const slots = 24;
const slot = fc.nat({ max: slots - 1 });
const distance = fc.oneof(
  fc.integer({ min: -3 * tickNs, max: 3 * tickNs }),
  fc.nat({ max: 40 }).map((ticks) => ticks * tickNs),
  fc.nat({ max: 200 * tickNs }),
);
const pause = fc.oneof(
  fc.nat({ max: tickNs }),
  fc.nat({ max: 5 * tickNs }),
  fc.nat({ max: 100 }).map((ticks) => ticks * tickNs),
  // At most 3e15 in one course: below 2^53, where nanoseconds are exact.
  fc.nat({ max: 2e13 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('schedule' as const), slot, inNs: distance }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('defer' as const), slot, inNs: fc.nat({ max: 100 * tickNs }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), slot }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('expire' as const),
      afterNs: pause,
      limit: fc.oneof(fc.constant(slots), fc.nat({ max: 3 })),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'sleep' as const }) },
);

test.each([32, 64])('any course of events with %i buckets: the same as a list of deadlines', (buckets) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const { wheel, schedule, defer, expire, next } = create(slots, buckets);
      const deadlines = new Map<number, number>();
      let now = 0;

      const expireNow = (limit: number) => {
        const due = [...deadlines].filter(([, deadline]) => deadline <= now).map(([item]) => item);
        const taken = expire(now, limit);
        expect(taken).toHaveLength(Math.min(limit, due.length));
        expect(new Set(taken).size).toBe(taken.length);
        expect(due).toEqual(expect.arrayContaining(taken));
        for (const item of taken) deadlines.delete(item);
        // Nothing due is left: a sleep until the next deadline makes headway.
        if (due.length <= limit) expect(next()).toBeGreaterThan(now);
      };

      for (const event of steps) {
        switch (event.kind) {
          case 'schedule':
            schedule(event.slot, now + event.inNs);
            deadlines.set(event.slot, now + event.inNs);
            break;
          case 'defer': {
            const later = Math.max(now, deadlines.get(event.slot) ?? 0) + event.inNs;
            defer(event.slot, later);
            if (deadlines.has(event.slot)) deadlines.set(event.slot, later);
            break;
          }
          case 'cancel':
            wheel.cancel(event.slot);
            deadlines.delete(event.slot);
            break;
          case 'expire':
            now += event.afterNs;
            expireNow(event.limit);
            break;
          case 'sleep':
            if (deadlines.size === 0) break;
            now = Math.max(now, next());
            expireNow(slots);
        }
        expect(wheel.size).toBe(deadlines.size);
        expect(next()).toBeLessThanOrEqual(Math.min(...deadlines.values()));
      }
      for (let item = 0; item < slots; item++) expect(wheel.isScheduled(item)).toBe(deadlines.has(item));
    }),
    { numRuns: 1000 },
  );
});

test('turning allocates nothing', () => {
  const program = fileURLToPath(new URL('fixtures/allocations.mjs', import.meta.url));
  const args = ['--max-semi-space-size=1', program, 'turning'];
  expect(Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toBeLessThan(10);
});

test.each([
  { slots: 0 },
  { slots: 1.5 },
  { slots: 2 ** 25 },
  { startNs: Number.NaN },
  { tickNs: 0 },
  { buckets: 33 },
  { buckets: 16 },
  { buckets: 2 ** 17 },
])('refuses %o', (wrong) => {
  expect(() => new TimingWheel({ slots: 1, startNs: 0, ...wrong })).toThrow(
    expect.objectContaining({
      code: 'ERR_ACKGATE_OUT_OF_RANGE',
      message: expect.stringContaining(Object.keys(wrong)[0]),
    }),
  );
});
