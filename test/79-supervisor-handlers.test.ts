import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Connection } from '#ackgate/supervisor/index.js';
import { until } from './support/stage.js';
import {
  answers,
  framed,
  type Gate,
  gate,
  range,
  reasons,
  reply,
  request,
  requests,
  Site,
  seqOf,
} from './support/supervisor.js';

const bad = (thenable: object) => thenable as PromiseLike<void>;

describe('a handler that fails', () => {
  const ways: [string, () => void | PromiseLike<void>, unknown][] = [
    [
      'throws',
      () => {
        throw new Error('of mine');
      },
      { message: 'of mine' },
    ],
    [
      'throws undefined',
      () => {
        throw undefined;
      },
      { message: 'threw without a reason' },
    ],
    [
      'throws null',
      () => {
        throw null;
      },
      { message: 'threw without a reason' },
    ],
    ['rejects', () => Promise.reject(new Error('of mine')), { message: 'of mine' }],
    ['rejects with undefined', () => Promise.reject(), { message: 'rejected without a reason' }],
    ['rejects with a text', () => Promise.reject('a text'), 'a text'],
    [
      'returns a thenable that rejects twice and resolves',
      () =>
        bad({
          // biome-ignore lint/suspicious/noThenProperty: that is what is tested
          then(resolve: () => void, reject: (why: Error) => void) {
            reject(new Error('first'));
            reject(new Error('second'));
            resolve();
          },
        }),
      { message: 'first' },
    ],
    [
      'returns a thenable that throws',
      () =>
        bad({
          // biome-ignore lint/suspicious/noThenProperty: that is what is tested
          then() {
            throw new Error('of then');
          },
        }),
      { message: 'of then' },
    ],
    [
      'returns what throws when it is looked at',
      () =>
        bad({
          // biome-ignore lint/suspicious/noThenProperty: that is what is tested
          get then() {
            throw new Error('of the getter');
          },
        }),
      { message: 'of the getter' },
    ],
  ];

  it.each(ways)(
    'because it %s ends its connection alone, with what it threw in the log',
    async (_, fails, logged) => {
      const site = await Site.start({
        onFrame: (connection, body) => {
          const seq = seqOf(body);
          return seq === 3 ? fails() : reply(site.stage, connection, seq);
        },
      });
      const victim = await site.visit();
      const other = await site.visit();
      await victim.client.send(requests(1, 5));
      expect(await victim.client.ended).toBe('end');
      expect(answers(victim.client)).toEqual([1, 2]);
      expect(reasons(victim.client)).toEqual([9]);
      expect(await site.untilEnded(victim.id)).toMatchObject({
        outcome: 'crashed',
        reason: 'handler-failed',
      });
      const [line, ...more] = site.logged('connection crashed');
      expect(more).toEqual([]);
      expect(line.fields).toMatchObject({
        connectionId: victim.id,
        reason: 'handler-failed',
        err: typeof logged === 'string' ? logged : expect.objectContaining(logged as object),
      });
      await site.ask(other.client, 7);
      await until('nothing is handled', () => site.supervisor.status().handling === 0);
      expect(site.supervisor.status().ended['handler-failed']).toBe(1);
      await site.untilAttached(1);
    },
  );

  it('in the middle of a read of 100 frames keeps the answers before it, and handles none behind it', async () => {
    const site = await Site.start({
      onFrame: (connection, body) => {
        const seq = seqOf(body);
        if (seq === 50) throw new Error('the fiftieth');
        return reply(site.stage, connection, seq);
      },
    });
    const { client, id } = await site.visit();
    await client.send(requests(1, 100));
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual(range(1, 49));
    expect(reasons(client)).toEqual([9]);
    await site.untilEnded(id);
    expect(site.supervisor.status().requests).toBe(50);
  });

  it('after its connection has ended gets a line of its own, and ends nothing twice', async () => {
    const one = gate();
    const site = await Site.start({ onFrame: () => one.promise });
    const { client, id } = await site.visit();
    await client.sendFrame(request(1));
    await until('it is handled', () => site.supervisor.status().handling === 1);
    await client.end();
    await site.untilEnded(id);
    one.fail(new Error('too late'));
    await until('the line is there', () => site.logged('handler failed after the end').length === 1);
    expect(site.logged('handler failed after the end')[0].fields).toMatchObject({ connectionId: id });
    await site.untilAttached(0);
    expect(site.endsOf(id)).toHaveLength(1);
  });

  it('while others of its connection are being handled sends what they published so far', async () => {
    const gates = new Map<number, Gate>();
    const site = await Site.start({
      limits: { handling: 3 },
      onFrame: async (connection, body) => {
        const seq = seqOf(body);
        await reply(site.stage, connection, seq);
        const one = gate();
        gates.set(seq, one);
        await one.promise;
        await reply(site.stage, connection, seq + 100);
      },
    });
    const { client, id } = await site.visit();
    await client.send(requests(1, 5));
    await until('three are handled', () => gates.size === 3);
    gates.get(2)?.fail(new Error('the second'));
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1, 2, 3]);
    expect(reasons(client)).toEqual([9]);
    gates.get(1)?.open();
    gates.get(3)?.fail(new Error('the third'));
    await until('nothing is handled', () => site.supervisor.status().handling === 0);
    expect(gates.size).toBe(3);
    expect(site.endsOf(id)).toHaveLength(1);
  });
});

describe('a handler that never settles', () => {
  it('holds up its own connection alone', async () => {
    const site = await Site.start({
      onFrame: (connection, body) =>
        seqOf(body) === 0 ? new Promise(() => {}) : reply(site.stage, connection, seqOf(body)),
    });
    const stuck = await site.visit();
    const other = await site.visit();
    await stuck.client.send(requests(0, 3));
    for (let seq = 1; seq < 20; seq++) await site.ask(other.client, seq);
    expect(answers(stuck.client)).toEqual([]);
    expect(site.supervisor.status()).toMatchObject({ handling: 1, active: 2 });
    await stuck.client.reset();
    await site.untilEnded(stuck.id);
    await site.untilAttached(1);
    await site.ask(other.client, 20);
  });
});

describe('requests of one connection', () => {
  /** Notes when each begins and ends; odd ones take their time. */
  const watched = (marks: string[], site: () => Site) => async (connection: Connection, body: Uint8Array) => {
    const seq = seqOf(body);
    marks.push(`${seq} begins`);
    for (let i = 0; i < (seq % 3) * 2; i++) await turn();
    marks.push(`${seq} ends`);
    await reply(site().stage, connection, seq);
  };

  it('are handled one after the other', async () => {
    const marks: string[] = [];
    const site = await Site.start({ onFrame: (c, body) => watched(marks, () => site)(c, body) });
    const { client } = await site.visit();
    await client.send(requests(1, 40));
    await until('all have come', () => answers(client).length === 40);
    expect(marks).toEqual(range(1, 40).flatMap((seq) => [`${seq} begins`, `${seq} ends`]));
    expect(answers(client)).toEqual(range(1, 40));
  });

  it('keep their order when some handlers return at once and some later', async () => {
    const order: number[] = [];
    const site = await Site.start({
      onFrame: (connection, body) => {
        const seq = seqOf(body);
        order.push(seq);
        const published = () => reply(site.stage, connection, seq);
        return seq % 4 === 0 ? turn().then(published) : published();
      },
    });
    const { client } = await site.visit();
    await client.send(requests(1, 200));
    await until('all have come', () => answers(client).length === 200);
    expect(order).toEqual(range(1, 200));
    expect(answers(client)).toEqual(range(1, 200));
  });

  it('are handled four at once when that is the limit, begun in order, never more', async () => {
    const open = new Map<number, Gate>();
    const begun: number[] = [];
    const site = await Site.start({
      limits: { handling: 4 },
      onFrame: async (connection, body) => {
        const seq = seqOf(body);
        begun.push(seq);
        const one = gate();
        open.set(seq, one);
        await one.promise;
        open.delete(seq);
        await reply(site.stage, connection, seq);
      },
    });
    const { client } = await site.visit();
    await client.send(requests(1, 12));
    await until('four are handled', () => begun.length === 4);
    expect(site.supervisor.status().handling).toBe(4);
    // The last first: an answer comes when its own handler is done.
    while (begun.length < 12 || open.size > 0) {
      const last = Math.max(...open.keys());
      const had = begun.length;
      open.get(last)?.open();
      await until('it has gone on', () => !open.has(last) && begun.length === Math.min(12, had + 1));
      expect(open.size).toBeLessThanOrEqual(4);
    }
    expect(begun).toEqual(range(1, 12));
    await until('all have come', () => answers(client).length === 12);
    expect(answers(client).slice(0, 2)).toEqual([4, 5]);
    expect(site.supervisor.status().handling).toBe(0);
  });

  it('are not handed over before the one before them is done, though it returns something that is no promise', async () => {
    const site = await Site.start({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      onFrame: (connection, body) => bad({ then: 1, done: reply(site.stage, connection, seqOf(body)) }),
    });
    const { client } = await site.visit();
    await client.send(requests(1, 3));
    await until('all have come', () => answers(client).length === 3);
  });
});

describe('a turn', () => {
  /** Counts the requests of each connection per turn of the event loop. */
  function turns() {
    let counts = new Map<number, number>();
    let most = 0;
    let stop = false;
    const count = () => {
      most = Math.max(most, ...counts.values());
      counts = new Map();
      if (!stop) setImmediate(count);
    };
    setImmediate(count);
    onTestFinished(() => {
      stop = true;
    });
    return {
      note: (id: number) => void counts.set(id, (counts.get(id) ?? 0) + 1),
      most: () => most,
    };
  }

  it('takes 32 frames of a connection at most, in however many reads; a polite client is answered meanwhile', async () => {
    const { note, most } = turns();
    const site = await Site.start({
      onFrame: (connection, body) => {
        note(connection.id);
        // The floods want no answers: what is counted here is what comes in.
        return seqOf(body) === 0 ? undefined : reply(site.stage, connection, seqOf(body));
      },
    });
    const floods = [await site.visit(), await site.visit()];
    const polite = await site.visit();
    const sending = [
      floods[0].client.flood({ frames: 20_000, body: request(0) }),
      // 31 of these are in one read; with so many in the kernel a socket is read up to 32 times in a turn.
      floods[1].client.send(framed(...Array<Uint8Array>(10_000).fill(request(0, 2100)))),
    ];
    const done = () => site.supervisor.status().requests;
    let during = 0;
    for (let seq = 1; done() < 30_000; seq++) {
      await site.ask(polite.client, seq);
      if (done() < 30_000) during++;
    }
    expect(await Promise.all(sending)).toEqual([20_000, true]);
    expect(during).toBeGreaterThan(1);
    await turn();
    // One turn of the counter can have the end of one and the beginning of the next.
    expect(most()).toBeLessThanOrEqual(64);
    expect(most()).toBeGreaterThanOrEqual(32);
  });

  it.each([1, 4])('has 32 of those that waited handed over, too (handling %i)', async (handling) => {
    const { note, most } = turns();
    const first = gate();
    let handled = 0;
    const site = await Site.start({
      limits: { handling },
      onFrame: (connection, body) => {
        if (seqOf(body) < handling) return first.promise;
        note(connection.id);
        handled++;
        // Settles without waiting for anything, as a handler that only publishes.
        return handled % 2 === 0 ? Promise.resolve() : undefined;
      },
    });
    const flood = await site.visit();
    const polite = await site.visit();
    await flood.client.send(requests(0, 10_000));
    await until('all are read', () => flood.socket.bytesRead === 10_000 * 20);
    expect(handled).toBe(0);
    first.open();
    const seen: number[] = [];
    for (let i = 0; handled < 10_000 - handling; i++) {
      await polite.client.sendFrame(request(100 + i));
      await turn();
      seen.push(handled);
    }
    expect(most()).toBeLessThanOrEqual(64);
    expect(seen.length).toBeGreaterThan(10_000 / 64 - 10);
  });
});

describe('a reply', () => {
  it('overtakes requests that wait, so that a handler can wait for it', async () => {
    const site = await Site.start({
      onFrame: async (connection, body) => {
        const seq = seqOf(body);
        const got = await connection.push(Uint8Array.of(seq)).receive(20_000);
        expect(Buffer.from(got)).toEqual(Buffer.of(seq, 0xee));
        await reply(site.stage, connection, seq);
      },
    });
    const { client } = await site.visit();
    await client.send(requests(1, 3));
    for (const seq of [1, 2, 3]) {
      let body = await client.nextFrame(20_000);
      while (body[0] !== 6) body = await client.nextFrame(20_000);
      expect(body[9]).toBe(seq);
      await client.sendFrame(Buffer.concat([Buffer.of(7), body.subarray(1, 10), Buffer.of(0xee)]));
    }
    await until('all have come', () => answers(client).length === 3);
    expect(answers(client)).toEqual([1, 2, 3]);
    expect(site.log.filter(({ level }) => level === 'warn')).toEqual([]);
  });
});

describe('from inside a handler', () => {
  it.each(['drained', 'now'] as const)('disconnect (%s) ends the connection', async (when) => {
    const site = await Site.start({
      onFrame: async (connection, body) => {
        await reply(site.stage, connection, seqOf(body));
        if (seqOf(body) === 2) expect(connection.disconnect({ when, reason: 99 })).toBe(true);
      },
    });
    const { client, id } = await site.visit();
    const other = await site.visit();
    await client.send(requests(1, 5));
    await client.ended;
    if (when === 'drained') expect(answers(client)).toEqual([1, 2]);
    expect(reasons(client)).toEqual([99]);
    expect(await site.untilEnded(id)).toMatchObject({ reason: 'server-disconnect' });
    await site.untilAttached(1);
    expect(site.supervisor.status().requests).toBe(2);
    await site.ask(other.client, 1);
    expect(site.log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });

  it.each(['before its promise', 'in its own turn'])('forceClose ends all of them, %s', async (where) => {
    const site = await Site.start({
      onFrame: (_, body) => {
        if (seqOf(body) !== 2) return;
        if (where === 'in its own turn') return turn().then(() => void site.supervisor.forceClose());
        expect(site.supervisor.forceClose()).toBe(2);
      },
    });
    const two = [await site.visit(), await site.visit()];
    await two[0].client.send(requests(1, 5));
    for (const { client, id } of two) {
      await client.ended;
      expect(reasons(client)).toEqual([1]);
      expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'force-close' });
    }
    await site.untilAttached(0);
    await until('nothing is handled', () => site.supervisor.status().handling === 0);
    await site.visit();
  });

  it('shutdown answers this request and those before it', async () => {
    const site = await Site.start({
      onFrame: async (connection, body) => {
        if (seqOf(body) === 2) void site.supervisor.shutdown();
        await turn();
        await reply(site.stage, connection, seqOf(body));
      },
    });
    const { client } = await site.visit();
    const idle = await site.visit();
    await client.send(requests(1, 5));
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1, 2]);
    expect(reasons(client)).toEqual([1]);
    await idle.client.ended;
    expect(reasons(idle.client)).toEqual([1]);
    await site.supervisor.closed;
    expect(site.logged('connection force-closed')).toEqual([]);
  });

  it('shutdown that it waits for ends when the drain time is over', async () => {
    let ended = false;
    const site = await Site.start({
      drainMs: 50,
      onFrame: async () => {
        await site.supervisor.shutdown();
        ended = true;
      },
    });
    const { client, id } = await site.visit();
    await client.sendFrame(request(1));
    await client.ended;
    expect(reasons(client)).toEqual([1]);
    await site.supervisor.closed;
    await until('the handler has gone on', () => ended);
    expect(await site.untilEnded(id)).toMatchObject({ reason: 'force-close' });
    expect(site.logged('connection force-closed')).toHaveLength(1);
  });
});
