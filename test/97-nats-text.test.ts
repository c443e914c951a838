import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WatchedMode } from '#ackgate/cluster/index.js';
import { encodeKeptDirectives, WatchedStore } from '#ackgate/directives/index.js';
import { findNats } from '#ackgate/local-cluster/find-programs.js';
import { type NatsServer, startNatsServer } from '#ackgate/local-cluster/nats.js';
import { type NatsText, natsText } from '#ackgate/nats/text.js';
import { aDirective, anotherDirective, directiveStoreContract } from './support/directive-store-contract.js';

const programs = findNats();
if (!programs.found) console.warn(`texts in a bucket of NATS are not tested: ${programs.reason}`);

// A hang ends here; no test is meant to take long.
const bound = { timeout: 30_000, interval: 20 };
// So seldom that only the watch can tell of a change.
const byWatchOnly = { refreshMs: 600_000, retryMsMax: 200 };

let server: NatsServer;
let keys = 0;
const newKey = () => `key-${keys++}`;

function open(key: string, more: object = {}): NatsText {
  const source = natsText({ servers: server.url, bucket: 'texts', ...more }, key);
  onTestFinished(() => source.close());
  return source;
}

/** A client of the server's own, to do what an operator might. */
async function operator(): Promise<{ connection: NatsConnection; kvm: Kvm }> {
  const connection = await connect({ servers: server.url });
  onTestFinished(() => connection.close());
  return { connection, kvm: new Kvm(connection) };
}

describe.skipIf(!programs.found)('a text in a bucket of a NATS server', () => {
  beforeAll(async () => {
    server = await startNatsServer({ jetstream: true });
    await using source = natsText({ servers: server.url, bucket: 'texts' }, 'first');
    expect(await source.write('makes the bucket', 0)).toBe(1);
  });
  afterAll(() => server?.close());

  directiveStoreContract(
    'WatchedStore over NATS',
    async (first) => {
      const source = natsText({ servers: server.url, bucket: 'contract' }, newKey());
      try {
        if (first.length > 0) await source.write(encodeKeptDirectives(first), 0);
        const store = new WatchedStore(source);
        await store.refresh();
        return {
          store,
          publish: (set, options) => store.publish(set, options),
          end: async () => {
            await store.close();
            await source.close();
          },
        };
      } catch (error) {
        await source.close();
        throw error;
      }
    },
    { publishes: true },
  );

  describe('reading and writing', () => {
    it('keeps nothing at first, then what was written last, under growing revisions', async () => {
      const source = open(newKey());
      expect(await source.read()).toBeNull();
      const first = await source.write('one', undefined);
      expect(await source.read()).toEqual({ revision: first, text: 'one' });
      const second = await source.write('zwei, ö', undefined);
      expect(second).toBeGreaterThan(first!);
      expect(await source.read()).toEqual({ revision: second, text: 'zwei, ö' });
    });

    it('writes only over the revision that is named', async () => {
      const source = open(newKey());
      expect(await source.write('x', 1)).toBeNull();
      const first = await source.write('one', 0);
      for (const not of [0, first! - 1, first! + 1]) expect(await source.write('x', not)).toBeNull();
      const second = await source.write('two', first!);
      expect(await source.write('x', first!)).toBeNull();
      expect(await source.read()).toEqual({ revision: second, text: 'two' });
    });

    it('keeps nothing when the key is deleted or purged, and takes another text then', async () => {
      const key = newKey();
      const source = open(key);
      const kv = await (await operator()).kvm.open('texts');
      for (const end of ['delete', 'purge'] as const) {
        const before = await source.write('one', 0);
        await kv[end](key);
        const deletion = (await kv.get(key))!.revision;
        expect(await source.read()).toBeNull();
        expect(await source.write('x', before!)).toBeNull();
        // A deletion has a revision, but it is not one that is kept.
        expect(await source.write('x', deletion)).toBeNull();
        const after = await source.write('two', 0);
        expect(after).toBeGreaterThan(before!);
        expect(await source.read()).toEqual({ revision: after, text: 'two' });
        await kv[end](key);
      }
    });

    it('lets one of several that write at once win', async () => {
      const key = newKey();
      const sources = Array.from({ length: 4 }, () => open(key));
      let revision = 0;
      for (let round = 0; round < 10; round++) {
        const tried = await Promise.all(
          sources.map((source, i) => source.write(`${round} by ${i}`, revision)),
        );
        const won = tried.flatMap((result, i) => (result === null ? [] : [{ result, i }]));
        expect(won).toHaveLength(1);
        revision = won[0]!.result;
        const text = `${round} by ${won[0]!.i}`;
        for (const source of sources) expect(await source.read()).toEqual({ revision, text });
      }
    });

    it('asks the leader of the copies, also of a bucket that would let others answer', async () => {
      const { connection, kvm } = await operator();
      await kvm.create('direct', { allow_direct: true });
      const asked: string[] = [];
      const requests = connection.subscribe('$JS.API.>', {
        callback: (_, { subject }) => void asked.push(subject),
      });
      await connection.flush();
      for (const bucket of ['direct', 'indirect']) {
        const source = open(newKey(), { bucket });
        await source.write('one', undefined);
        expect(await source.read()).toMatchObject({ text: 'one' });
      }
      await connection.flush();
      requests.unsubscribe();
      for (const bucket of ['direct', 'indirect']) {
        const gets = asked.filter((subject) => subject === `$JS.API.STREAM.MSG.GET.KV_${bucket}`);
        // Writing looks first.
        expect(gets).toHaveLength(2);
      }
      expect(asked.filter((subject) => subject.includes('DIRECT'))).toEqual([]);
      const { streamInfo } = (await (await kvm.open('indirect')).status()) as never as {
        streamInfo: { config: object };
      };
      expect(streamInfo.config).toMatchObject({ allow_direct: false, num_replicas: 1, storage: 'file' });
    });
  });

  describe('several instances', () => {
    it('follow a mode by the watch alone, and its deletion', async () => {
      const key = newKey();
      await using one = new WatchedMode(open(key), byWatchOnly);
      await using two = new WatchedMode(open(key), byWatchOnly);
      for (const mode of [one, two]) expect(await mode.refresh()).toBe(true);
      const until = Date.now() + 60_000;
      const revision = await one.publish({ policy: 'hybrid', expiresAt: until, by: 'a test' });
      await expect.poll(() => two.load().revision, bound).toBe(revision);
      expect(two.load().setting).toMatchObject({ policy: 'hybrid', expiresAt: until });
      await expect(two.publish({ policy: 'local' }, { ifRevision: revision + 1 })).rejects.toThrow();
      await (await (await operator()).kvm.open('texts')).delete(key);
      for (const mode of [one, two]) await expect.poll(() => mode.load().revision, bound).toBe(0);
    });

    it('go on after a restart of the server: what was kept is, and changes are told again', async () => {
      const key = newKey();
      const source = open(key);
      await using store = new WatchedStore(source, { ...byWatchOnly, retryMsMin: 50 });
      await using writer = new WatchedStore(open(key), { ...byWatchOnly, retryMsMin: 50 });
      await Promise.all([store.refresh(), writer.refresh()]);
      const revision = await writer.publish([aDirective]);
      await expect.poll(() => store.load().revision, bound).toBe(revision);
      await server.stop();
      await expect.poll(() => store.lastError, bound).not.toBeNull();
      // At once, not after the time that an answer may take.
      await expect(source.read()).rejects.toThrow('no connection');
      expect(store.load().directives).toEqual([aDirective]);
      await server.start();
      await expect.poll(() => store.lastError ?? writer.lastError, bound).toBeNull();
      expect(store.load()).toEqual({ revision, directives: [aDirective] });
      const next = await writer.publish([anotherDirective], { ifRevision: revision });
      await expect
        .poll(() => store.load(), bound)
        .toEqual({ revision: next, directives: [anotherDirective] });
    });

    it('keep what is in force while the server is killed or hangs', async () => {
      const key = newKey();
      await using store = new WatchedStore(open(key), {
        answerTimeoutMs: 1000,
        refreshMs: 1000,
        retryMsMax: 200,
      });
      await store.refresh();
      await store.publish([aDirective]);
      server.freeze();
      try {
        await expect.poll(() => store.lastError, bound).not.toBeNull();
        expect(store.load().directives).toEqual([aDirective]);
      } finally {
        server.thaw();
      }
      await expect.poll(() => store.lastError, bound).toBeNull();
      await server.kill();
      await expect.poll(() => store.lastError, bound).not.toBeNull();
      expect(store.load().directives).toEqual([aDirective]);
      await server.start();
      await expect.poll(() => store.lastError, bound).toBeNull();
      expect(store.load().directives).toEqual([aDirective]);
    });

    it('find a bucket that was deleted: nothing is kept, and they watch the new one', async () => {
      const key = newKey();
      const bucket = 'deleted';
      await using one = new WatchedStore(open(key, { bucket }), { refreshMs: 100, retryMsMax: 200 });
      await using two = new WatchedStore(open(key, { bucket }), { refreshMs: 100, retryMsMax: 200 });
      await Promise.all([one.refresh(), two.refresh()]);
      await one.publish([aDirective]);
      await expect.poll(() => two.load().directives, bound).toEqual([aDirective]);
      await (await (await operator()).kvm.open(bucket)).destroy();
      for (const store of [one, two]) {
        await expect.poll(() => store.load().directives, bound).toEqual([]);
        await expect.poll(() => store.lastError, bound).toBeNull();
      }
      await two.publish([anotherDirective]);
      await expect.poll(() => one.load().directives, bound).toEqual([anotherDirective]);
    });

    it('are told that a watch has failed when the bucket was deleted, and may watch the new one', async () => {
      const bucket = 'deleted-too';
      const key = newKey();
      const source = open(key, { bucket });
      await source.write('one', 0);
      let hasFailed!: (error: unknown) => void;
      const failed = new Promise((fail) => {
        hasFailed = fail;
      });
      await source.watch(() => {}, hasFailed);
      await (await (await operator()).kvm.open(bucket)).destroy();
      expect(await source.read()).toBeNull();
      expect(String(await failed)).toContain('bucket deleted-too was deleted');
      await source.write('two', 0);
      expect(await source.read()).toMatchObject({ text: 'two' });
    });

    it('of which none has written yet: nothing is kept and nothing made; the first write is told', async () => {
      const bucket = 'none-yet';
      const key = newKey();
      const { kvm } = await operator();
      await using one = new WatchedStore(open(key, { bucket }), byWatchOnly);
      await using two = new WatchedStore(open(key, { bucket }), byWatchOnly);
      for (const store of [one, two]) {
        expect(await store.refresh()).toBe(true);
        expect(store.lastError).toBeNull();
        expect(store.load()).toEqual({ revision: 0, directives: [] });
      }
      expect(await open(key, { bucket }).write('x', 1)).toBeNull();
      await expect((await kvm.open(bucket)).status()).rejects.toThrow('stream not found');
      expect(await one.publish([aDirective], { ifRevision: 0 })).toBe(1);
      await expect.poll(() => two.load().directives, bound).toEqual([aDirective]);
      for (const store of [one, two]) await expect.poll(() => store.lastError, bound).toBeNull();
      await one.publish([anotherDirective]);
      await expect.poll(() => two.load().directives, bound).toEqual([anotherDirective]);
    });

    it('whose watch ended are told no more', async () => {
      const key = newKey();
      const source = open(key);
      let changes = 0;
      let failures = 0;
      const end = await source.watch(
        () => changes++,
        () => failures++,
      );
      await source.write('one', undefined);
      await expect.poll(() => changes, bound).toBe(1);
      await end();
      // Another watch, to know when this one would have been told.
      let others = 0;
      await source.watch(
        () => others++,
        () => {},
      );
      await source.write('two', undefined);
      await expect.poll(() => others, bound).toBe(1);
      expect({ changes, failures }).toEqual({ changes: 1, failures: 0 });
    });
  });

  describe('what can not be', () => {
    it('a server without JetStream: says so, and works once it has it', async () => {
      const without = await startNatsServer();
      onTestFinished(() => without.close());
      const source = natsText({ servers: without.url }, 'mode');
      onTestFinished(() => source.close());
      for (const call of [
        () => source.read(),
        () => source.write('x', 0),
        () =>
          source.watch(
            () => {},
            () => {},
          ),
      ]) {
        await expect(call()).rejects.toMatchObject({
          code: 'ERR_ACKGATE_NATS_SERVER',
          message: expect.stringContaining('nats-server -js'),
        });
      }
      await without.close();
      const having = await startNatsServer({ jetstream: true, port: without.port });
      onTestFinished(() => having.close());
      // The client connects anew first.
      await expect.poll(() => source.write('x', 0).catch(String), bound).toBe(1);
    });

    it('more replicas than servers', async () => {
      await expect(open('a', { bucket: 'three', replicas: 3 }).write('x', 0)).rejects.toMatchObject({
        code: 'ERR_ACKGATE_NATS_SERVER',
        message: expect.stringContaining('bucket three'),
      });
    });

    it('a wrong password, and no server: the message has no secret', async () => {
      const closed = await startNatsServer({ jetstream: true, user: 'joe', password: 'right-one' });
      onTestFinished(() => closed.close());
      const tell = async (servers: object) => {
        const source = natsText({ servers: closed.url, ...servers }, 'mode');
        const error = (await source.read().catch((thrown) => thrown)) as Error & { code: string };
        await source.close();
        expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toMatch(/wrong-one|right-one/);
        return error.code;
      };
      const address = closed.url.replace('//', '//joe:wrong-one@');
      expect(await tell({ servers: address })).toBe('ERR_ACKGATE_NATS_CREDENTIALS');
      expect(await tell({ user: 'joe', password: async () => 'wrong-one' })).toBe(
        'ERR_ACKGATE_NATS_CREDENTIALS',
      );
      const right = natsText({ servers: closed.url, user: 'joe', password: () => 'right-one' }, 'mode');
      expect(await right.read()).toBeNull();
      await right.close();
      await closed.kill();
      expect(await tell({ servers: address })).toBe('ERR_ACKGATE_NATS_UNREACHABLE');
    });

    it('a call after close', async () => {
      const source = open(newKey());
      await source.read();
      let failures = 0;
      await source.watch(
        () => {},
        () => failures++,
      );
      await source.close();
      await source.close();
      expect(failures).toBe(1);
      await expect(source.read()).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
      await expect(source.write('x', 0)).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
    });
  });
});

describe('arguments', () => {
  it.each([
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'options', null, 'a'],
    ['ERR_ACKGATE_UNKNOWN_OPTION', '"bukket"', { bukket: 'a' }, 'a'],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'bucket', { bucket: 'a.b' }, 'a'],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'replicas', { replicas: '1' }, 'a'],
    ['ERR_ACKGATE_OUT_OF_RANGE', 'replicas', { replicas: 6 }, 'a'],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'name', {}, ''],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'name', {}, 'a..b'],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'name', {}, '*'],
    ['ERR_ACKGATE_INVALID_ARGUMENT', 'name', {}, undefined],
  ])('%s: %s', (code, named, options, name) => {
    expect(() => natsText((options && { servers: 'a', ...options }) as never, name as string)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(named) }),
    );
  });

  it('of the servers are told by the first call', async () => {
    await using source = natsText({ servers: [] }, 'a');
    await expect(source.read()).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
  });
});
