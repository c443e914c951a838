import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import type { FaultClient } from '#ackgate/fault-client/index.js';
import type { Stage } from '#ackgate/index.js';
import {
  type ConnectionEnd,
  lengthPrefixProtocol,
  PushDisconnected,
  PushExpired,
  type PushOptions,
  PushTimeout,
  type SupervisorOptions,
} from '#ackgate/supervisor/index.js';
import { checkSupervisorOptions } from '#ackgate/supervisor/options.js';
import { PushSlot } from '#ackgate/supervisor/push-awaiter.js';
import { Supervisor } from '#ackgate/supervisor/supervisor.js';
import { FakeTimers, settled } from './support/fake-timers.js';
import {
  type Live,
  type Outcome,
  outcome,
  PushServer,
  pushErrors,
  readPush,
  replyBody,
} from './support/push-server.js';
import { asSocket, ScriptedSocket, ScriptedStage } from './support/scripted-stage.js';
import { until } from './support/stage.js';

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
        code: 'ERR_ACKGATE_OUT_OF_RANGE',
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

/** A supervisor over a stage that only notes what it is given. */
function scripted(options: Partial<SupervisorOptions> = {}) {
  const stage = new ScriptedStage();
  const timers = new FakeTimers();
  const ends: ConnectionEnd[] = [];
  const service = {
    name: 'watch',
    disconnected: (_: unknown, end: ConnectionEnd) => void ends.push(end),
  };
  const checked = checkSupervisorOptions({
    stage: stage.supervised as Stage,
    onFrame: () => {},
    services: [service],
    ...options,
  });
  const supervisor = new Supervisor({ stage: stage.supervised, timers, stopAccepting: () => {} }, checked);
  const spawn = () => {
    const socket = new ScriptedSocket();
    return { socket, id: supervisor.spawn(asSocket(socket)) };
  };
  return { stage, timers, supervisor, spawn, ends };
}

describe('a push that fails leaves nothing behind', () => {
  const payload = Buffer.from('payload');

  /** Nothing was sent, nothing waits, nothing is counted. */
  function expectNothing({ stage, supervisor, timers }: ReturnType<typeof scripted>): void {
    expect(stage.pushed).toEqual([]);
    expect(timers.pending).toBe(0);
    expect(supervisor.status()).toMatchObject({ pendingPushes: 0, pushes: 0 });
  }

  test.each([
    ['full', 'ERR_ACKGATE_CONTROL_FULL'],
    ['gone', 'ERR_ACKGATE_PUSH_DISCONNECTED'],
    ['oversize', 'ERR_ACKGATE_OUT_OF_RANGE'],
  ] as const)('when the stage says %s', async (refusal, code) => {
    const world = scripted();
    const { id, socket } = world.spawn();
    world.stage.refuse = [refusal];
    expect(() => world.supervisor.push(id, payload, { deadlineMs: 100 })).toThrow(
      expect.objectContaining({ code }),
    );
    expectNothing(world);
    // The connection goes on, and no reply finds what there never was.
    expect(world.supervisor.isTracked(id)).toBe(true);
    socket.frame(replyBody(1, payload));
    expect(world.supervisor.status()).toMatchObject({ replies: 0, repliesIgnored: 1 });
    const awaiter = world.supervisor.push(id, payload);
    socket.frame(replyBody(awaiter.correlationId, Buffer.from('now')));
    expect(await outcome(awaiter.receive(0))).toBe('reply now');
  });

  test('when the connection has ended, never was, or is no number of one', () => {
    const world = scripted();
    const { id } = world.spawn();
    world.supervisor.disconnect(id);
    for (const connectionId of [id, 999, -1, Number.NaN]) {
      expect(() => world.supervisor.push(connectionId, payload)).toThrow(PushDisconnected);
    }
    expectNothing(world);
  });

  test('when the protocol throws', () => {
    const failure = new Error('no body for that');
    const writePush = () => {
      throw failure;
    };
    const world = scripted({ protocol: { ...lengthPrefixProtocol, writePush } });
    const { id } = world.spawn();
    expect(() => world.supervisor.push(id, payload, { deadlineMs: 100 })).toThrow(failure);
    expectNothing(world);
    expect(world.supervisor.isTracked(id)).toBe(true);
  });

  test('when the protocol ends the connection meanwhile', () => {
    const hook = { run: () => {} };
    const writePush: typeof lengthPrefixProtocol.writePush = (correlationId, bytes) => {
      hook.run();
      return lengthPrefixProtocol.writePush(correlationId, bytes);
    };
    const world = scripted({ protocol: { ...lengthPrefixProtocol, writePush } });
    const { id } = world.spawn();
    hook.run = () => void world.supervisor.disconnect(id);
    // A stage that has not heard of it.
    world.stage.push = (connectionId, body) => {
      world.stage.pushed.push({ connectionId, body });
      return true;
    };
    expect(() => world.supervisor.push(id, payload, { deadlineMs: 100 })).toThrow(PushDisconnected);
    expectNothing(world);
    expect(world.ends).toHaveLength(1);
  });

  test('when the stage throws', () => {
    const world = scripted();
    const { id } = world.spawn();
    const failure = new Error('the stage can not');
    world.stage.push = () => {
      throw failure;
    };
    expect(() => world.supervisor.push(id, payload, { deadlineMs: 100 })).toThrow(failure);
    expectNothing(world);
  });

  test.each([-1, Number.NaN, Number.NEGATIVE_INFINITY, '5', '', true, {}, 5n])(
    'with a deadline of %s',
    (deadlineMs) => {
      const world = scripted();
      const { id } = world.spawn();
      const options = { deadlineMs } as PushOptions;
      expect(() => world.supervisor.push(id, payload, options)).toThrow(
        expect.objectContaining({
          code: 'ERR_ACKGATE_OUT_OF_RANGE',
          message: expect.stringContaining('deadlineMs'),
        }),
      );
      expectNothing(world);
      expect(world.supervisor.isTracked(id)).toBe(true);
    },
  );

  test('with anything but bytes, or an option that there is not', () => {
    const world = scripted();
    const { id } = world.spawn();
    for (const wrong of ['text', null, undefined, [1, 2], new ArrayBuffer(4)]) {
      expect(() => world.supervisor.push(id, wrong as unknown as Uint8Array)).toThrow(
        expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
      );
    }
    expect(() => world.supervisor.push(id, payload, { deadlineMS: 5 } as PushOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_UNKNOWN_OPTION' }),
    );
    expectNothing(world);
  });
});

test('a reply that comes while the push is still handed over finds it', async () => {
  const world = scripted();
  const { id, socket } = world.spawn();
  world.stage.push = (_, body) => {
    socket.frame(replyBody(readPush(body).correlationId, Buffer.from('at once')));
    return true;
  };
  const awaiter = world.supervisor.push(id, Buffer.from('?'), { deadlineMs: 100 });
  expect(await outcome(awaiter.receive(0))).toBe('reply at once');
  expect(world.supervisor.status()).toMatchObject({ pushes: 1, replies: 1, pendingPushes: 0 });
  expect(world.timers.pending).toBe(0);
});

test('a service is told of an end when nothing waits on the connection any more', async () => {
  const seen: unknown[] = [];
  const world = scripted({
    services: [
      {
        name: 'order',
        disconnected: ({ id }) => {
          const { pendingPushes, active } = world.supervisor.status();
          seen.push({ tracked: world.supervisor.isTracked(id), pendingPushes, active });
          expect(() => world.supervisor.push(id, Buffer.from('?'))).toThrow(PushDisconnected);
        },
      },
    ],
  });
  const { id, socket } = world.spawn();
  const waiting = outcome(world.supervisor.push(id, Buffer.from('?')).receive());
  socket.reset();
  world.stage.drop(id, 'reset');
  await settled();
  expect(seen).toEqual([{ tracked: false, pendingPushes: 0, active: 0 }]);
  expect(await waiting).toBe('PushDisconnected');
});

describe('the cap of pushes without a reply', () => {
  const payload = Buffer.from('?');

  test('counts those that wait, not those that were decided', async () => {
    const world = scripted({ limits: { pendingPushes: 3 } });
    const { id, socket } = world.spawn();
    const push = (options?: PushOptions) => world.supervisor.push(id, payload, options);
    const replied = push();
    push({ deadlineMs: 10 });
    push().cancel();
    socket.frame(replyBody(replied.correlationId, payload));
    await world.timers.advance(10);
    expect(world.supervisor.status().pendingPushes).toBe(0);
    const waiting = [push(), push(), push()].map((awaiter) => outcome(awaiter.receive()));
    expect(() => push()).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_TOO_MANY_PUSHES' }));
    expect(await Promise.all(waiting)).toEqual(Array(3).fill('PushDisconnected'));
    expect(world.supervisor.status()).toMatchObject({ active: 0, pendingPushes: 0, pushes: 6 });
    expect(world.stage.pushed).toHaveLength(6);
    expect(world.timers.pending).toBe(0);
  });

  test('does not count one whose deadline has passed while its timer is late', () => {
    const world = scripted({ limits: { pendingPushes: 3 } });
    const { id } = world.spawn();
    for (let count = 0; count < 3; count++) world.supervisor.push(id, payload, { deadlineMs: 10 });
    world.timers.jump(10);
    for (let count = 0; count < 3; count++) world.supervisor.push(id, payload, { deadlineMs: 10 });
    expect(world.supervisor.status()).toMatchObject({ active: 1, pendingPushes: 3, pushes: 6 });
    expect(() => world.supervisor.push(id, payload)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_TOO_MANY_PUSHES' }),
    );
  });

  test('is each connection’s own', () => {
    const world = scripted({ limits: { pendingPushes: 1 } });
    const ids = [world.spawn().id, world.spawn().id];
    for (const id of ids) world.supervisor.push(id, payload);
    expect(() => world.supervisor.push(ids[0]!, payload)).toThrow(/1 pushes without a reply/);
    expect(world.supervisor.isTracked(ids[0]!)).toBe(false);
    expect(world.supervisor.isTracked(ids[1]!)).toBe(true);
    expect(world.supervisor.status().pendingPushes).toBe(1);
  });
});

test('correlation ids above 2^32 come back as they went', () => {
  const payload = Buffer.from('payload');
  for (const id of [1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 12345, Number.MAX_SAFE_INTEGER]) {
    const body = lengthPrefixProtocol.writePush(id, payload);
    expect(readPush(body)).toEqual({ correlationId: id, payload: 'payload' });
    expect(lengthPrefixProtocol.readReply(replyBody(id, payload))).toEqual({ correlationId: id, payload });
    // A view into a larger buffer, as the decoder gives them out.
    const inside = Buffer.concat([Buffer.from('xxx'), replyBody(id, payload)]).subarray(3);
    expect(lengthPrefixProtocol.readReply(inside)?.correlationId).toBe(id);
  }
});

/** Generous: nothing here takes long unless it hangs. */
const boundMs = 20_000;

async function nextPush(client: FaultClient): Promise<{ correlationId: number; payload: string }> {
  return readPush(await client.nextFrame(boundMs));
}

describe('over sockets', () => {
  const payload = (word: string) => Buffer.from(word);

  test('a push comes to the client and its reply back, in any order', async () => {
    const { supervisor, connect } = bound(await PushServer.start());
    const { client, id } = await connect();
    const awaiters = ['a', 'b', 'c'].map((word) => supervisor.push(id, payload(word)));
    expect(new Set(awaiters.map(({ correlationId }) => correlationId)).size).toBe(3);
    expect(awaiters.every(({ connectionId }) => connectionId === id)).toBe(true);
    const pushes = [await nextPush(client), await nextPush(client), await nextPush(client)];
    expect(pushes).toEqual(
      awaiters.map(({ correlationId }, index) => ({ correlationId, payload: 'abc'[index] })),
    );
    for (const { correlationId, payload: word } of pushes.reverse()) {
      await client.sendFrame(replyBody(correlationId, payload(`${word}!`)));
    }
    const replies = await Promise.all(awaiters.map((awaiter) => outcome(awaiter.receive(boundMs))));
    expect(replies).toEqual(['reply a!', 'reply b!', 'reply c!']);
    expect(supervisor.status()).toMatchObject({ pushes: 3, replies: 3, repliesIgnored: 0, pendingPushes: 0 });
  });

  test('a slow client is no gone one: the time is over, the push waits on', async () => {
    const { supervisor, connect } = bound(await PushServer.start());
    const { client, id } = await connect();
    const awaiter = supervisor.push(id, payload('slow?'));
    expect(await outcome(awaiter.receive(20))).toBe('PushTimeout');
    expect(await outcome(awaiter.receive(0))).toBe('PushTimeout');
    expect(supervisor.status().pendingPushes).toBe(1);
    const { correlationId } = await nextPush(client);
    await client.sendFrame(replyBody(correlationId, payload('slow')));
    expect(await outcome(awaiter.receive(boundMs))).toBe('reply slow');
  });

  test('a push expires by its own deadline, while the client stays', async () => {
    const { supervisor, connect } = bound(await PushServer.start());
    const { client, id } = await connect();
    const awaiter = supervisor.push(id, payload('in 20 ms'), { deadlineMs: 20 });
    expect(await outcome(awaiter.receive(30_000))).toBe('PushExpired');
    const { correlationId } = await nextPush(client);
    await client.sendFrame(replyBody(correlationId, payload('too late')));
    await until('the reply is ignored', () => supervisor.status().repliesIgnored === 1);
    expect(await outcome(awaiter.receive(0))).toBe('PushExpired');
    expect(supervisor.isTracked(id)).toBe(true);
    expect(supervisor.status()).toMatchObject({ replies: 0, pendingPushes: 0 });
  });

  test('unknown replies, second ones and those to another connection’s push do nothing', async () => {
    const { supervisor, connect } = bound(await PushServer.start());
    const one = await connect();
    const other = await connect();
    const awaiter = supervisor.push(one.id, payload('for one'));
    const { correlationId } = await nextPush(one.client);
    for (const wrong of [0, correlationId + 1, 2 ** 32 + correlationId, Number.MAX_SAFE_INTEGER]) {
      await one.client.sendFrame(replyBody(wrong, payload('unknown')));
    }
    await other.client.sendFrame(replyBody(correlationId, payload('not asked')));
    await until('they are ignored', () => supervisor.status().repliesIgnored === 5);
    expect(await outcome(awaiter.receive(0))).toBe('PushTimeout');
    await one.client.sendFrame(replyBody(correlationId, payload('first')));
    await one.client.sendFrame(replyBody(correlationId, payload('second')));
    await until('the second is ignored', () => supervisor.status().repliesIgnored === 6);
    expect(await outcome(awaiter.receive(0))).toBe('reply first');
    expect(await outcome(awaiter.receive(0))).toBe('ERR_ACKGATE_PUSH_TAKEN');
    expect(supervisor.status()).toMatchObject({ active: 2, replies: 1, pendingPushes: 0 });
  });

  test('closing one connection wakes only its own; another’s gets its exact bytes', async () => {
    const { supervisor, connect } = bound(await PushServer.start());
    const leaving = await connect();
    const staying = await connect();
    const bytes = Uint8Array.from({ length: 10_000 }, (_, at) => (at * 7) & 0xff);
    const lost = supervisor.push(leaving.id, payload('x')).receive(30_000);
    const kept = supervisor.push(staying.id, payload('x'));
    const waiting = kept.receive(30_000);
    let keptSettled = false;
    waiting.finally(() => {
      keptSettled = true;
    });
    await leaving.client.close();
    expect(await outcome(lost)).toBe('PushDisconnected');
    await settled();
    expect(keptSettled).toBe(false);
    expect(supervisor.status().pendingPushes).toBe(1);
    const { correlationId } = await nextPush(staying.client);
    await staying.client.sendFrame(replyBody(correlationId, bytes));
    expect(Buffer.compare(await waiting, bytes)).toBe(0);
  });

  test('a reply that came before the close is delivered after it, once', async () => {
    const { supervisor, connect, ends } = bound(await PushServer.start());
    const { client, id } = await connect();
    const awaiter = supervisor.push(id, payload('x'));
    const { correlationId } = await nextPush(client);
    await client.sendFrame(replyBody(correlationId, payload('last word')));
    await client.end();
    await until('the connection has ended', () => ends.length === 1);
    expect(await outcome(awaiter.receive(0))).toBe('reply last word');
    expect(await outcome(awaiter.receive())).toBe('ERR_ACKGATE_PUSH_TAKEN');
  });

  test('one that is too large is not sent, and the next one is', async () => {
    const { supervisor, stage, connect } = bound(await PushServer.start());
    const { client, id } = await connect();
    const large = new Uint8Array(16 * 1024 * 1024);
    expect(stage.push(id, large)).toBe('oversize');
    expect(() => supervisor.push(id, large)).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_OUT_OF_RANGE',
        message: expect.stringContaining('payload'),
      }),
    );
    expect(supervisor.status()).toMatchObject({ pendingPushes: 0, pushes: 0 });
    const awaiter = supervisor.push(id, payload('small'));
    expect(await nextPush(client)).toEqual({ correlationId: awaiter.correlationId, payload: 'small' });
  });
});

/** What a test takes apart. */
function bound(server: PushServer) {
  const { supervisor, stage, ends } = server;
  return { supervisor, stage, ends, connect: server.connect.bind(server) };
}

describe('whichever way a connection ends, who waits hears of it promptly', () => {
  let server: PushServer;
  /** Connections of which an await was not over in the turn after their end. */
  const late = new Set<number>();
  const waiting = new Set<number>();

  beforeAll(async () => {
    server = await PushServer.open({
      onFrame: (_, body) => {
        if (body[0] === 0x20) throw new Error('a handler that throws');
        if (body[0] === 0x21) return Promise.reject(new Error('a handler that rejects'));
        if (body[0] === 0x22) return new Promise(() => {});
      },
      limits: { inboundBytes: 70_000 },
      services: [
        {
          name: 'promptness',
          // The record is gone and what waited on it was cancelled: it takes promises, and no timer, to say so.
          disconnected: ({ id }) =>
            void setImmediate(() => {
              if (waiting.has(id)) late.add(id);
            }),
        },
      ],
    });
  });
  afterAll(() => server.close());

  const bytes = (...values: number[]) => Uint8Array.from(values);

  /** Where client and stage may be the first to end it, either reason. */
  const ways: [reason: string, how: string, end: (live: Live) => unknown][] = [
    ['end-of-stream', 'the client closes', ({ client }) => client.close()],
    ['end-of-stream', 'the client half-closes', ({ client }) => client.end()],
    ['read-error', 'the client resets', ({ client }) => client.reset()],
    ['client-disconnect', 'the client says so', ({ client }) => client.sendFrame(bytes(0x05, 0))],
    ['malformed-frame', 'an empty frame', ({ client }) => client.emptyFrame()],
    ['malformed-frame', 'a reply without its number', ({ client }) => client.sendFrame(bytes(0x07, 1, 2, 3))],
    ['oversize-frame', 'an oversize frame', ({ client }) => client.oversize(2 ** 31)],
    [
      'truncated-frame',
      'half a frame',
      async ({ client }) => {
        await client.halfFrame(bytes(0x10, 1, 2, 3), 6);
        await client.end();
      },
    ],
    ['handler-failed', 'a handler that throws', ({ client }) => client.sendFrame(bytes(0x20))],
    ['handler-failed', 'a handler that rejects', ({ client }) => client.sendFrame(bytes(0x21))],
    [
      'inbound-full',
      'too much that waits',
      ({ client }) => client.flood({ frames: 20_000, body: bytes(0x22) }),
    ],
    ['server-disconnect', 'disconnect, drained', ({ id }) => server.supervisor.disconnect(id)],
    ['server-disconnect', 'disconnect, now', ({ id }) => server.supervisor.disconnect(id, { when: 'now' })],
    [
      'server-disconnect or end-of-stream',
      'the stage is told to',
      ({ id }) => server.stage.disconnect(id, { when: 'now' }),
    ],
    ['socket-closed', 'its socket is destroyed', ({ socket }) => socket.destroy()],
    ['read-error', 'its socket fails', ({ socket }) => socket.destroy(new Error('failed'))],
    ['force-close', 'force-close', () => server.supervisor.forceClose()],
    [
      'too-many-subscriptions',
      'too many subscriptions',
      ({ id }) => {
        const connection = server.supervisor.connection(id)!;
        expect(() => {
          for (let topic = 0; ; topic++) connection.subscribe(`topic ${topic}`);
        }).toThrow(/subscriptions/);
      },
    ],
    [
      'too-many-pushes',
      'too many pushes',
      ({ id }) => {
        expect(() => {
          for (;;) server.supervisor.push(id, bytes(1));
        }).toThrow(/32 pushes/);
      },
    ],
    [
      'overflow',
      'the stage drops it',
      ({ client, id }) => {
        client.stopReading();
        const body = new Uint8Array(400);
        const more = () => {
          for (let count = 0; count < 200; count++) {
            if (server.stage.push(id, body) === 'gone') return;
          }
          setImmediate(more);
        };
        more();
      },
    ],
  ];

  test.each(ways)('%s: %s', async (reason, _, end) => {
    const live = await server.connect();
    const { id } = live;
    const awaiters = [1, 2].map((value) => server.supervisor.push(id, bytes(value)));
    waiting.add(id);
    const outcomes = Promise.all(awaiters.map((awaiter) => outcome(awaiter.receive(30_000)))).finally(() =>
      waiting.delete(id),
    );
    // Or closing a socket with unread input would be a reset, and a reset might be the stage's to notice.
    for (const _ of awaiters) await nextPush(live.client);
    const start = performance.now();
    await end(live);
    expect(await outcomes).toEqual(['PushDisconnected', 'PushDisconnected']);
    // Of the 30 seconds: they did not run out.
    expect(performance.now() - start).toBeLessThan(boundMs);
    await settled();
    expect(late).toEqual(new Set());
    expect(await outcome(awaiters[0]!.receive())).toBe('PushDisconnected');
    expect(() => server.supervisor.push(id, bytes(1))).toThrow(PushDisconnected);
    const reasons = server.ends.filter((one) => one.id === id).map((one) => one.reason);
    expect(reasons).toHaveLength(1);
    expect(reason.split(' or ')).toContain(reasons[0]);
    expect(server.supervisor.status().pendingPushes).toBe(0);
    await live.client.close();
  });

  test.each([
    ['a shutdown', ({ supervisor }: PushServer) => supervisor.shutdown({ drainMs: 0 })],
    ['the end of the stage', ({ stage }: PushServer) => stage.close({ drainMs: 0 })],
  ])('%s', async (_, end) => {
    const own = await PushServer.start();
    const { id } = await own.connect();
    const waits = outcome(own.supervisor.push(id, bytes(1)).receive(30_000));
    await end(own);
    expect(await waits).toBe('PushDisconnected');
    expect(() => own.supervisor.push(id, bytes(1))).toThrow(PushDisconnected);
    expect(own.supervisor.status().pendingPushes).toBe(0);
    expect(own.ends).toHaveLength(1);
  });
});
