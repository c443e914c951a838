import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { FlushError, type Service, ShutdownError } from '#ackgate/supervisor/index.js';
import { realBackends, until } from './support/stage.js';
import {
  answers,
  type Gate,
  gate,
  range,
  reasons,
  reply,
  request,
  requests,
  Site,
  type SiteOptions,
  seqOf,
} from './support/supervisor.js';

/** Long beyond what a test may take: nothing here may end by waiting for it. */
const longMs = 600_000;

/** A site whose answer n is published only when `gates.get(n)` is opened. */
async function held(options: SiteOptions = {}): Promise<{ site: Site; gates: Map<number, Gate> }> {
  const gates = new Map<number, Gate>();
  const site: Site = await Site.start({
    drainMs: longMs,
    onFrame: async (connection, body) => {
      const seq = seqOf(body);
      const one = gate();
      gates.set(seq, one);
      await one.promise;
      await reply(site.stage, connection, seq);
    },
    ...options,
  });
  return { site, gates };
}

/** A site whose answer n waits for the journal's position n. */
const gated = async (options: SiteOptions = {}): Promise<Site> => {
  const site: Site = await Site.start({
    drainMs: longMs,
    onFrame: (connection, body) => reply(site.stage, connection, seqOf(body), { gatedBy: seqOf(body) }),
    ...options,
  });
  return site;
};

/** Milliseconds that something takes, at most ten seconds: on the slowest machine it takes a few, and what it must not wait for takes longer. */
async function promptly<T>(doing: Promise<T>): Promise<T> {
  const late = sleep(10_000).then(() => {
    throw new Error('not within ten seconds');
  });
  late.catch(() => {});
  return Promise.race([doing, late]);
}

describe.each(realBackends)('notifyShutdown, with %s,', (backend) => {
  it('sends one disconnect frame to who has subscribed, and leaves everybody tracked, open and answered', async () => {
    const site = await Site.start({ backend });
    const [subscribed, twice, plain] = [await site.visit(), await site.visit(), await site.visit()];
    subscribed.connection.subscribe('book');
    twice.connection.subscribe('book');
    twice.connection.subscribe('trades');
    expect(site.supervisor.notifyShutdown()).toBe(2);
    expect(site.supervisor.notifyShutdown()).toBe(0);
    for (const { client, id, connection } of [subscribed, twice, plain]) {
      await site.ask(client, id);
      expect(site.supervisor.isTracked(id)).toBe(true);
      expect(connection.state).toBe('live');
    }
    expect([subscribed, twice, plain].map(({ client }) => reasons(client))).toEqual([[1], [1], []]);
    expect(site.supervisor.status()).toMatchObject({ notices: 2, active: 3, state: 'running' });
    // Who comes later has not been told.
    plain.connection.subscribe('book');
    expect(site.supervisor.notifyShutdown()).toBe(1);
  });

  it('and forceClose together make one disconnect frame, in either order', async () => {
    const site = await Site.start({ backend });
    const told = await site.visit();
    told.connection.subscribe('book');
    const plain = await site.visit();
    site.supervisor.notifyShutdown();
    expect(site.supervisor.forceClose()).toBe(2);
    site.supervisor.notifyShutdown();
    site.supervisor.forceClose();
    for (const { client, id } of [told, plain]) {
      await client.ended;
      expect(reasons(client)).toEqual([1]);
      expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'force-close' });
    }
    await site.untilAttached(0);
  });

  it('and forceClose long after make one, too; and a client is told no reason of its own any more', async () => {
    const site = await Site.start({ backend });
    const two = [await site.visit(), await site.visit()];
    for (const { connection } of two) connection.subscribe('book');
    site.supervisor.notifyShutdown();
    await site.ask(two[0].client, 1);
    await site.ask(two[1].client, 1);
    two[1].connection.disconnect({ reason: 80 });
    await two[1].client.ended;
    site.supervisor.forceClose();
    await two[0].client.ended;
    for (const { client } of two) expect(reasons(client)).toEqual([1]);
  });
});

describe.each(realBackends)('forceClose, with %s,', (backend) => {
  it('closes everything at once, whatever is under way, with one disconnect frame after a subscription', async () => {
    const { site, gates } = await held({ backend });
    const [busy, idle, leaving] = [await site.visit(), await site.visit(), await site.visit()];
    busy.connection.subscribe('book');
    await busy.client.send(requests(1, 1));
    await leaving.client.send(requests(2, 1));
    await until('two are handled', () => gates.size === 2);
    // Told nothing so far, for it has a request under way.
    leaving.connection.disconnect({ reason: 81 });
    expect(site.supervisor.forceClose()).toBe(3);
    expect(site.supervisor.activeCount()).toBe(0);
    await promptly(Promise.all([busy, idle, leaving].map(({ client }) => client.ended)));
    expect([busy, idle, leaving].map(({ client }) => reasons(client))).toEqual([[1], [1], [81]]);
    await site.untilAttached(0);
    for (const one of gates.values()) one.open();
    await until('nothing is handled', () => site.supervisor.status().handling === 0);
    // The server goes on.
    const { client } = await site.visit();
    await client.sendFrame(request(3));
    await until('it is handled', () => gates.has(3));
    gates.get(3)?.open();
    await until('it is answered', () => answers(client).length === 1);
  });
});

describe('flushDurable', () => {
  const service = (name: string, flush: () => unknown): Service => ({ name, flush: flush as () => void });

  it('asks every service in order, and tells of all that failed with one error', async () => {
    const asked: string[] = [];
    const note = (name: string, then: () => unknown = () => {}) =>
      service(name, () => {
        asked.push(name);
        return then();
      });
    const site = await Site.start({
      flushMs: 50,
      services: [
        note('fine'),
        note('throws', () => {
          throw new Error('disk is full');
        }),
        { name: 'has nothing' },
        note('rejects', () => Promise.reject('a text')),
        note('never settles', () => new Promise(() => {})),
        note('last', () => Promise.resolve()),
      ],
    });
    const failed = await site.supervisor.flushDurable().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(FlushError);
    const { failures, code, message } = failed as FlushError;
    expect(code).toBe('ERR_ACKGATE_FLUSH_FAILED');
    expect(failures.map(({ service }) => service)).toEqual(['throws', 'rejects', 'never settles']);
    expect(failures[0].error).toMatchObject({ message: 'disk is full' });
    expect(failures[1].error).toBe('a text');
    expect(failures[2].error).toMatchObject({ message: expect.stringContaining('50 ms') });
    for (const part of ['throws: disk is full', 'rejects: a text', 'never settles: ']) {
      expect(message).toContain(part);
    }
    expect(asked).toEqual(['fine', 'throws', 'rejects', 'never settles', 'last']);
    await site.ask((await site.visit()).client, 1);
  });

  it('resolves when none failed, and leaves no timer behind', async () => {
    const site = await Site.start({ services: [service('fine', () => Promise.resolve())] });
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const before = timers();
    await site.supervisor.flushDurable();
    expect(timers()).toBeLessThanOrEqual(before);
  });
});

describe('shutdown', () => {
  it('does everything in order', async () => {
    const order: string[] = [];
    const now = (what: string) => {
      const { state, attached } = site.supervisor.status();
      const listens = site.server.listening ? 'listening' : 'deaf';
      order.push(`${what}: ${state}, ${listens}, ${attached} attached, stage ${site.stage.status().state}`);
    };
    const site: Site = await Site.start({
      health: {
        withdraw: () => now('withdraw'),
        close: async () => now('health'),
      },
      services: [{ name: 'durable', flush: () => now('flush'), disconnected: () => now('end') }],
    });
    const { client } = await site.visit();
    await site.ask(client, 1);
    await site.supervisor.shutdown();
    expect(order).toEqual([
      'withdraw: shutting-down, listening, 1 attached, stage running',
      'end: shutting-down, deaf, 1 attached, stage running',
      'flush: shutting-down, deaf, 0 attached, stage running',
      'health: shutting-down, deaf, 0 attached, stage closed',
    ]);
    expect(site.supervisor.status()).toMatchObject({ state: 'closed', active: 0, attached: 0 });
    expect(site.logged('shutdown stage done').map(({ fields }) => fields.stage)).toEqual([
      'readiness',
      'accepting',
      'notify',
      'drain',
      'force-close',
      'flush',
      'stage',
      'health',
    ]);
    expect(await client.ended).toBe('end');
    expect(reasons(client)).toEqual([1]);
  });

  it('runs every stage although those before it failed, and says which', async () => {
    const ran: string[] = [];
    const fails = (what: string) => {
      ran.push(what);
      throw new Error(`${what} fails`);
    };
    const site = await Site.start({
      drainMs: 20,
      onFrame: () => new Promise(() => {}),
      health: { withdraw: () => fails('withdraw'), close: async () => fails('close') },
      services: [
        { name: 'first', disconnected: () => fails('told'), flush: () => fails('flush 1') },
        { name: 'second', flush: async () => fails('flush 2') },
      ],
    });
    const { client } = await site.visit();
    await client.sendFrame(request(1));
    await until('it is handled', () => site.supervisor.status().handling === 1);
    const error = await site.supervisor.shutdown().catch((why: unknown) => why);
    expect(error).toBeInstanceOf(ShutdownError);
    const { failures, code } = error as ShutdownError;
    expect(code).toBe('ERR_ACKGATE_SHUTDOWN_FAILED');
    expect(failures.map(({ stage }) => stage)).toEqual(['readiness', 'flush', 'health']);
    expect(failures[1].error).toBeInstanceOf(FlushError);
    expect((failures[1].error as FlushError).failures.map(({ service }) => service)).toEqual([
      'first',
      'second',
    ]);
    expect(ran).toEqual(['withdraw', 'told', 'flush 1', 'flush 2', 'close']);
    await expect(site.supervisor.closed).rejects.toBe(error);
    expect(site.supervisor.status()).toMatchObject({ state: 'closed', attached: 0 });
    expect(site.stage.status().state).toBe('closed');
    expect(site.server.listening).toBe(false);
    expect(reasons(client)).toEqual([1]);
  });

  it('waits for nobody for ever: not for readiness, a flush or the health server', async () => {
    const never = () => new Promise<void>(() => {});
    const site = await Site.start({
      flushMs: 50,
      health: { withdraw: never as () => void, close: never },
      services: [{ name: 'stuck', flush: never }],
    });
    const { client } = await site.visit();
    const error = await site.supervisor.shutdown().catch((why: unknown) => why);
    expect((error as ShutdownError).failures.map(({ stage }) => stage)).toEqual([
      'readiness',
      'flush',
      'health',
    ]);
    expect(site.stage.status().state).toBe('closed');
    expect(reasons(client)).toEqual([1]);
  });

  it('is started once: later calls wait for the same end', async () => {
    const flush = vi.fn();
    const site = await Site.start({ services: [{ name: 'durable', flush }] });
    await site.visit();
    await expect(site.supervisor.shutdown({ drainMs: -1 })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_OUT_OF_RANGE',
    });
    await expect(site.supervisor.shutdown({ drainMS: 1 } as object)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_UNKNOWN_OPTION',
    });
    expect(site.supervisor.status().state).toBe('running');
    const first = site.supervisor.shutdown();
    expect(site.supervisor.shutdown({ drainMs: 5 })).toBe(first);
    await first;
    expect(site.supervisor.shutdown()).toBe(first);
    await site.supervisor.closed;
    expect(flush).toHaveBeenCalledTimes(1);
    expect(site.logged('shutting down')).toHaveLength(1);
  });

  it('ends in order after the stage has ended beside it', async () => {
    const site = await Site.start();
    const { id } = await site.visit();
    await site.stage.close();
    await promptly(site.supervisor.shutdown());
    await site.untilEnded(id);
  });

  it('tells an idle client why, also with no time to drain', async () => {
    const site = await Site.start();
    const several = await Promise.all(range(0, 10).map(() => site.visit()));
    await site.supervisor.shutdown({ drainMs: 0 });
    for (const { client } of several) {
      await client.ended;
      expect(reasons(client)).toEqual([1]);
    }
  });
});

describe.each(realBackends)('the drain, with %s,', (backend) => {
  it('closes idle connections at once, although the answer of another is held back', async () => {
    const site = await gated({ backend });
    const [waiting, ...idle] = [await site.visit(), await site.visit(), await site.visit()];
    await waiting.client.send(requests(5, 1));
    await until('it is published', () => site.supervisor.status().requests === 1);
    const done = site.supervisor.shutdown();
    await promptly(Promise.all(idle.map(({ client }) => client.ended)));
    for (const { client, id } of idle) {
      expect(reasons(client)).toEqual([1]);
      expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'shutdown' });
    }
    await site.untilAttached(1);
    expect(waiting.client.ending).toBeUndefined();
    expect(answers(waiting.client)).toEqual([]);
    // Durable during the drain: sent, then the reason, then the end.
    site.stage.cursors.primary.advance(5);
    expect(await waiting.client.ended).toBe('end');
    expect(answers(waiting.client)).toEqual([5]);
    expect(reasons(waiting.client)).toEqual([1]);
    await promptly(done);
    expect(site.logged('connection force-closed')).toEqual([]);
  });

  it('never sends what has not become durable; then its client is told all the same', async () => {
    const site = await gated({ backend });
    const { client, id } = await site.visit();
    await client.send(requests(5, 3));
    await until('they are published', () => site.supervisor.status().requests === 3);
    site.stage.cursors.primary.advance(5);
    await until('one has come', () => answers(client).length === 1);
    await site.supervisor.shutdown({ drainMs: 50 });
    await client.ended;
    expect(answers(client)).toEqual([5]);
    expect(reasons(client)).toEqual([1]);
    expect(site.endsOf(id)).toHaveLength(1);
    expect(site.logged('connection force-closed').map(({ level, fields }) => [level, fields])).toEqual([
      ['warn', { connectionId: id, remoteAddress: '127.0.0.1' }],
    ]);
  });

  it('waits for handlers, and wakes when the last one settles, with no timer in between', async () => {
    const { site, gates } = await held({ backend });
    const two = [await site.visit(), await site.visit()];
    await two[0].client.send(requests(1, 3));
    await two[1].client.send(requests(9, 1));
    await until('two are handled', () => gates.size === 2);
    const done = site.supervisor.shutdown();
    await until('it drains', () => site.logged('shutdown stage done').length === 3);
    await turn();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timers.mockRestore());
    await sleep(50);
    expect(timers).not.toHaveBeenCalled();
    timers.mockRestore();
    expect(site.supervisor.status()).toMatchObject({ active: 2, handling: 2 });

    gates.get(9)?.open();
    expect(await promptly(two[1].client.ended)).toBe('end');
    expect(answers(two[1].client)).toEqual([9]);
    expect(site.supervisor.status().handling).toBe(1);
    gates.get(1)?.open();
    expect(await promptly(two[0].client.ended)).toBe('end');
    // What was not handed over before is not begun any more: nothing was said of it.
    expect(answers(two[0].client)).toEqual([1]);
    expect(gates.size).toBe(2);
    await promptly(done);
    for (const { client, id } of two) {
      expect(reasons(client)).toEqual([1]);
      expect(await site.untilEnded(id)).toMatchObject({ reason: 'shutdown' });
    }
  });

  it('takes no request any more, but replies: a handler may wait for one', async () => {
    const seen: number[] = [];
    const site: Site = await Site.start({
      backend,
      drainMs: longMs,
      onFrame: async (connection, body) => {
        seen.push(seqOf(body));
        await connection.push(Uint8Array.of(1)).receive(20_000);
        await reply(site.stage, connection, seqOf(body));
      },
    });
    const { client } = await site.visit();
    await client.send(requests(1, 2));
    const push = await client.nextFrame(20_000);
    const done = site.supervisor.shutdown();
    await client.send(requests(3, 5));
    await sleep(20);
    await client.sendFrame(Buffer.concat([Buffer.of(7), push.subarray(1, 9)]));
    expect(await promptly(client.ended)).toBe('end');
    expect(answers(client)).toEqual([1]);
    expect(seen).toEqual([1]);
    await promptly(done);
  });

  it('is over when its time is, and force-closes what is left, with a warning each', async () => {
    const { site, gates } = await held({ backend, drainMs: 30 });
    const visitors = [await site.visit(), await site.visit(), await site.visit()];
    for (const [i, { client }] of visitors.slice(1).entries()) await client.send(requests(i, 1));
    await until('two are handled', () => gates.size === 2);
    await promptly(site.supervisor.shutdown());
    for (const { client } of visitors) {
      await client.ended;
      expect(reasons(client)).toEqual([1]);
    }
    expect(site.logged('connection force-closed').map(({ fields }) => fields.connectionId)).toEqual(
      visitors.slice(1).map(({ id }) => id),
    );
    const { ended } = site.supervisor.status();
    expect(ended).toMatchObject({ shutdown: 1, 'force-close': 2 });
    for (const one of gates.values()) one.open();
  });

  it('is cut short by hurry, which does nothing before', async () => {
    const { site, gates } = await held({ backend });
    const { client, id } = await site.visit();
    await client.send(requests(1, 1));
    await until('it is handled', () => gates.size === 1);
    site.supervisor.hurry();
    const done = site.supervisor.shutdown();
    await until('it drains', () => site.logged('shutdown stage done').length === 3);
    await sleep(20);
    expect(site.supervisor.isTracked(id)).toBe(true);
    site.supervisor.hurry();
    await promptly(done);
    await client.ended;
    expect(reasons(client)).toEqual([1]);
    expect(await site.untilEnded(id)).toMatchObject({ reason: 'force-close' });
  });

  it('does not wait for one that takes nothing any longer than its time', async () => {
    const site = await Site.start({ backend, drainMs: 100, stage: { kernelSendBufferBytes: 16_384 } });
    const victim = await site.visit({ receive: 'never' });
    const other = await site.visit();
    const waiting = () => {
      const { bytesAppended, bytesSent } = site.stage.status();
      return bytesAppended - bytesSent;
    };
    // Until the kernel takes nothing more for so long that only the client can be the cause: a kernel that is refused
    // asks again after 200 ms, and may find that the peer's has tidied up meanwhile.
    let since = performance.now();
    for (let seq = 1; performance.now() - since < 1000; seq++) {
      if (waiting() <= 30_000) since = performance.now();
      for (let i = 0; i < 20 && waiting() < 30_000; i++) await reply(site.stage, victim, seq, { bytes: 440 });
      await site.ask(other.client, seq);
    }
    await promptly(site.supervisor.shutdown());
    expect(await other.client.ended).toBe('end');
    expect(site.logged('connection force-closed').map(({ fields }) => fields.connectionId)).toEqual([
      victim.id,
    ]);
    expect(site.supervisor.status().attached).toBe(0);
  });
});

describe('who comes while it lasts', () => {
  it('is told why as long as sockets are accepted, and finds nobody after', async () => {
    const ready = gate();
    const { site, gates } = await held({
      health: { withdraw: () => ready.promise as unknown as undefined, close: async () => {} },
    });
    const { client } = await site.visit();
    await client.send(requests(1, 1));
    await until('it is handled', () => gates.size === 1);
    const done = site.supervisor.shutdown();
    const early = await site.connect();
    await early.ended;
    expect(reasons(early)).toEqual([1]);
    expect(site.supervisor.status().refused['shutting-down']).toBe(1);
    ready.open();
    await until('it drains', () => site.logged('shutdown stage done').length === 3);
    await expect(site.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    gates.get(1)?.open();
    await promptly(done);
    expect(answers(client)).toEqual([1]);
  });

  it('in a burst right before it is either told or refused, and never left hanging', async () => {
    for (const wait of [0, 1, 3]) {
      const site = await Site.start();
      const first = await site.visit();
      first.connection.subscribe('book');
      const burst = Array.from({ length: 150 }, () => site.connect().catch((error: Error) => error));
      for (let i = 0; i < wait; i++) await turn();
      const done = site.supervisor.shutdown();
      await promptly(done);
      let told = 0;
      for (const one of await Promise.all(burst)) {
        if (one instanceof Error) continue;
        const ending = await promptly(one.ended);
        expect(['end', 'reset']).toContain(ending);
        // A reset by the kernel is one that nobody had accepted.
        if (ending === 'end') expect(reasons(one)).toEqual([1]);
        told += reasons(one).length;
      }
      const { spawned, refused, attached, active, ended } = site.supervisor.status();
      expect({ attached, active }).toEqual({ attached: 0, active: 0 });
      expect(ended.shutdown + ended['force-close']).toBe(spawned);
      expect(told).toBe(spawned - 1 + refused['shutting-down']);
      expect(reasons(first.client)).toEqual([1]);
      expect(site.told.filter(({ what }) => what === 'connected')).toHaveLength(spawned);
      expect(site.told.filter(({ what }) => what === 'disconnected')).toHaveLength(spawned);
    }
  });
});

describe('who waits for a reply with a timeout of 30 s', () => {
  const ways: [string, (site: Site) => unknown][] = [
    ['forceClose', ({ supervisor }) => supervisor.forceClose()],
    ['shutdown', ({ supervisor }) => supervisor.shutdown()],
    ['the client, in good order', ({ clients }) => clients[0].end()],
    ['the client, with a reset', ({ clients }) => clients[0].reset()],
    ['a disconnect', ({ supervisor }) => supervisor.disconnect(supervisor.connections()[0].id)],
    ['the stage', ({ stage }) => stage.close({ drainMs: 0 })],
  ];

  it.each(ways)('is woken at once when the connection is ended by %s', async (_, end) => {
    const site = await Site.start();
    const { connection } = await site.visit();
    const awaiters = range(0, 8).map((i) => connection.push(Uint8Array.of(i)).receive(30_000));
    const outcomes = Promise.allSettled(awaiters);
    await turn();
    end(site);
    for (const outcome of await promptly(outcomes)) {
      expect(outcome).toMatchObject({ reason: { code: 'ERR_ACKGATE_PUSH_DISCONNECTED' } });
    }
    expect(site.supervisor.status().pendingPushes).toBe(0);
  });

  it('is left alone when another connection ends, and gets its exact bytes', async () => {
    const site = await Site.start();
    const [one, other] = [await site.visit(), await site.visit()];
    const lost = one.connection.push(Uint8Array.of(1)).receive(30_000);
    const kept = other.connection.push(Uint8Array.of(2)).receive(30_000);
    const push = await other.client.nextFrame(20_000);
    await one.client.reset();
    await expect(promptly(lost)).rejects.toMatchObject({ code: 'ERR_ACKGATE_PUSH_DISCONNECTED' });
    expect(site.supervisor.status().pendingPushes).toBe(1);
    await other.client.sendFrame(Buffer.concat([Buffer.of(7), push.subarray(1, 9), Buffer.of(1, 2, 3)]));
    expect(Buffer.from(await promptly(kept))).toEqual(Buffer.of(1, 2, 3));
  });
});
