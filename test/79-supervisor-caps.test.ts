import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startStage } from '#ackgate/index.js';
import { type SupervisorLimits, supervise } from '#ackgate/supervisor/index.js';
import { realBackends, until } from './support/stage.js';
import {
  answers,
  framed,
  gate,
  range,
  reasons,
  reply,
  request,
  requests,
  Site,
  seqOf,
  type Visitor,
} from './support/supervisor.js';

const visits = (site: Site, count: number): Promise<Visitor[]> =>
  Promise.all(Array.from({ length: count }, () => site.visit()));

const code = (name: string) => expect.objectContaining({ code: `ERR_ACKGATE_${name}` });

describe.each(realBackends)('the cap on connections, with %s,', (backend) => {
  it('is 256: the next one is told why, then the stream ends; the others notice nothing', async () => {
    const site = await Site.start({ backend });
    const all = await visits(site, 256);
    const refused = await site.connect();
    expect(['end', 'reset']).toContain(await refused.ended);
    expect(reasons(refused)).toEqual([2]);
    expect(refused.frames).toHaveLength(1);
    expect(site.logged('connection refused').map(({ fields }) => fields.code)).toEqual([
      'ERR_ACKGATE_TOO_MANY_CONNECTIONS',
    ]);
    expect(site.supervisor.status()).toMatchObject({ active: 256, attached: 256, spawned: 256 });
    expect(site.supervisor.status().refused['too-many-connections']).toBe(1);
    await Promise.all(all.map(({ client }, i) => site.ask(client, i)));
    expect(site.told.filter(({ what }) => what === 'disconnected')).toEqual([]);
  });

  it('can be set, and its permits come back', async () => {
    const site = await Site.start({ backend, limits: { connections: 2 } });
    for (let round = 0; round < 5; round++) {
      const two = await visits(site, 2);
      const refused = await site.connect();
      await refused.ended;
      expect(reasons(refused)).toEqual([2]);
      await site.ask(two[0].client, round);
      await Promise.all(two.map(({ client }, i) => (i === 0 ? client.close() : client.reset())));
      await site.untilAttached(0);
    }
    expect(site.supervisor.status().refused['too-many-connections']).toBe(5);
    expect(site.supervisor.status().spawned).toBe(10);
  });

  it('tells also those that speak before they are spoken to', async () => {
    const site = await Site.start({ backend, limits: { connections: 1 } });
    await site.visit();
    for (let round = 0; round < 20; round++) {
      const client = await site.connect();
      await client.send(requests(1, 10));
      await client.ended;
      expect(reasons(client)).toEqual([2]);
    }
  });

  it('turns a crowd away without an end, and takes the next one when there is room', async () => {
    const site = await Site.start({ backend, limits: { connections: 3 } });
    const three = await visits(site, 3);
    const crowd = await Promise.all(Array.from({ length: 150 }, () => site.connect()));
    await Promise.all(crowd.map((client) => client.ended));
    // As many as can be told at once are told; nobody is told anything else.
    expect(crowd.filter((client) => reasons(client).length === 1).length).toBeGreaterThanOrEqual(64);
    for (const client of crowd) expect([[], [2]]).toContainEqual(reasons(client));
    await Promise.all(three.map(({ client }, i) => site.ask(client, i)));
    await three[0].client.close();
    await site.untilAttached(2);
    await site.ask((await site.visit()).client, 1);
  });
});

describe('a permit', () => {
  it('is held until the stage has let go: answers that are held back take up room too', async () => {
    const site = await Site.start({
      limits: { connections: 1 },
      onFrame: (connection, body) => reply(site.stage, connection, seqOf(body), { gatedBy: 1 }),
    });
    const { client, id } = await site.visit({ allowHalfOpen: true });
    await client.send(requests(5, 1));
    await client.end();
    await site.untilEnded(id);
    expect(site.supervisor.status()).toMatchObject({ active: 0, attached: 1 });
    const refused = await site.connect();
    await refused.ended;
    expect(reasons(refused)).toEqual([2]);
    site.stage.cursors.primary.advance(1);
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([5]);
    await site.untilAttached(0);
    await site.visit();
  });

  it('is not taken by what was refused for another reason', async () => {
    const site = await Site.start({ limits: { connections: 1 } });
    const { client, socket } = await site.visit();
    await client.close();
    await site.untilAttached(0);
    expect(() => site.supervisor.spawn(socket)).toThrow(code('SOCKET_DESTROYED'));
    await site.visit();
  });
});

describe('the cap of one connection on', () => {
  const crashes = async (site: Site, victim: Visitor, told: number, reason: string) => {
    expect(['end', 'reset']).toContain(await victim.client.ended);
    expect(reasons(victim.client)).toEqual([told]);
    expect(await site.untilEnded(victim.id)).toMatchObject({ outcome: 'crashed', reason });
    const lines = site.logged('connection crashed').filter(({ fields }) => fields.connectionId === victim.id);
    expect(lines.map(({ fields }) => fields.reason)).toEqual([reason]);
  };

  it('subscriptions is 32, and can be set', async () => {
    for (const [limits, most] of [
      [{}, 32],
      [{ subscriptions: 2 }, 2],
    ] as const) {
      const site = await Site.start({ limits });
      const [victim, other] = await visits(site, 2);
      for (let i = 0; i < most; i++) victim.connection.subscribe(`topic ${i}`);
      // Again is no more; one less is room for one.
      victim.connection.subscribe('topic 0');
      expect(victim.connection.unsubscribe('topic 1')).toBe(true);
      expect(victim.connection.unsubscribe('topic 1')).toBe(false);
      victim.connection.subscribe('topic 1');
      await site.ask(victim.client, 1);
      expect(() => victim.connection.subscribe('one too many')).toThrow(code('TOO_MANY_SUBSCRIPTIONS'));
      await crashes(site, victim, 7, 'too-many-subscriptions');
      await site.ask(other.client, 1);
    }
  });

  it('subscriptions holds for a handler that lets the error pass, once', async () => {
    const site = await Site.start({
      limits: { subscriptions: 1 },
      onFrame: (connection, body) => {
        connection.subscribe(`topic ${seqOf(body)}`);
        return reply(site.stage, connection, seqOf(body));
      },
    });
    const [victim, other] = await visits(site, 2);
    await victim.client.send(requests(1, 3));
    await crashes(site, victim, 7, 'too-many-subscriptions');
    expect(answers(victim.client)).toEqual([1]);
    await site.ask(other.client, 1);
  });

  it('pending pushes is 32, and can be set; each reply makes room for one', async () => {
    for (const [limits, most] of [
      [{}, 32],
      [{ pendingPushes: 2 }, 2],
    ] as const) {
      const site = await Site.start({ limits });
      const [victim, other] = await visits(site, 2);
      const push = () => victim.connection.push(Uint8Array.of(1, 2, 3));
      const awaiters = Array.from({ length: most }, push);
      const first = await victim.client.nextFrame(20_000);
      expect(first[0]).toBe(6);
      await victim.client.sendFrame(Buffer.concat([Buffer.of(7), first.subarray(1, 9), Buffer.of(9)]));
      expect(Buffer.from(await awaiters[0].receive(20_000))).toEqual(Buffer.of(9));
      awaiters.push(push());
      awaiters[1].cancel();
      awaiters.push(push());
      expect(site.supervisor.status().pendingPushes).toBe(most);
      expect(push).toThrow(code('TOO_MANY_PUSHES'));
      await crashes(site, victim, 8, 'too-many-pushes');
      // What was handed over before has come, and nothing of the one that failed.
      expect(victim.client.frames.filter(([tag]) => tag === 6)).toHaveLength(most + 2);
      await expect(awaiters.at(-1)!.receive(20_000)).rejects.toMatchObject({
        code: 'ERR_ACKGATE_PUSH_DISCONNECTED',
      });
      expect(site.supervisor.status().pendingPushes).toBe(0);
      await site.ask(other.client, 1);
      other.connection.push(Uint8Array.of(1)).cancel();
    }
  });

  it('inbound bytes is reached behind a handler that never settles, and the rest of the flood is not kept', async () => {
    const stuck = gate();
    const site = await Site.start({
      limits: { inboundBytes: 100_000, frameBytes: 10_000 },
      onFrame: (connection, body) =>
        seqOf(body) === 0 ? stuck.promise : reply(site.stage, connection, seqOf(body)),
    });
    const [victim, other] = await visits(site, 2);
    await victim.client.sendFrame(request(0));
    const flood = victim.client.flood({ frames: 1000, body: request(1, 1000) });
    await crashes(site, victim, 6, 'inbound-full');
    await flood;
    await site.ask(other.client, 1);
    // The handler that holds it up is the server's own: what comes of it is nobody's any more.
    stuck.open();
    await until('it has settled', () => site.supervisor.status().handling === 0);
    await site.untilAttached(1);
    expect(answers(victim.client)).toEqual([]);
  });

  it('inbound bytes is 4 MiB: little less is kept and handled, more is not', async () => {
    const bytes = 60_000;
    const fits = Math.floor((4 * 1024 * 1024) / (bytes + 128));
    let held = gate();
    let seen: number[] = [];
    const site = await Site.start({
      onFrame: (_, body) => {
        seen.push(seqOf(body));
        return seqOf(body) === 0 ? held.promise : undefined;
      },
    });
    const kept = await site.visit();
    await kept.client.send(framed(request(0), ...range(1, fits).map((seq) => request(seq, bytes))));
    await until('all are read', () => kept.socket.bytesRead === 20 + fits * (4 + bytes));
    await turn();
    expect(site.supervisor.isTracked(kept.id)).toBe(true);
    expect(seen).toEqual([0]);
    held.open();
    await until('all are handled', () => seen.length === fits + 1);
    expect(seen).toEqual(range(0, fits + 1));

    const flooding = await site.visit();
    seen = [];
    held = gate();
    await flooding.client.sendFrame(request(0));
    const sending = flooding.client.flood({ frames: fits + 10, body: request(1, bytes) });
    await crashes(site, flooding, 6, 'inbound-full');
    await sending;
    held.open();
    await until('nothing is handled', () => site.supervisor.status().handling === 0);
    expect(seen).toEqual([0]);
  });

  it('inbound bytes counts what is kept alive, however small the requests are', async () => {
    const stuck = gate();
    const kept: Uint8Array[] = [];
    const site = await Site.start({
      onFrame: (_, body) => {
        kept.push(body);
        return kept.length === 1 ? stuck.promise : undefined;
      },
    });
    const { client } = await site.visit();
    await client.sendFrame(request(0));
    // A small request in every read, the rest of which is replies to nothing: they cost the server nothing to hold.
    const noise = Buffer.alloc(60_000, 7);
    for (let i = 1; i <= 20; i++) await client.send(framed(request(i), noise));
    await until('all are read', () => site.supervisor.status().repliesIgnored === 20);
    stuck.open();
    await until('all are handled', () => kept.length === 21);
    const memory = new Map(kept.slice(1).map(({ buffer }) => [buffer, buffer.byteLength]));
    const bytes = [...memory.values()].reduce((sum, one) => sum + one);
    expect(bytes).toBeLessThan(20 * (16 + 128));
  });

  it('frame bytes is 65,536, and can be set; the header is enough', async () => {
    for (const [limits, most] of [
      [{}, 65_536],
      [{ frameBytes: 100 }, 100],
    ] as const) {
      const site = await Site.start({ limits });
      const [victim, other] = await visits(site, 2);
      await victim.client.sendFrame(request(1, most));
      await until('it is answered', () => answers(victim.client).length === 1);
      await victim.client.oversize(most + 1);
      await crashes(site, victim, 4, 'oversize-frame');
      await site.ask(other.client, 1);
    }
  });

  it.each(realBackends)('outbound bytes is the 64 KiB of the stage, with %s: it drops', async (backend) => {
    const site = await Site.start({ backend, stage: { kernelSendBufferBytes: 16_384 } });
    const victim = await site.visit({ receive: 'never' });
    const other = await site.visit();
    let sent = 0;
    const push = () => {
      const awaiter = victim.connection.push(new Uint8Array(400));
      sent += 400;
      awaiter.cancel();
    };
    for (;;) {
      try {
        for (let i = 0; i < 50; i++) push();
      } catch (error) {
        const { code } = error as { code: string };
        if (code === 'ERR_ACKGATE_PUSH_DISCONNECTED') break;
        // Faster than the stage takes calls: that is no fault of the client.
        expect(code).toBe('ERR_ACKGATE_CONTROL_FULL');
      }
      await site.ask(other.client, 1);
    }
    expect(sent).toBeGreaterThan(65_536);
    expect(await site.untilEnded(victim.id)).toMatchObject({ outcome: 'dropped', reason: 'overflow' });
    expect(site.supervisor.status().pendingPushes).toBe(0);
    await site.ask(other.client, 2);
  });
});

describe('a limit that makes no sense', () => {
  const start = async () => {
    const stage = await startStage({ connections: 4 });
    onTestFinished(() => stage.close({ drainMs: 0 }));
    return (options: object) =>
      supervise(createServer(), { stage, onFrame: () => {}, signals: false, ...options });
  };
  const names: (keyof SupervisorLimits)[] = [
    'connections',
    'subscriptions',
    'pendingPushes',
    'inboundBytes',
    'frameBytes',
    'handling',
  ];

  it('is a configuration error that names it', async () => {
    const make = await start();
    for (const name of names) {
      for (const value of [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 31]) {
        expect(() => make({ limits: { [name]: value } }), `${name} ${value}`).toThrow(
          expect.objectContaining({
            code: 'ERR_ACKGATE_OUT_OF_RANGE',
            message: expect.stringContaining(`limits.${name} `),
          }),
        );
      }
      for (const value of ['8', {}, true]) {
        expect(() => make({ limits: { [name]: value } })).toThrow(
          expect.objectContaining({
            code: 'ERR_ACKGATE_INVALID_ARGUMENT',
            message: expect.stringContaining(`limits.${name} `),
          }),
        );
      }
    }
  });

  it('is one that is misspelt, too', async () => {
    const make = await start();
    expect(() => make({ limits: { conections: 3 } })).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_UNKNOWN_OPTION',
        message: expect.stringContaining('conections'),
      }),
    );
    expect(() => make({ limit: {} })).toThrow(code('UNKNOWN_OPTION'));
  });

  it('is one that leaves no room for a frame, too', async () => {
    const make = await start();
    const message = expect.stringContaining('limits.inboundBytes');
    expect(() => make({ limits: { inboundBytes: 1000 } })).toThrow(expect.objectContaining({ message }));
    expect(() => make({ limits: { inboundBytes: 1003, frameBytes: 1000 } })).toThrow(
      expect.objectContaining({ message }),
    );
    expect(() => make({ limits: { inboundBytes: 1004, frameBytes: 1000 } })).not.toThrow();
  });

  it('is not that of times: drainMs may be 0, flushMs may not', async () => {
    const make = await start();
    expect(() => make({ drainMs: 0 })).not.toThrow();
    for (const drainMs of [-1, Number.NaN, 0.5, 2 ** 31]) {
      expect(() => make({ drainMs })).toThrow(
        expect.objectContaining({ message: expect.stringContaining('drainMs') }),
      );
    }
    for (const flushMs of [0, -1, Number.NaN, 0.5, 2 ** 31]) {
      expect(() => make({ flushMs })).toThrow(
        expect.objectContaining({ message: expect.stringContaining('flushMs') }),
      );
    }
  });
});
