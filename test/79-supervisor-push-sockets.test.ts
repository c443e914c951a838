import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FaultClient } from '#ackgate/fault-client/index.js';
import { PushDisconnected } from '#ackgate/supervisor/index.js';
import { settled } from './support/fake-timers.js';
import { type Live, outcome, PushServer, readPush, replyBody } from './support/push-server.js';
import { until } from './support/stage.js';

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
