import { createServer } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { listenAnywhere } from '#ackgate/local-cluster/free-port.js';
import {
  checkNoneAhead,
  checkStandings,
  choosePrimary,
  highestGeneration,
} from '#ackgate/postgres/choose.js';
import { connectError, tooOld } from '#ackgate/postgres/fault.js';
import { checkPostgresPolicy, PostgresJournal, postgresText } from '#ackgate/postgres/index.js';
import { LsnMap, parseLsn } from '#ackgate/postgres/lsn-map.js';
import { Poller } from '#ackgate/postgres/poller.js';
import { checkServers } from '#ackgate/postgres/servers.js';
import { type StandbyRow, StandbyTracker } from '#ackgate/postgres/standby-tracker.js';
import type { PostgresStanding } from '#ackgate/postgres/standing.js';
import { isRival } from '#ackgate/postgres/watcher.js';

/** Lets anybody in, tells its version, and knows nothing else. Resolves to its port. */
async function oldServer(version: string): Promise<number> {
  const message = (type: string, ...parts: (string | number[])[]) => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
  };
  const ready = message('Z', 'I');
  const answers = [
    message(
      'T',
      [0, 1],
      'server_version_num\0',
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0],
    ),
    message('D', [0, 1, 0, 0, 0, version.length], version),
    message('C', 'SHOW\0'),
  ];
  const server = createServer((socket) => {
    let isIn = false;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (!isIn) socket.write(Buffer.concat([message('R', [0, 0, 0, 0]), ready]));
      else if (chunk.includes('show server_version_num')) socket.write(Buffer.concat([...answers, ready]));
      isIn = true;
    });
  });
  onTestFinished(() => new Promise<void>((closed) => server.close(() => closed())));
  return listenAnywhere(server);
}

const coded = (code: string) => expect.objectContaining({ code });

describe('positions of the log', () => {
  test('are read from their text', () => {
    expect([parseLsn('0/0'), parseLsn('0/FF'), parseLsn('16/B374D848')]).toEqual([0, 255, 0x16b374d848]);
  });

  test('stand for the sequences committed before them', () => {
    const map = new LsnMap(64);
    expect([map.upTo(0), map.upTo(1e9), map.lastSequence]).toEqual([0, 0, 0]);
    map.add(5, 100);
    map.add(9, 200);
    expect([99, 100, 199, 200, 1e15].map((position) => map.upTo(position))).toEqual([0, 5, 5, 9, 9]);
  });

  test('get coarser with age, never wrong, and no more', () => {
    const map = new LsnMap(512);
    for (let sequence = 1; sequence <= 10_000; sequence++) {
      map.add(sequence, sequence * 10);
      if (map.count > 512) expect(map.count).toBe(512);
    }
    let before = 0;
    for (let position = 0; position <= 100_000; position += 77) {
      const sequence = map.upTo(position);
      expect(sequence * 10).toBeLessThanOrEqual(position);
      expect(sequence).toBeGreaterThanOrEqual(before);
      // How coarse goes by the age.
      expect(position / 10 - sequence).toBeLessThanOrEqual((10_000 - position / 10) / 2 + 2);
      before = sequence;
    }
    expect([map.upTo(99_999), map.upTo(100_000), map.lastSequence]).toEqual([9999, 10_000, 10_000]);
  });
});

describe('standbys as they are polled', () => {
  const row = (
    name: string,
    connection: string,
    written: number | null,
    flushed = written,
    replied = 'then',
  ) => ({ name, connection, written, flushed, replied }) satisfies StandbyRow;
  const setup = () => {
    const map = new LsnMap();
    for (let sequence = 1; sequence <= 10; sequence++) map.add(sequence, sequence * 100);
    let at = 0;
    const tracker = new StandbyTracker([{ name: 'a' }, { name: 'b', zone: 'z' }], 1000);
    const observe = (rows: StandbyRow[], later = 1) => {
      at += later;
      return tracker.observe(rows, map, at);
    };
    return { map, observe };
  };

  test('a frame has what was written and flushed, as sequences, and the zone', () => {
    const { observe } = setup();
    const { frames, isBehind } = observe([row('b', '1', 450, 300)]);
    expect(frames).toEqual([{ node: 'b', zone: 'z', epoch: 1001, inMemory: 4, persisted: 3, at: 1 }]);
    expect(isBehind).toBe(true);
    expect(observe([row('b', '1', 1000)])).toMatchObject({
      frames: [{ epoch: 1001, inMemory: 10, persisted: 10 }],
      isBehind: false,
    });
  });

  test('a row that has not said anything yet, and one of an unknown name, are no frames', () => {
    const { observe } = setup();
    expect(observe([row('a', '1', null), row('c', '2', 500)]).frames).toEqual([]);
  });

  test('another connection, or one after a time away, is another epoch', () => {
    const { observe } = setup();
    observe([row('a', '1', 500)]);
    expect(observe([row('a', '2', 300)]).frames).toMatchObject([{ epoch: 1002, persisted: 3 }]);
    expect(observe([])).toMatchObject({ frames: [], gone: ['a'] });
    expect(observe([]).gone).toEqual([]);
    expect(observe([row('a', '2', 300)]).frames).toMatchObject([{ epoch: 1003, persisted: 3 }]);
  });

  test('another connection that has said nothing yet takes the standby out of the view', () => {
    const { observe } = setup();
    observe([row('a', '1', 500)]);
    expect(observe([row('a', '2', null)])).toMatchObject({ frames: [], gone: ['a'] });
    expect(observe([row('a', '2', null)]).gone).toEqual([]);
    expect(observe([row('a', '2', 400)])).toMatchObject({
      frames: [{ epoch: 1002, persisted: 4 }],
      gone: [],
    });
  });

  test('one that lacks something and says nothing is not alive; one that has everything is', () => {
    const { observe, map } = setup();
    observe([row('a', '1', 900)]);
    expect(observe([row('a', '1', 900)], 50)).toMatchObject({ frames: [], isBehind: true });
    expect(observe([row('a', '1', 900)], 5000)).toMatchObject({ frames: [], isBehind: false });
    expect(observe([row('a', '1', 900, 900, 'now')]).frames).toMatchObject([{ persisted: 9 }]);
    observe([row('a', '1', 1000)]);
    expect(observe([row('a', '1', 1000)], 5000).frames).toHaveLength(1);
    expect(observe([row('a', '1', 1000)], 1).frames).toHaveLength(0);
    map.add(11, 1100);
    expect(observe([row('a', '1', 1000)], 5000).frames).toHaveLength(0);
  });

  test('a name that is there twice does not count, until it is there once', () => {
    const { observe } = setup();
    observe([row('a', '1', 500)]);
    const both = [row('a', '1', 500), row('a', '2', 900)];
    expect(observe(both)).toMatchObject({ frames: [], gone: ['a'], doubled: ['a'] });
    expect(observe(both)).toMatchObject({ frames: [], gone: [], doubled: [] });
    expect(observe([row('a', '2', 900)])).toMatchObject({
      frames: [{ epoch: 1002, persisted: 9 }],
      doubled: [],
    });
  });
});

test('a server that refuses is asked again at its own pace, whatever is committed', async () => {
  const triedAt: number[] = [];
  const poller = new Poller({
    schema: 'x',
    connect: async () => {
      triedAt.push(performance.now());
      throw new Error('no');
    },
    polled: () => false,
    failed: () => {},
  });
  while (triedAt.length < 3) {
    poller.wake();
    await nextTurn();
  }
  await poller.end();
  expect(triedAt[2]! - triedAt[0]!).toBeGreaterThan(450);
});

describe('which server is the primary', () => {
  const standing = (server: string, over: Partial<PostgresStanding> = {}) => ({
    server,
    standing: {
      server,
      identity: server,
      isPrimary: true,
      version: 150000,
      timeline: 1,
      logPosition: '0/0',
      logBytes: 0,
      generation: 1,
      holder: 'one',
      lastSequence: 10,
      fsync: true,
      clockSkewMs: 0,
      ...over,
    },
  });
  const standby = (server: string, over: Partial<PostgresStanding> = {}) =>
    standing(server, { isPrimary: false, timeline: null, ...over });
  const failed = (code: 'ERR_ACKGATE_POSTGRES_UNREACHABLE' | 'ERR_ACKGATE_POSTGRES_CREDENTIALS') => ({
    server: 'x',
    error: new AckgateError(code, `x: ${code}`),
  });

  test('the one that takes writes; of several the one promoted last, then the one taken last', () => {
    const away = failed('ERR_ACKGATE_POSTGRES_UNREACHABLE');
    expect(choosePrimary([standby('a'), away, standing('b')]).server).toBe('b');
    expect(choosePrimary([standing('a', { generation: 2 }), standing('b', { timeline: 2 })]).server).toBe(
      'b',
    );
    expect(choosePrimary([standing('a'), standing('b', { generation: 2 })]).server).toBe('b');
    expect(() => choosePrimary([standing('a'), standing('b')])).toThrow(coded('ERR_ACKGATE_SUPERSEDED'));
  });

  test('one server under two names is said to be one', () => {
    const both = [standing('127.0.0.1:1'), standing('localhost:1', { identity: '127.0.0.1:1' })];
    expect(() => choosePrimary(both)).toThrow(/127\.0\.0\.1:1 and localhost:1 are one server/);
  });

  test('nobody, only standbys, and one that refuses us are errors', () => {
    const away = failed('ERR_ACKGATE_POSTGRES_UNREACHABLE');
    expect(() => choosePrimary([away])).toThrow(coded('ERR_ACKGATE_POSTGRES_UNREACHABLE'));
    expect(() => choosePrimary([standby('a'), away])).toThrow(coded('ERR_ACKGATE_POSTGRES_STANDBY'));
    const refused = failed('ERR_ACKGATE_POSTGRES_CREDENTIALS');
    expect(() => choosePrimary([standing('a'), refused])).toThrow(coded('ERR_ACKGATE_POSTGRES_CREDENTIALS'));
  });

  test('one that is too old is refused whoever is the primary', () => {
    const old = { server: 'b', error: tooOld({ label: 'b' }, 140012) };
    expect(() => choosePrimary([standing('a'), old])).toThrow(coded('ERR_ACKGATE_POSTGRES_VERSION'));
    expect(old.error.message).toContain('version 14; 15 or later');
  });

  test('what the others say may forbid to open it', () => {
    const chosen = standing('a').standing;
    const check = (...others: ReturnType<typeof standing>[]) =>
      checkStandings(chosen, [{ server: 'a', standing: chosen }, ...others], 5000);
    check(standby('b', { generation: null, clockSkewMs: -5000 }));
    expect(() => check(standby('b', { generation: 2 }))).toThrow(coded('ERR_ACKGATE_SUPERSEDED'));
    expect(() => check(standby('b', { fsync: false }))).toThrow(coded('ERR_ACKGATE_POSTGRES_UNSAFE'));
    expect(() => check(standby('b', { clockSkewMs: 5001 }))).toThrow(/5001 ms ahead of ours/);
    expect(() => check(standby('b', { clockSkewMs: -6000 }))).toThrow(coded('ERR_ACKGATE_CLOCK_SKEW'));
    expect(() => check(standby('b', { clockSkewMs: 5000.2 }))).toThrow(coded('ERR_ACKGATE_CLOCK_SKEW'));
    // One that was the primary before may have been opened more often; what counts up goes on from there.
    check(standing('b', { timeline: 0, generation: 8 }));
    expect(highestGeneration([standing('a'), standing('b', { generation: 8 })])).toBe(8);
    // But not where the journal never came.
    expect(() =>
      checkStandings(standing('a', { timeline: 2, generation: null }).standing, [standing('b')], 5000),
    ).toThrow(coded('ERR_ACKGATE_SUPERSEDED'));
    checkNoneAhead(chosen, 10, [standby('b', { lastSequence: 10 }), standing('c', { lastSequence: 11 })]);
    expect(() => checkNoneAhead(chosen, 10, [standby('b', { lastSequence: 11 })])).toThrow(
      coded('ERR_ACKGATE_REPLICA_AHEAD'),
    );
  });

  test('a rival is a primary that does not come before ours, and a standby that knows of a later holder', () => {
    const mine = { timeline: 1, generation: 5 };
    expect(isRival({ timeline: null, generation: 5 }, mine)).toBe(false);
    expect(isRival({ timeline: null, generation: 6 }, mine)).toBe(true);
    // Neither comes after the other: both stop.
    expect(isRival({ timeline: 1, generation: 5 }, mine)).toBe(true);
    expect(isRival({ timeline: 1, generation: 4 }, mine)).toBe(false);
    expect(isRival({ timeline: 2, generation: 5 }, mine)).toBe(true);
    // The one promoted last, though the other one was opened more often.
    expect(isRival({ timeline: 2, generation: 3 }, mine)).toBe(true);
    expect(isRival(mine, { timeline: 2, generation: 3 })).toBe(false);
  });
});

describe('policies', () => {
  test('need a persisted clause', () => {
    for (const policy of ['local', 'hybrid', 'durably-replicated', 'in_memory>=3 && persisted>=1']) {
      checkPostgresPolicy(policy);
    }
    for (const policy of ['replicated', 'in_memory>=3']) {
      expect(() => checkPostgresPolicy(policy)).toThrow(coded('ERR_ACKGATE_POLICY_UNSUPPORTED'));
    }
    expect(() => checkPostgresPolicy('hybird')).toThrow(coded('ERR_ACKGATE_POLICY_UNKNOWN_LEVEL'));
  });
});

describe('arguments', () => {
  const secret = 'hunter2secret';
  const servers = [`postgres://user:${secret}@127.0.0.1:1/db`];

  test('a URL becomes what a client needs', async () => {
    const { settings, schema } = await checkServers({
      servers: [
        'postgresql://me:p%40ss@[::1]:6000/orders',
        'postgres:///db?host=/run/postgresql',
        'postgres://h',
      ],
    });
    expect(schema).toBe('ackgate');
    expect(settings).toMatchObject([
      { label: '::1:6000/orders', host: '::1', port: 6000, user: 'me', password: 'p@ss', database: 'orders' },
      { label: '/run/postgresql:5432/db', host: '/run/postgresql', port: 5432, user: undefined },
      { label: 'h:5432', host: 'h', password: undefined, ssl: undefined },
    ]);
  });

  test('the password may come from elsewhere, and TLS has its options', async () => {
    const { settings } = await checkServers({ servers, password: async () => 'other', tls: 'require' });
    expect(settings).toMatchObject([{ password: 'other', ssl: { rejectUnauthorized: false } }]);
    const checked = await checkServers({ servers, tls: { ca: 'pem' } });
    expect(checked.settings).toMatchObject([{ password: secret, ssl: { ca: 'pem' } }]);
  });

  test.each([
    ['servers', { servers: [] }],
    ['servers', { servers: 'postgres://h' }],
    ['servers[1]', { servers: [...servers, `postgres://user:${secret}#@h/db`] }],
    ['servers[0]', { servers: [`mysql://user:${secret}@h`] }],
    ['servers[0]', { servers: [`${servers[0]}?sslmode=require`] }],
    ['servers', { servers: [...servers, ...servers] }],
    ['password', { servers, password: 5 }],
    ['password', { servers, password: () => 5 }],
    ['tls', { servers, tls: true }],
    ['tls', { servers, tls: { chekServerIdentity: 1 } }],
    ['schema', { servers, schema: 'x"; drop' }],
    ['node', { servers, node: undefined }],
    ['node', { servers, node: '' }],
    ['standbys', { servers, node: 'a', standbys: 'b' }],
    ['standbys[0]', { servers, node: 'a', standbys: [{ name: 'b', zoen: 'z' }] }],
    ['"a"', { servers, node: 'a', standbys: ['a'] }],
    ['"b"', { servers, node: 'a', standbys: ['b', { name: 'b' }] }],
    ['takeOver', { servers, node: 'a', takeOver: 1 }],
    ['clockSkewMsMax', { servers, node: 'a', clockSkewMsMax: -1 }],
    ['bufferBytes', { servers, node: 'a', bufferBytes: 100_000 }],
    ['recordBytesMax', { servers, node: 'a', recordBytesMax: 2 ** 30 }],
    ['firstSequence', { servers, node: 'a', firstSequence: 0 }],
    ['takeover', { servers, node: 'a', takeover: true }],
  ])('%s is looked at before any server is asked', async (named, options) => {
    const error = await PostgresJournal.open({ node: 'a', ...options } as never).then(
      () => null,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(AckgateError);
    expect(error.message).toContain(named);
    expect(error.message).not.toContain(secret);
  });

  test('a password function that throws is named, without what it says', async () => {
    const password = () => {
      throw Object.assign(new TypeError(`no such path: ${secret}`), { code: 'EVAULT' });
    };
    const error = await PostgresJournal.open({ servers, node: 'a', password }).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_ACKGATE_POSTGRES_CREDENTIALS' });
    expect(error.cause).toBeUndefined();
    expect(error.message).toContain('TypeError EVAULT');
    expect(`${error.message} ${error.stack}`).not.toContain(secret);
  });

  test('a server that is too old is told by its version, before it is asked what it does not know', async () => {
    const port = await oldServer('90624');
    const old = { servers: [`postgres://user@127.0.0.1:${port}/db`] };
    await expect(PostgresJournal.open({ ...old, node: 'a' })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_VERSION',
      message: expect.stringContaining('version 9.6'),
    });
    const text = postgresText(old, 'mode');
    onTestFinished(() => text.close());
    await expect(text.read()).rejects.toMatchObject({ code: 'ERR_ACKGATE_POSTGRES_VERSION' });
  });

  test('a text has a name', () => {
    expect(() => postgresText({ servers }, '')).toThrow(coded('ERR_ACKGATE_INVALID_ARGUMENT'));
  });

  test('an error of a connection never has the password', () => {
    const server = { label: 'h:1/db', password: secret } as never;
    const error = connectError(new Error(`password authentication failed with ${secret}`), server);
    expect(error).toMatchObject({ code: 'ERR_ACKGATE_POSTGRES_CREDENTIALS' });
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain(secret);
  });
});
