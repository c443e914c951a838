import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { PushDisconnected, PushExpired, PushTimeout } from '#ackgate/supervisor/index.js';
import { PushSlot } from '#ackgate/supervisor/push-awaiter.js';
import { FakeTimers } from './support/fake-timers.js';
import { type Outcome, outcome, pushErrors } from './support/push-server.js';

describe('the three errors', () => {
  const errors = [new PushTimeout(5), new PushDisconnected(7), new PushExpired(9)];
  const classes = Object.values(pushErrors);

  test('are told apart by instanceof, and are all errors of the package', () => {
    for (const [index, error] of errors.entries()) {
      expect(classes.map((errorClass) => error instanceof errorClass)).toEqual(
        classes.map((_, other) => other === index),
      );
      expect(error).toBeInstanceOf(AckgateError);
      expect(error).toBeInstanceOf(Error);
    }
    expect(new Set(errors.map(({ code }) => code)).size).toBe(3);
  });

  test('have no other error for an instance, nor anything else', () => {
    const others = [
      new AckgateError('ERR_ACKGATE_PUSH_TAKEN', 'another one'),
      new Error('not of the package'),
      { code: 'ERR_ACKGATE_PUSH_TIMEOUT' },
      null,
      undefined,
      'ERR_ACKGATE_PUSH_TIMEOUT',
    ];
    for (const errorClass of classes) {
      expect(others.filter((value) => (value as unknown) instanceof errorClass)).toEqual([]);
    }
  });

  test('also hold for the errors of another copy of the package', () => {
    const copy = Object.defineProperty(new Error('as another copy makes it'), Symbol.for('ackgate.error'), {
      value: true,
    });
    Object.assign(copy, { code: 'ERR_ACKGATE_PUSH_EXPIRED' });
    expect(classes.filter((errorClass) => copy instanceof errorClass)).toEqual([PushExpired]);
  });
});

describe('one push, on a clock that the test moves', () => {
  function create(deadlineMs: number | null = null) {
    const timers = new FakeTimers();
    let decided = 0;
    const slot = new PushSlot(timers, {
      correlationId: 1,
      connectionId: 4,
      deadlineMs,
      onDecided: () => void decided++,
    });
    return { timers, slot, decided: () => decided };
  }

  test('a time-out keeps it: the reply comes to a later call', async () => {
    const { timers, slot, decided } = create();
    const first = outcome(slot.receive(100));
    await timers.advance(100);
    expect(await first).toBe('PushTimeout');
    expect(decided()).toBe(0);
    const second = outcome(slot.receive(100));
    await timers.advance(50);
    expect(slot.reply(Buffer.from('late but in time'))).toBe(true);
    expect(await second).toBe('reply late but in time');
    expect(decided()).toBe(1);
    expect(timers.pending).toBe(0);
  });

  test('an end of the connection wakes the wait at once, and every later one', async () => {
    const { timers, slot } = create(60_000);
    const waiting = [outcome(slot.receive(30_000)), outcome(slot.receive())];
    await timers.advance(5);
    slot.disconnect();
    expect(await Promise.all(waiting)).toEqual(['PushDisconnected', 'PushDisconnected']);
    expect(timers.now()).toBe(5);
    expect(timers.pending).toBe(0);
    expect(await outcome(slot.receive())).toBe('PushDisconnected');
    await timers.advance(100_000);
    expect(await outcome(slot.receive(0))).toBe('PushDisconnected');
  });

  test('its deadline frees it, for good', async () => {
    const { timers, slot, decided } = create(100);
    const waiting = outcome(slot.receive());
    await timers.advance(99);
    expect(slot.state).toBe('pending');
    await timers.advance(1);
    expect(await waiting).toBe('PushExpired');
    expect(decided()).toBe(1);
    expect(slot.reply(Buffer.from('too late'))).toBe(false);
    slot.disconnect();
    slot.cancel();
    expect(await outcome(slot.receive())).toBe('PushExpired');
    expect(decided()).toBe(1);
    expect(timers.pending).toBe(0);
  });

  test('its deadline passes with nobody waiting', async () => {
    const { timers, decided } = create(100);
    await timers.advance(100);
    expect(decided()).toBe(1);
    expect(timers.pending).toBe(0);
  });

  test('a reply that is there beats the deadline, however late it is asked for', async () => {
    const { timers, slot } = create(100);
    await timers.advance(99);
    expect(slot.reply(Buffer.from('there'))).toBe(true);
    expect(timers.pending).toBe(0);
    await timers.advance(1000);
    slot.disconnect();
    expect(await outcome(slot.receive(0))).toBe('reply there');
  });

  test('after the deadline a reply does nothing, also while the timer of the deadline is late', async () => {
    const { timers, slot, decided } = create(100);
    const waiting = outcome(slot.receive(10_000));
    await timers.advance(10);
    timers.jump(90);
    expect(slot.reply(Buffer.from('on the deadline'))).toBe(false);
    expect(await waiting).toBe('PushExpired');
    expect(decided()).toBe(1);
    expect(timers.pending).toBe(0);
  });

  test('after the deadline an end of the connection does nothing either', async () => {
    const { timers, slot } = create(100);
    timers.jump(100);
    slot.disconnect();
    expect(await outcome(slot.receive(0))).toBe('PushExpired');
    expect(timers.pending).toBe(0);
  });

  test('a timer that is early decides nothing', async () => {
    const timers = new FakeTimers();
    let early = 0;
    const hasty = {
      now: () => timers.now(),
      // Whole milliseconds below what was asked for, as from a clock of another resolution.
      after: (ms: number, call: () => void) => timers.after(early++ < 3 ? ms / 2 : ms, call),
      soon: (call: () => void) => timers.soon(call),
    };
    const slot = new PushSlot(hasty, {
      correlationId: 1,
      connectionId: 1,
      deadlineMs: 80,
      onDecided: () => {},
    });
    await timers.advance(79);
    expect(slot.state).toBe('pending');
    await timers.advance(1);
    expect(timers.pending).toBe(0);
    expect(slot.state).toBe('expired');
  });

  test('the reply is delivered once', async () => {
    const { slot } = create();
    slot.reply(Buffer.from('once'));
    expect(await outcome(slot.receive())).toBe('reply once');
    expect(await outcome(slot.receive())).toBe('ERR_ACKGATE_PUSH_TAKEN');
    slot.disconnect();
    expect(await outcome(slot.receive(0))).toBe('ERR_ACKGATE_PUSH_TAKEN');
  });

  test('of several who wait, exactly one gets the reply', async () => {
    const { timers, slot } = create();
    const waiting = [slot.receive(), slot.receive(50), slot.receive()].map(outcome);
    slot.reply(Buffer.from('for one'));
    slot.reply(Buffer.from('a second one'));
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((one) => one === 'reply for one')).toHaveLength(1);
    expect(outcomes.filter((one) => one === 'ERR_ACKGATE_PUSH_TAKEN')).toHaveLength(2);
    expect(timers.pending).toBe(0);
  });

  test('who gives up waits no longer, and a reply that still comes is thrown away', async () => {
    const { timers, slot, decided } = create(1000);
    const waiting = outcome(slot.receive());
    slot.cancel();
    slot.cancel();
    expect(await waiting).toBe('ERR_ACKGATE_PUSH_TAKEN');
    expect(slot.reply(Buffer.from('nobody waits'))).toBe(false);
    slot.disconnect();
    expect(await outcome(slot.receive(0))).toBe('ERR_ACKGATE_PUSH_TAKEN');
    expect(decided()).toBe(1);
    expect(timers.pending).toBe(0);
  });

  test('giving up after the reply does nothing', async () => {
    const { slot } = create();
    slot.reply(Buffer.from('there'));
    slot.cancel();
    expect(await outcome(slot.receive())).toBe('reply there');
  });

  test('waiting no time at all only looks', async () => {
    const { timers, slot } = create();
    expect(await outcome(slot.receive(0))).toBe('PushTimeout');
    expect(timers.pending).toBe(0);
    slot.reply(Buffer.from(''));
    expect(await outcome(slot.receive(0))).toBe('reply ');
  });

  test('without a time it waits until the push is decided', async () => {
    const { timers, slot } = create();
    const waiting = outcome(slot.receive());
    await timers.advance(1e10);
    expect(timers.pending).toBe(0);
    slot.reply(Buffer.from('at last'));
    expect(await waiting).toBe('reply at last');
  });

  test.each([-1, Number.NaN, Number.NEGATIVE_INFINITY, '5', null, {}, 5n])(
    'a time of %s is refused, and changes nothing',
    async (timeoutMs) => {
      const { timers, slot } = create();
      await expect(slot.receive(timeoutMs as number)).rejects.toMatchObject({
        code: `ERR_ACKGATE_${typeof timeoutMs === 'number' ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT'}`,
        message: expect.stringContaining('timeoutMs'),
      });
      expect(timers.pending).toBe(0);
      slot.reply(Buffer.from('still there'));
      expect(await outcome(slot.receive(0))).toBe('reply still there');
    },
  );

  test('a deadline of no time at all has passed', async () => {
    const { timers, slot } = create(0);
    expect(slot.reply(Buffer.from('no chance'))).toBe(false);
    expect(await outcome(slot.receive())).toBe('PushExpired');
    expect(timers.pending).toBe(0);
  });

  test('a deadline that never comes is none', async () => {
    const { timers, slot } = create(Number.POSITIVE_INFINITY);
    expect(timers.pending).toBe(0);
    const waiting = outcome(slot.receive(1e9));
    await timers.advance(1e9);
    expect(await waiting).toBe('PushTimeout');
    slot.reply(Buffer.from('x'));
    expect(await outcome(slot.receive())).toBe('reply x');
  });
});

describe('polling in small quanta equals one long wait', () => {
  /** When what happens to a push; in quarters of a millisecond, which add up exactly. */
  interface Schedule {
    reply: number | null;
    disconnect: number | null;
    deadline: number | null;
    total: number;
    quanta: number[];
  }

  const quarter = 0.25;

  async function run(schedule: Schedule, quanta: number[]): Promise<{ outcome: Outcome; at: number }> {
    const timers = new FakeTimers();
    const { reply, disconnect, deadline, total } = schedule;
    const deadlineMs = deadline === null ? null : deadline * quarter;
    const slot = new PushSlot(timers, { correlationId: 1, connectionId: 1, deadlineMs, onDecided: () => {} });
    if (reply !== null) timers.after(reply * quarter, () => void slot.reply(Buffer.from('answer')));
    if (disconnect !== null) timers.after(disconnect * quarter, () => slot.disconnect());
    const waiting = (async () => {
      let last: Outcome = 'PushTimeout';
      for (const ms of quanta) {
        last = await outcome(slot.receive(ms));
        if (last !== 'PushTimeout') break;
      }
      return { outcome: last, at: timers.now() };
    })();
    await timers.advance(total * quarter + 10);
    return waiting;
  }

  /** Sizes that add up to the whole; some are 0, which only looks. */
  function cutInto(total: number, places: number[]): number[] {
    const ends = places.map((place) => place % (total + 1)).sort((a, b) => a - b);
    return [...ends, total].map((end, index) => (end - (ends[index - 1] ?? 0)) * quarter);
  }

  const whole = fc.integer({ min: 1, max: 400 });
  const maybe = fc.option(whole, { nil: null });

  async function compare(schedule: Omit<Schedule, 'quanta'>, places: number[]): Promise<Outcome> {
    const { reply, disconnect, deadline, total } = schedule;
    const quanta = cutInto(total, places);
    const polled = await run({ ...schedule, quanta }, quanta);
    const long = await run({ ...schedule, quanta }, [total * quarter]);
    expect(polled).toEqual(long);
    // And both are what the schedule says: the first of what happens, the deadline before the time-out.
    const events: [number | null, Outcome][] = [
      [deadline, 'PushExpired'],
      [reply, 'reply answer'],
      [disconnect, 'PushDisconnected'],
      [total, 'PushTimeout'],
    ];
    const [at, expected] = events
      .filter((event): event is [number, Outcome] => event[0] !== null)
      .reduce((first, event) => (event[0] < first[0] ? event : first));
    expect(long).toEqual({ outcome: expected, at: at * quarter });
    return expected;
  }

  test('whatever happens when', async () => {
    const seen = new Map<Outcome, number>();
    await fc.assert(
      fc.asyncProperty(
        maybe,
        maybe,
        maybe,
        whole,
        fc.array(fc.nat(400), { maxLength: 30 }),
        async (reply, disconnect, deadline, total, places) => {
          const instants = [reply, disconnect, deadline, total].filter((at) => at !== null);
          fc.pre(new Set(instants).size === instants.length);
          const result = await compare({ reply, disconnect, deadline, total }, places);
          seen.set(result, (seen.get(result) ?? 0) + 1);
        },
      ),
      { numRuns: 600 },
    );
    // Every outcome was among them.
    expect(seen.size).toBe(4);
  });

  test('a deadline that is the end of the time, too', async () => {
    await fc.assert(
      fc.asyncProperty(
        whole,
        maybe,
        fc.array(fc.nat(400), { maxLength: 30 }),
        async (total, reply, places) => {
          fc.pre(reply !== total);
          await compare({ reply, disconnect: null, deadline: total, total }, places);
        },
      ),
      { numRuns: 200 },
    );
  });
});
