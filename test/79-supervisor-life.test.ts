import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Tag as ControlTag, realBackends, until } from './support/stage.js';
import {
  answers,
  framed,
  gate,
  range,
  reasons,
  reply,
  request,
  requests,
  requestTag,
  Site,
  seqOf,
} from './support/supervisor.js';

const leave = Uint8Array.of(ControlTag.disconnect);
const connected = (site: Site) => site.told.filter(({ what }) => what === 'connected').map(({ id }) => id);
const disconnected = (site: Site) =>
  site.told.filter(({ what }) => what === 'disconnected').map(({ id }) => id);

describe('spawning', () => {
  it('is done when spawn returns: tracked, counted, live, and told to the services', async () => {
    const site = await Site.start();
    site.server.removeAllListeners('connection');
    const far = connect(site.port, '127.0.0.1');
    const [near] = await once(site.server, 'connection');
    const id = site.supervisor.spawn(near);
    expect(site.supervisor.isTracked(id)).toBe(true);
    expect(site.supervisor.activeCount()).toBe(1);
    expect(site.supervisor.connection(id)?.state).toBe('live');
    expect(site.supervisor.connections().map((one) => one.id)).toEqual([id]);
    expect(site.told).toEqual([{ what: 'connected', id, tracked: true, pendingPushes: 0 }]);
    far.destroy();
    await site.untilEnded(id);
  });

  it('says spawning inside onConnection or connected at the earliest, live after, and never goes back', async () => {
    const states: string[] = [];
    const site = await Site.start({
      onConnection: (connection) => {
        states.push(connection.state);
        return null;
      },
      services: [
        {
          name: 'watcher',
          connected: ({ state }) => states.push(state),
          disconnected: ({ state }) => states.push(state),
        },
      ],
    });
    const { client, connection } = await site.visit();
    expect(connection.state).toBe('live');
    await client.close();
    await site.untilEnded(connection.id);
    expect(connection.state).toBe('finished');
    expect(states).toEqual([states[0], 'live', 'finished']);
    expect(['spawning', 'live']).toContain(states[0]);
  });

  it('gives two connections two ids, and an id never again', async () => {
    const site = await Site.start();
    const ids: number[] = [];
    for (let round = 0; round < 10; round++) {
      const two = await Promise.all([site.visit(), site.visit()]);
      ids.push(...two.map(({ id }) => id));
      await Promise.all(two.map(({ client }) => client.close()));
      // The slots of the stage are free again, and are taken again.
      await site.untilAttached(0);
    }
    expect(new Set(ids).size).toBe(20);
    expect(site.supervisor.activeCount()).toBe(0);
  });

  it('refuses an id that is in use or was used; the connection that has it answers on, byte for byte', async () => {
    const site = await Site.start();
    const { client, id } = await site.visit();
    await site.ask(client, 1);
    site.server.removeAllListeners('connection');
    const take = async (connectionId: number) => {
      const far = connect(site.port, '127.0.0.1');
      const closed = once(far, 'close');
      const [near] = await once(site.server, 'connection');
      try {
        return site.supervisor.spawn(near, { connectionId });
      } finally {
        await closed;
      }
    };
    await expect(take(id)).rejects.toMatchObject({ code: 'ERR_ACKGATE_CONNECTION_ID_IN_USE' });
    await site.ask(client, 2);
    await client.close();
    await site.untilAttached(0);
    await expect(take(id)).rejects.toMatchObject({ code: 'ERR_ACKGATE_CONNECTION_ID_USED' });
    expect(site.supervisor.status()).toMatchObject({ active: 0, attached: 0, spawned: 1 });
    expect(site.supervisor.status().refused['connection-id']).toBe(2);
    expect(connected(site)).toEqual([id]);
    expect(disconnected(site)).toEqual([id]);
  });

  it('refuses a socket that it has already, which goes on', async () => {
    const site = await Site.start({ limits: { connections: 2 } });
    const { client, socket } = await site.visit();
    expect(() => site.supervisor.spawn(socket)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_SOCKET_ATTACHED' }),
    );
    await site.ask(client, 1);
    const second = await site.visit();
    // At the cap a refusal would tell it and close it.
    expect(() => site.supervisor.spawn(socket)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_TOO_MANY_CONNECTIONS' }),
    );
    await site.ask(client, 2);
    await site.ask(second.client, 3);
    expect(reasons(client)).toEqual([]);
  });

  it('reads a socket that its server had paused', async () => {
    const site = await Site.start({ server: { pauseOnConnect: true } });
    const { client } = await site.visit();
    await site.ask(client, 1);
  });

  it('turns away what is no connected socket any more', async () => {
    const site = await Site.start();
    const { socket, client } = await site.visit();
    await client.close();
    await until('it is destroyed', () => socket.destroyed);
    expect(() => site.supervisor.spawn(socket)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_SOCKET_DESTROYED' }),
    );
    expect(site.supervisor.status().refused.unattachable).toBe(1);
    await site.ask((await site.visit()).client, 1);
  });
});

describe.each(realBackends)('an end, with %s,', (backend) => {
  it('comes with the end of the stream, after every answer', async () => {
    const site = await Site.start({ backend });
    const { client, id } = await site.visit({ allowHalfOpen: true });
    await client.send(requests(1, 5));
    await client.end();
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual(range(1, 5));
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'end-of-stream' });
    await site.untilAttached(0);
  });

  it('comes with a disconnect frame of the client, after every answer; nothing behind it is handled', async () => {
    const site = await Site.start({ backend });
    const { client, id } = await site.visit();
    await client.send(Buffer.concat([requests(1, 3), framed(leave), requests(4, 1)]));
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1, 2, 3]);
    expect(reasons(client)).toEqual([]);
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'client-disconnect' });
    expect(site.supervisor.status().requests).toBe(3);
  });

  it.each(['drained', 'now'] as const)(
    'comes when the server says so (%s), with its reason',
    async (when) => {
      const site = await Site.start({ backend });
      const [one, other] = [await site.visit(), await site.visit()];
      await site.ask(one.client, 1);
      expect(one.connection.disconnect({ when, reason: 77 })).toBe(true);
      expect(site.supervisor.isTracked(one.id)).toBe(false);
      expect(one.connection.disconnect({ when, reason: 78 })).toBe(false);
      expect(site.supervisor.disconnect(one.id)).toBe(false);
      expect(await one.client.ended).toBe('end');
      expect(reasons(one.client)).toEqual([77]);
      expect(await site.untilEnded(one.id)).toMatchObject({
        outcome: 'finished',
        reason: 'server-disconnect',
      });
      await site.untilAttached(1);
      await site.ask(other.client, 2);
      expect(site.endsOf(one.id)).toHaveLength(1);
      expect(site.supervisor.status().ended['server-disconnect']).toBe(1);
    },
  );

  it('comes with socket.destroy()', async () => {
    const site = await Site.start({ backend });
    const { client, id, socket } = await site.visit();
    socket.destroy();
    expect(['end', 'reset']).toContain(await client.ended);
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'socket-closed' });
    await site.untilAttached(0);
  });

  it('comes with a reset, in the middle of a frame too', async () => {
    const site = await Site.start({ backend });
    for (const bytes of [Buffer.alloc(0), requests(1, 1), requests(1, 1).subarray(0, 7)]) {
      const { client, id } = await site.visit();
      await client.resetAfter(bytes, bytes.length, 20);
      const end = await site.untilEnded(id);
      // Whoever of Node and the stage sees it first, and Node may see an end of stream before it.
      expect([
        'crashed read-error',
        'dropped reset',
        'finished end-of-stream',
        'crashed truncated-frame',
      ]).toContain(`${end.outcome} ${end.reason}`);
      await site.untilAttached(0);
    }
    expect(disconnected(site)).toEqual(connected(site));
  });

  it('comes when the stage drops it for a send buffer that overflows', async () => {
    const site = await Site.start({ backend, stage: { kernelSendBufferBytes: 16_384 } });
    const victim = await site.visit({ receive: 'never' });
    const other = await site.visit();
    let seq = 0;
    while (site.endsOf(victim.id).length === 0) {
      for (let i = 0; i < 100; i++) await reply(site.stage, victim, ++seq, { bytes: 440 });
      await site.ask(other.client, seq);
    }
    expect(await site.untilEnded(victim.id)).toMatchObject({ outcome: 'dropped', reason: 'overflow' });
    await site.untilAttached(1);
    await site.ask(other.client, 1);
    expect(site.supervisor.status().ended.overflow).toBe(1);
  });

  it('comes when the stage drops one that reads nothing', async () => {
    const site = await Site.start({
      backend,
      stage: { kernelSendBufferBytes: 16_384, blockedTimeoutMs: 60 },
    });
    const victim = await site.visit({ receive: 'never' });
    const other = await site.visit();
    const waiting = () => {
      const { bytesAppended, bytesSent } = site.stage.status();
      return bytesAppended - bytesSent;
    };
    for (let seq = 1; site.endsOf(victim.id).length === 0; seq++) {
      // Little enough not to overflow the buffer once the kernel takes nothing more.
      for (let i = 0; i < 20 && waiting() < 30_000; i++) await reply(site.stage, victim, seq, { bytes: 440 });
      await site.ask(other.client, seq);
    }
    expect(await site.untilEnded(victim.id)).toMatchObject({ outcome: 'dropped', reason: 'blocked' });
    await site.ask(other.client, 1);
  });

  it('comes when the stage is told beside the supervisor, once', async () => {
    const site = await Site.start({ backend });
    const [drained, now] = [await site.visit(), await site.visit()];
    site.stage.disconnect(drained.id);
    site.stage.disconnect(now.id, { when: 'now' });
    // Or the client has answered the end with one of its own, which was seen first.
    for (const { id } of [drained, now]) {
      const { outcome, reason } = await site.untilEnded(id);
      expect(['finished server-disconnect', 'finished end-of-stream']).toContain(`${outcome} ${reason}`);
    }
    await site.untilAttached(0);
  });

  it('comes to all of them when the stage is closed beside the supervisor', async () => {
    const site = await Site.start({ backend });
    const visitors = [await site.visit(), await site.visit()];
    await site.stage.close({ drainMs: 0 });
    for (const { id } of visitors) expect((await site.untilEnded(id)).outcome).not.toBe('crashed');
    expect(site.supervisor.status()).toMatchObject({ active: 0, attached: 0 });
    // A server that goes on without its stage turns everybody away.
    const late = await site.connect();
    expect(['end', 'reset']).toContain(await late.ended);
    await site.supervisor.shutdown();
  });

  it('comes with an error of its own, and its reason reaches the client behind the answers', async () => {
    const site = await Site.start({ backend });
    const { client, id } = await site.visit();
    await client.send(Buffer.concat([requests(1, 2), Buffer.alloc(4)]));
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1, 2]);
    expect(reasons(client)).toEqual([3]);
    expect(client.frames.at(-1)?.[0]).toBe(ControlTag.disconnect);
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'crashed', reason: 'malformed-frame' });
    expect(site.logged('connection crashed')[0].fields).toMatchObject({
      connectionId: id,
      reason: 'malformed-frame',
      remoteAddress: '127.0.0.1',
    });
  });
});

describe('the removal', () => {
  it('is first of the record, then of what waits on it, then told to the services', async () => {
    const order: string[] = [];
    const site = await Site.start({
      services: [
        {
          name: 'watcher',
          disconnected: ({ id }) => {
            const { pendingPushes } = site.supervisor.status();
            order.push(`services: tracked ${site.supervisor.isTracked(id)}, pushes ${pendingPushes}`);
            expect(() => site.supervisor.push(id, Uint8Array.of(1))).toThrow(
              expect.objectContaining({ code: 'ERR_ACKGATE_PUSH_DISCONNECTED' }),
            );
          },
        },
      ],
    });
    const { client, id, connection } = await site.visit();
    const awaiter = connection.push(Uint8Array.of(1));
    const woken = awaiter.receive(30_000).catch((error: Error & { code: string }) => {
      order.push(`awaiter: ${error.code}`);
    });
    expect(site.supervisor.status().pendingPushes).toBe(1);
    await client.close();
    await woken;
    await site.untilEnded(id);
    // The slot is decided before the services are called; a promise's continuation can only run after them.
    expect(order).toEqual(['services: tracked false, pushes 0', 'awaiter: ERR_ACKGATE_PUSH_DISCONNECTED']);
    expect(site.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('is done once, whatever ends a connection at the same time', async () => {
    const site = await Site.start();
    const { client, id, connection, socket } = await site.visit();
    await client.sendFrame(leave);
    connection.disconnect({ when: 'now', reason: 70 });
    socket.destroy();
    site.stage.disconnect(id, { when: 'now' });
    site.supervisor.forceClose();
    await client.reset();
    await site.untilAttached(0);
    const end = await site.untilEnded(id);
    expect(end.reason).toBe('server-disconnect');
    const { ended } = site.supervisor.status();
    expect(Object.values(ended).reduce((sum, count) => sum + count)).toBe(1);
    expect(connected(site)).toEqual(disconnected(site));
  });

  it('of one of two leaves the other one live', async () => {
    const site = await Site.start();
    const [one, two] = [await site.visit(), await site.visit()];
    await site.ask(two.client, 1);
    await one.client.reset();
    await site.untilEnded(one.id);
    expect(site.supervisor.isTracked(two.id)).toBe(true);
    expect(two.connection.state).toBe('live');
    await site.ask(two.client, 2);
    expect(site.supervisor.activeCount()).toBe(1);
  });
});

describe('a half-closed connection', () => {
  it.each([1, 4])('gets every answer that it has coming, then the end (handling %i)', async (handling) => {
    const gates = new Map<number, ReturnType<typeof gate>>();
    const site = await Site.start({
      limits: { handling },
      onFrame: async (connection, body) => {
        const seq = seqOf(body);
        if (seq % 2 === 1) {
          const one = gate();
          gates.set(seq, one);
          await one.promise;
        }
        await reply(site.stage, connection, seq);
      },
    });
    const { client, id, connection } = await site.visit({ allowHalfOpen: true });
    await client.send(requests(1, 8));
    await client.end();
    await site.untilEnded(id);
    expect(connection.state).toBe('finished');
    expect(client.ending).toBeUndefined();
    for (const seq of [1, 3, 5, 7]) {
      await until(`request ${seq} is handled`, () => gates.has(seq));
      expect(client.ending).toBeUndefined();
      gates.get(seq)?.open();
    }
    expect(await client.ended).toBe('end');
    expect(answers(client).sort((a, b) => a - b)).toEqual(range(1, 8));
    if (handling === 1) expect(answers(client)).toEqual(range(1, 8));
    await site.untilAttached(0);
  });

  it('has its frames handled before the end that comes with them', async () => {
    const site = await Site.start();
    const { client, id } = await site.visit({ allowHalfOpen: true });
    // More than are taken in one turn: the end waits for them.
    await client.send(requests(1, 200));
    await client.end();
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual(range(1, 200));
    expect(await site.untilEnded(id)).toMatchObject({ reason: 'end-of-stream' });
  });

  it('crashes when its last frame is not whole', async () => {
    const site = await Site.start();
    const { client, id } = await site.visit({ allowHalfOpen: true });
    await client.send(requests(1, 2).subarray(0, -1));
    await client.end();
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1]);
    expect(reasons(client)).toEqual([5]);
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'crashed', reason: 'truncated-frame' });
  });

  it('whose client goes away for good gives its permit back, though a handler never settles', async () => {
    const site = await Site.start({
      onFrame: () => new Promise(() => {}),
      stage: { heartbeatIntervalMs: 20 },
    });
    const { client, id } = await site.visit();
    await client.sendFrame(request(1));
    await until('it is handled', () => site.supervisor.status().handling === 1);
    await client.close();
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished' });
    // By what is sent to nobody: the heartbeats.
    await site.untilAttached(0);
  });
});

describe('services', () => {
  const bad = (name: string, fails: () => unknown) => ({
    name,
    connected: fails as () => void,
    disconnected: fails as () => void,
  });

  it('that throw or reject harm nobody', async () => {
    const site = await Site.start({
      services: [
        bad('throws', () => {
          throw new Error('thrown');
        }),
        bad('throws nothing', () => {
          throw undefined;
        }),
        bad('rejects', () => Promise.reject(new Error('rejected'))),
        { ...bad('counts', () => {}), connected: () => void calls++, disconnected: () => void calls++ },
      ],
    });
    let calls = 0;
    const { client, id } = await site.visit();
    await site.ask(client, 1);
    await client.close();
    await site.untilEnded(id);
    await site.ask((await site.visit()).client, 1);
    expect(calls).toBe(3);
    const failed = site.logged('service failed').map(({ fields }) => fields.service);
    expect(failed.filter((name) => name === 'throws')).toHaveLength(3);
    expect(failed.filter((name) => name === 'throws nothing')).toHaveLength(3);
    expect(failed.filter((name) => name === 'rejects')).toHaveLength(3);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('not you');
      },
    ],
    ['rejects', () => Promise.reject(new Error('not you'))],
  ] as const)('do not hear of a connection whose onConnection %s, or hear of both ends', async (_, fails) => {
    let failing = true;
    const site = await Site.start({ onConnection: () => (failing ? fails() : null) });
    const client = await site.connect();
    expect(await client.ended).toBe('end');
    expect(reasons(client)).toEqual([9]);
    expect(connected(site)).toEqual(disconnected(site));
    await site.untilAttached(0);
    expect(site.supervisor.status().ended['handler-failed']).toBe(1);
    failing = false;
    await site.ask((await site.visit()).client, 1);
  });

  it('are told of beginning and end in pairs, also when one ends the connection inside connected', async () => {
    const calls: string[] = [];
    const site = await Site.start({
      services: [
        {
          name: 'doorman',
          connected: (connection) => {
            calls.push('doorman in');
            if (closed) connection.disconnect({ reason: 90 });
          },
          disconnected: () => calls.push('doorman out'),
        },
        {
          name: 'behind it',
          connected: () => calls.push('behind in'),
          disconnected: () => calls.push('behind out'),
        },
      ],
    });
    let closed = true;
    const client = await site.connect();
    expect(await client.ended).toBe('end');
    expect(reasons(client)).toEqual([90]);
    expect(calls).toEqual(['doorman in', 'doorman out']);
    expect(connected(site)).toEqual(disconnected(site));
    closed = false;
    const { client: second, id } = await site.visit();
    await second.close();
    await site.untilEnded(id);
    expect(calls.slice(2)).toEqual(['doorman in', 'behind in', 'doorman out', 'behind out']);
  });

  it('and onConnection can give a connection its data, which requests find', async () => {
    const found: unknown[] = [];
    const site = await Site.start({
      onConnection: ({ id }) => ({ greeted: id }),
      onFrame: ({ data }, body) => void found.push(data, body[0]),
    });
    const { client, id } = await site.visit();
    await client.sendFrame(request(1));
    await until('it is handled', () => found.length > 0);
    expect(found).toEqual([{ greeted: id }, requestTag]);
  });
});
