import { describe, expect, test } from 'vitest';
import type { Stage } from '#ackgate/index.js';
import {
  type ConnectionEnd,
  lengthPrefixProtocol,
  PushDisconnected,
  type PushOptions,
  type SupervisorOptions,
} from '#ackgate/supervisor/index.js';
import { checkSupervisorOptions } from '#ackgate/supervisor/options.js';
import { Supervisor } from '#ackgate/supervisor/supervisor.js';
import { FakeTimers, settled } from './support/fake-timers.js';
import { outcome, readPush, replyBody } from './support/push-server.js';
import { asSocket, ScriptedSocket, ScriptedStage } from './support/scripted-stage.js';

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
          code: `ERR_ACKGATE_${typeof deadlineMs === 'number' ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT'}`,
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
