import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DegradationFields, DegradationLogger } from '#ackgate/gate/degradation-logger.js';
import type { Logger } from '#ackgate/shared/logger.js';
import { silentLogger } from '#ackgate/shared/logger.js';

const second = 1e9;
const ms = 1e6;
const startNs = 123_456_789_012_345;

interface Line {
  level: 'warn' | 'info';
  at: number;
}

/** A degradation logger on a clock that the test turns; times in and out are relative to the start. */
function create() {
  const lines: Line[] = [];
  let described = 0;
  let at = 0;
  const fields: DegradationFields = {
    policy: 'persisted>=2',
    mode: 'durably-replicated',
    connectedNodes: 1,
    neededNodes: 2,
    clause: 'persisted>=2',
  };
  const write = (level: Line['level']) => (logged: object, message: string) => {
    expect(logged).toBe(fields);
    expect(message).toMatch(/durability policy/);
    lines.push({ level, at });
  };
  const unexpected = () => expect.unreachable();
  const logger: Logger = { warn: write('warn'), info: write('info'), debug: unexpected, error: unexpected };
  const machine = new DegradationLogger(logger, () => {
    described++;
    return fields;
  });
  return {
    machine,
    lines,
    described: () => described,
    tick(degraded: boolean, atNs: number) {
      at = atNs;
      machine.tick(degraded, startNs + atNs);
      if (machine.policyDegraded !== degraded) expect.unreachable('the gauge lags');
    },
    reseed(degraded: boolean, atNs: number) {
      at = atNs;
      machine.reseed(degraded, startNs + atNs);
      if (machine.policyDegraded !== degraded) expect.unreachable('the gauge lags');
    },
    nextDeadline: () => machine.nextDeadlineNs - startNs,
  };
}

describe('transitions', () => {
  test('starting met logs nothing', () => {
    const { tick, lines, nextDeadline } = create();
    tick(false, 0);
    tick(false, 100 * second);
    expect(lines).toEqual([]);
    expect(nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('starting degraded warns at once and counts as logged', () => {
    const { tick, lines, nextDeadline } = create();
    tick(true, 0);
    expect(lines).toEqual([{ level: 'warn', at: 0 }]);
    expect(nextDeadline()).toBe(5 * second);
    tick(true, 2 * second);
    expect(lines).toHaveLength(1);
  });

  test('are logged when they have held for a second, not a nanosecond earlier', () => {
    const { tick, lines, nextDeadline } = create();
    tick(false, 0);
    tick(true, 10);
    expect(nextDeadline()).toBe(second + 10);
    tick(true, second + 9);
    expect(lines).toEqual([]);
    tick(true, second + 10);
    expect(lines).toEqual([{ level: 'warn', at: second + 10 }]);
    tick(false, 2 * second);
    tick(false, 3 * second - 1);
    expect(lines).toHaveLength(1);
    tick(false, 3 * second);
    expect(lines[1]).toEqual({ level: 'info', at: 3 * second });
    expect(nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('a flapping replica makes no noise: the hold restarts on every flip', () => {
    const { tick, lines, described } = create();
    tick(false, 0);
    let at = 0;
    for (let flip = 0; flip < 1000; flip++) {
      at += 999 * ms;
      tick(flip % 2 === 0, at);
    }
    expect(lines).toEqual([]);
    expect(described()).toBe(0);
  });

  test('a state that is left again before its hold is over leaves the log as it was', () => {
    const { tick, lines, nextDeadline } = create();
    tick(true, 0);
    tick(false, second);
    tick(true, 1.5 * second);
    expect(nextDeadline()).toBe(5 * second);
    tick(true, 4 * second);
    expect(lines).toEqual([{ level: 'warn', at: 0 }]);
  });
});

describe('reminders', () => {
  test('come every five seconds while degraded and logged', () => {
    const { tick, lines } = create();
    tick(false, 0);
    for (let at = 0; at <= 20 * second; at += 10 * ms) tick(at >= second, at);
    expect(lines.map((line) => line.at / second)).toEqual([2, 7, 12, 17]);
    expect(lines.every((line) => line.level === 'warn')).toBe(true);
  });

  test('after a long gap there is one, not one per interval missed', () => {
    const { tick, lines, nextDeadline } = create();
    tick(true, 0);
    tick(true, 61 * second);
    expect(lines.map((line) => line.at / second)).toEqual([0, 61]);
    expect(nextDeadline()).toBe(66 * second);
  });

  test('wait while the state is met, though not for long enough to be logged', () => {
    const { tick, lines } = create();
    tick(true, 0);
    tick(false, 4.5 * second);
    tick(false, 5.4 * second);
    expect(lines).toHaveLength(1);
    tick(true, 5.45 * second);
    expect(lines.map((line) => line.at / second)).toEqual([0, 5.45]);
  });
});

describe('a mode change', () => {
  test('that is degraded before and after logs nothing and keeps the reminders going', () => {
    const { tick, reseed, lines, nextDeadline } = create();
    tick(true, 0);
    reseed(true, 3 * second);
    expect(nextDeadline()).toBe(5 * second);
    tick(true, 5 * second);
    expect(lines.map((line) => line.at / second)).toEqual([0, 5]);
  });

  test('into degraded warns at once, out of it informs at once', () => {
    const { tick, reseed, lines, nextDeadline } = create();
    tick(false, 0);
    reseed(true, second);
    expect(nextDeadline()).toBe(6 * second);
    reseed(false, 1.1 * second);
    reseed(false, 1.2 * second);
    expect(nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(lines).toEqual([
      { level: 'warn', at: second },
      { level: 'info', at: 1.1 * second },
    ]);
  });

  test('keeps a running hold: what is not logged yet is not lost', () => {
    const { tick, reseed, lines } = create();
    tick(false, 0);
    tick(true, second);
    reseed(true, 1.5 * second);
    expect(lines).toEqual([]);
    tick(true, 2 * second);
    expect(lines).toEqual([{ level: 'warn', at: 2 * second }]);
  });

  test('back to what the log says already adds nothing', () => {
    const { tick, reseed, lines } = create();
    tick(true, 0);
    tick(false, second);
    reseed(true, 1.5 * second);
    expect(lines).toHaveLength(1);
  });

  test('may come first', () => {
    const { reseed, lines } = create();
    reseed(true, 0);
    expect(lines).toEqual([{ level: 'warn', at: 0 }]);
  });
});

describe('the time spent degraded', () => {
  test('an interval belongs to the earlier state, also at a mode change', () => {
    const { machine, tick, reseed } = create();
    expect(machine.degradedNanosAt(startNs)).toBe(0);
    tick(true, 0);
    tick(true, 7);
    expect(machine.policyDegradedNanos).toBe(7);
    expect(machine.degradedNanosAt(startNs + 9)).toBe(9);
    tick(false, 10);
    tick(true, 100);
    expect(machine.policyDegradedNanos).toBe(10);
    reseed(false, 111);
    expect(machine.policyDegradedNanos).toBe(21);
    reseed(true, 200);
    reseed(true, 203);
    expect(machine.policyDegradedNanos).toBe(24);
    tick(false, 204);
    expect(machine.degradedNanosAt(startNs + 999)).toBe(25);
  });

  test('never shrinks when the clock is read out of order', () => {
    const { machine, tick } = create();
    tick(true, 100);
    tick(true, 50);
    tick(true, 110);
    expect(machine.policyDegradedNanos).toBe(10);
  });
});

test('a logger that throws is not asked again for the same line', () => {
  let calls = 0;
  const fail = () => {
    calls++;
    throw new Error('disk full');
  };
  const machine = new DegradationLogger({ ...silentLogger, warn: fail }, () => ({}) as DegradationFields);
  expect(() => machine.tick(true, 0)).toThrow('disk full');
  machine.tick(true, second);
  expect(calls).toBe(1);
  expect(machine.policyDegradedNanos).toBe(second);
});

interface Event {
  afterMs: number;
  degraded: boolean;
  modeChange: boolean;
}
const events: fc.Arbitrary<Event[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 1100 }), fc.nat({ max: 12_000 }), fc.constant(1000)),
    degraded: fc.boolean(),
    modeChange: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.boolean()),
  }),
  { minLength: 1, maxLength: 40 },
);

/** What must have been logged, told from the whole history each time. */
function model(history: { at: number; degraded: boolean; modeChange: boolean }[]) {
  const lines: Line[] = [];
  let degradedNanos = 0;
  history.forEach(({ at, degraded, modeChange }, now) => {
    const before = history[now - 1];
    if (before?.degraded) degradedNanos += at - before.at;
    const sameFrom = history.findLastIndex((entry, index) => index <= now && entry.degraded !== degraded) + 1;
    const heldFor = at - history[sameFrom].at;
    const last = lines.at(-1);
    const logSaysDegraded = last?.level === 'warn';

    if (degraded !== logSaysDegraded) {
      const atOnce = before === undefined || (modeChange && before.degraded !== degraded);
      if (atOnce || heldFor >= second) lines.push({ level: degraded ? 'warn' : 'info', at });
    } else if (degraded && !modeChange && last !== undefined && at - last.at >= 5 * second) {
      lines.push({ level: 'warn', at });
    }
  });
  return { lines, degradedNanos };
}

test('any history: the lines and the time that the model says', () => {
  fc.assert(
    fc.property(events, (list) => {
      const { machine, tick, reseed, lines } = create();
      let at = 0;
      const history = list.map((event, index) => {
        at += event.afterMs * ms;
        // Every mode change is followed by a tick at the same time, as in the stage's round.
        return { ...event, at, modeChange: event.modeChange && index > 0 };
      });
      const steps = history.flatMap((entry) =>
        entry.modeChange ? [entry, { ...entry, modeChange: false }] : [entry],
      );
      for (const step of steps) (step.modeChange ? reseed : tick)(step.degraded, step.at);
      const expected = model(steps);
      expect(lines).toEqual(expected.lines);
      expect(machine.policyDegradedNanos).toBe(expected.degradedNanos);
    }),
    { numRuns: 2000 },
  );
});

test('waking at the deadlines logs the same as ticking all the time', () => {
  const step = 10 * ms;
  fc.assert(
    fc.property(events, (list) => {
      const dense = create();
      const parked = create();
      dense.tick(false, 0);
      parked.tick(false, 0);
      let at = 0;
      let state = false;
      for (const { afterMs, degraded, modeChange } of [
        ...list,
        { afterMs: 11_000, degraded: false, modeChange: false },
      ]) {
        const until = at + Math.ceil(afterMs / 10) * step;
        for (at += step; at < until; at += ms) dense.tick(state, at);
        for (let next = parked.nextDeadline(); next < until; next = parked.nextDeadline())
          parked.tick(state, next);
        at = until;
        state = degraded;
        for (const one of [dense, parked]) {
          if (modeChange) one.reseed(state, at);
          one.tick(state, at);
        }
      }
      expect(parked.lines).toEqual(dense.lines);
      expect(parked.machine.policyDegradedNanos).toBe(dense.machine.policyDegradedNanos);
    }),
    { numRuns: 50 },
  );
});
