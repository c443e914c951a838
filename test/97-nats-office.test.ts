import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileJournal } from '#ackgate/journal/index.js';
import { AttendedTime } from '#ackgate/nats/attended-time.js';
import { decodeBatch, encodeBatch } from '#ackgate/nats/batch-codec.js';
import { FetchServer } from '#ackgate/nats/fetch-server.js';
import { encodeHistory } from '#ackgate/nats/history-file.js';
import { frameCodec, joinReplyCodec, standingRequestCodec } from '#ackgate/nats/messages.js';
import { type Answers, type Candidate, checkStandings, chooseTerm } from '#ackgate/nats/office.js';
import { Recent } from '#ackgate/nats/recent.js';
import { Roll } from '#ackgate/nats/roll.js';
import { temporaryDirectory } from './support/journal.js';

const lineage = randomUUID();
const candidate = (more: Partial<Candidate> = {}): Candidate => ({
  node: 'p',
  primaryId: randomUUID(),
  promised: 0,
  log: { history: { lineage, terms: [{ term: 5, first: 1 }], incarnation: 1, ledFrom: null }, last: 100 },
  takeOver: false,
  replicas: [],
  ...more,
});
const standing = (node: string, lastTerm: number, last: number, more: object = {}) => ({
  node,
  instance: randomUUID(),
  zone: null,
  term: lastTerm,
  lineage,
  lastTerm,
  last,
  following: null,
  ...more,
});
const primary = { node: 'old', term: 9, primaryId: randomUUID(), last: 7 };
const nobody = { primaries: [], standings: [] };
const dayMs = 24 * 3_600_000;
const heardOf = (answers: Partial<Answers>) =>
  chooseTerm(candidate({ takeOver: true }), { ...nobody, ...answers });

describe('taking office', () => {
  test('the term is above every term known, also one that was only promised, whatever the clock says', () => {
    expect(chooseTerm(candidate(), nobody, 0)).toBeGreaterThan(5);
    expect(chooseTerm(candidate({ promised: 8 }), nobody, 0)).toBeGreaterThan(8);
    const heard = { primaries: [primary], standings: [standing('r1', 5, 100, { term: 12 })] };
    expect(chooseTerm(candidate({ takeOver: true }), heard, 0)).toBeGreaterThan(12);
    expect(chooseTerm(candidate(), nobody, 1e12)).toBeGreaterThan(1e12);
  });

  test('two that can not hear each other hardly ever take the same term', () => {
    const terms = new Set(Array.from({ length: 20 }, () => chooseTerm(candidate(), nobody, 0)));
    expect(terms.size).toBeGreaterThan(10);
  });

  test.each([
    ['promised here', () => chooseTerm(candidate({ promised: 2 ** 53 - 1 }), nobody)],
    ['of a replica', () => heardOf({ standings: [standing('r1', 5, 1, { term: 2 ** 53 - 1 })] })],
    ['of a primary', () => heardOf({ primaries: [{ ...primary, term: 2 ** 53 - 1 }] })],
    ['a good year from now', () => heardOf({ primaries: [{ ...primary, term: Date.now() + 367 * dayMs }] })],
  ])('a term that only a wrong clock can have left, %s: no office is taken', (_, take) => {
    expect(take).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_CLOCK_SKEW' }));
    expect(heardOf({ primaries: [{ ...primary, term: Date.now() + 365 * dayMs }] })).toBeGreaterThan(0);
  });

  test('nobody acts on a message with such a term', () => {
    const id = randomUUID();
    for (const [term, understood] of [
      [Date.now() + 365 * dayMs, 'object'],
      [Date.now() + 367 * dayMs, 'string'],
      [2 ** 53 - 1, 'string'],
    ] as const) {
      const request = standingRequestCodec.encode({ candidate: { node: 'p', term, primaryId: id } });
      const frame = { node: 'r', instance: id, zone: null, term, primaryId: id, epoch: 1, at: 1 };
      const joined = { type: 'joined' as const, first: 1, last: 0, bufferBytes: 1, epochAbove: 0 };
      const history = { lineage, terms: [{ term, first: 1 }], incarnation: 1, ledFrom: null };
      const decoded = [
        standingRequestCodec.decode(request),
        frameCodec.decode(frameCodec.encode({ ...frame, inMemory: 0, persisted: 0 })),
        joinReplyCodec.decode(joinReplyCodec.encode({ ...joined, history: encodeHistory(history) })),
        decodeBatch(encodeBatch({ term, primaryId: id, first: 1, last: 0, records: [] })),
      ];
      expect(decoded.map((message) => typeof message)).toEqual(decoded.map(() => understood));
    }
  });

  test.each([
    [
      'a primary that is there',
      () => chooseTerm(candidate(), { primaries: [primary], standings: [] }),
      'ERR_ACKGATE_SUPERSEDED',
      '"old"',
    ],
    [
      'a replica of the same name',
      () => chooseTerm(candidate(), { primaries: [], standings: [standing('p', 5, 1)] }),
      'ERR_ACKGATE_NODE_TWICE',
      '"p"',
    ],
    [
      'a replica with more records',
      () => checkStandings(candidate(), [standing('r1', 5, 101)]),
      'ERR_ACKGATE_REPLICA_AHEAD',
      '"r1"',
    ],
    [
      'a replica with records of a later term',
      () => checkStandings(candidate(), [standing('r1', 6, 50)]),
      'ERR_ACKGATE_REPLICA_AHEAD',
      '"r1"',
    ],
    [
      'a replica of another lineage',
      () => checkStandings(candidate(), [standing('r1', 5, 1, { lineage: randomUUID() })]),
      'ERR_ACKGATE_JOURNAL_LINEAGE',
      '"r1"',
    ],
    [
      'an empty directory beside a replica that has records',
      () => checkStandings(candidate({ log: { history: null, last: 0 } }), [standing('r1', 5, 1)]),
      'ERR_ACKGATE_REPLICA_AHEAD',
      '"r1"',
    ],
    [
      'a replica that must answer',
      () => checkStandings(candidate({ replicas: ['r1', 'r2'] }), [standing('r1', 5, 1)]),
      'ERR_ACKGATE_NATS_UNREACHABLE',
      '"r2"',
    ],
  ])('%s: no office is taken', (_, take, code, named) => {
    expect(take).toThrow(expect.objectContaining({ code, message: expect.stringContaining(named) }));
  });

  test('replicas with as much, with less, with nothing are no obstacle', () => {
    const standings = [
      standing('r1', 5, 100),
      standing('r2', 4, 900),
      standing('r3', 0, 0, { lineage: null }),
    ];
    expect(() => checkStandings(candidate({ replicas: ['r3'] }), standings)).not.toThrow();
  });
});

describe("the primary's roll", () => {
  const term = 5;
  const primaryId = randomUUID();
  function roll() {
    const time = { now: 0, wall: 1_000_000 };
    const one = new Roll({
      node: 'p',
      term,
      primaryId,
      clockSkewMsMax: 5_000,
      wallClock: () => time.wall,
      now: () => time.now,
    });
    const join = (node: string, instance: string, clock = time.wall) =>
      one.join({ node, instance, zone: null, clock });
    const frame = (instance: string, more: object = {}) =>
      one.frame({
        node: 'r1',
        instance,
        zone: null,
        term,
        primaryId,
        epoch: 3,
        at: 1,
        inMemory: 9,
        persisted: 8,
        ...more,
      });
    return { one, time, join, frame };
  }
  const [a, b] = [randomUUID(), randomUUID()] as const;
  const refused = (code: string) => expect.objectContaining({ type: 'refused', code });

  test('frames count of a process that has joined, and only of this primary and term', () => {
    const { join, frame } = roll();
    expect(frame(a)).toBeNull();
    expect(join('r1', a)).toEqual({ epochAbove: 0, skewMs: null });
    expect(frame(a)).toEqual({ node: 'r1', epoch: 3, at: 1, inMemory: 9, persisted: 8 });
    expect(frame(a, { zone: 'east' })).toMatchObject({ zone: 'east' });
    for (const other of [{ term: 4 }, { term: 6 }, { primaryId: randomUUID() }, { node: 'r2' }])
      expect(frame(a, other)).toBeNull();
    expect(frame(b)).toBeNull();
  });

  test('a second process of a name joins once the first has been silent, with a higher epoch; the first no longer counts', () => {
    const { time, join, frame } = roll();
    join('r1', a);
    time.now = 900;
    frame(a);
    time.now = 1_800;
    expect(join('r1', b)).toEqual(refused('ERR_ACKGATE_NODE_TWICE'));
    expect(frame(b)).toBeNull();
    time.now = 1_900;
    expect(join('r1', b)).toEqual({ epochAbove: 3, skewMs: null });
    expect(frame(a)).toBeNull();
    expect(join('r1', a)).toEqual(refused('ERR_ACKGATE_NODE_TWICE'));
    expect(frame(b, { epoch: 4 })).not.toBeNull();
    // Its first answer may have been lost.
    expect(join('r1', b)).toEqual({ epochAbove: 3, skewMs: null });
  });

  test('clocks may differ by so much, either way', () => {
    const { time, join } = roll();
    for (const [i, skew] of [-5_000, 0, 5_000].entries())
      expect(join(`r${i}`, a, time.wall + skew)).toEqual({ epochAbove: 0, skewMs: null });
    for (const skew of [-5_001, 5_001, Number.NaN])
      expect(join('new', a, time.wall + skew)).toEqual(refused('ERR_ACKGATE_CLOCK_SKEW'));
  });

  test("when the primary's clock is set, those that are in stay, which is told once; those that are new are refused", () => {
    const { time, join, frame } = roll();
    const clock = time.wall;
    join('r1', a, clock);
    time.wall -= 3_600_000;
    expect(join('r1', a, clock)).toEqual({ epochAbove: 0, skewMs: 3_600_000 });
    expect(join('r1', a, clock)).toEqual({ epochAbove: 0, skewMs: null });
    expect(frame(a)).not.toBeNull();
    expect(join('r2', b, clock)).toEqual(refused('ERR_ACKGATE_CLOCK_SKEW'));
    time.wall = clock;
    expect(join('r1', a, clock)).toEqual({ epochAbove: 0, skewMs: null });
    time.wall += 3_600_000;
    expect(join('r1', a, clock)).toEqual({ epochAbove: 0, skewMs: -3_600_000 });
  });

  test('any number of strangers that only ask take a bounded room, and nobody is lost by it who tells its cursors', () => {
    const { one, time, join, frame } = roll();
    join('r1', a);
    frame(a);
    for (let i = 0; i < 10_000; i++) join(`stranger ${i}`, randomUUID());
    expect(one.size).toBeLessThan(2_500);
    time.now += 1_000;
    expect(frame(a)).not.toBeNull();
    time.now += 1_000;
    expect(join('r1', b)).toEqual({ epochAbove: 3, skewMs: null });
    // It tells nothing yet, and is kept all the same: the node's epoch must go on.
    for (let i = 0; i < 10_000; i++) join(`other ${i}`, randomUUID());
    expect(join('r1', b)).toEqual({ epochAbove: 3, skewMs: null });
  });

  test('time in which nobody could be heard is no silence', async () => {
    let now = 0;
    let answer!: (failed?: Error) => void;
    let asked = 0;
    const attended = new AttendedTime({
      now: () => now,
      roundTrip: () => {
        asked++;
        return new Promise<void>((resolve, reject) => {
          answer = (failed) => (failed === undefined ? resolve() : reject(failed));
        });
      },
    });
    const step = async (passedMs: number, failed?: Error) => {
      attended.look();
      now += passedMs;
      answer(failed);
      await nextTurn();
      return attended.ms;
    };
    expect(await step(100)).toBe(100);
    expect(await step(100)).toBe(200);
    // This process, or the server, stood still; only one question is under way meanwhile.
    attended.look();
    for (let i = 0; i < 10; i++) attended.look();
    expect(asked).toBe(3);
    expect(await step(60_000)).toBe(500);
    // The connection was lost.
    expect(await step(10_000, new Error('disconnected'))).toBe(500);
    expect(await step(100)).toBe(600);
  });

  test("the primary's own name is taken; what the stage refused is told", () => {
    const { one, join } = roll();
    expect(join('p', a)).toEqual(refused('ERR_ACKGATE_NODE_TWICE'));
    expect(one.refuse('r1', null, 'unknown')).toBe(false);
    join('r1', a);
    expect(one.refuse('r1', 'ERR_ACKGATE_CLUSTER_FULL', 'too many')).toBe(true);
    expect(one.refuse('r1', 'ERR_ACKGATE_CLUSTER_FULL', 'too many')).toBe(false);
    expect(join('r1', a)).toEqual(refused('ERR_ACKGATE_CLUSTER_FULL'));
  });
});

describe('what is fetched', () => {
  const head = { term: 5, primaryId: randomUUID() };
  const read = (answer: unknown) => {
    const batch = decodeBatch(answer as Uint8Array);
    if (typeof batch === 'string') throw new Error(batch);
    return { ...batch, texts: batch.records.map(({ payload }) => Buffer.from(payload).toString()) };
  };

  test('comes from the files in pieces, batches with their ends, up to what is persisted; the newest from memory', async () => {
    const directory = temporaryDirectory();
    const journal = await FileJournal.open({ directory, segmentBytes: 4096 });
    for (let i = 0; i < 100; i++)
      journal.appendBatch([`${i} a`, `${i} b`, `${i} c`].map((text) => Buffer.from(text)));
    await journal.flush();
    const recent = new Recent(10_000);
    recent.add({
      first: 301,
      last: 301,
      bytes: encodeBatch({
        ...head,
        first: 301,
        last: 301,
        records: [{ payload: Buffer.from('new'), goesOn: false }],
      }),
    });
    const fetches = new FetchServer({
      ...head,
      directory,
      recent,
      persisted: () => 300,
      messageBytesMax: () => 150,
      now: () => 0,
    });
    const request = { node: 'r1', instance: randomUUID() };
    const found: string[] = [];
    let answers = 0;
    for (let from = 2; from <= 300; answers++) {
      const { first, last, records, texts } = read(fetches.answer({ ...request, from }));
      expect(first).toBe(from);
      for (const [i, { goesOn }] of records.entries()) expect(goesOn).toBe((from + i) % 3 !== 0);
      found.push(...texts);
      from = last + 1;
    }
    expect(answers).toBeGreaterThan(10);
    expect(found).toEqual(
      Array.from({ length: 299 }, (_, i) => `${Math.floor((i + 1) / 3)} ${'abc'[(i + 1) % 3]}`),
    );
    expect(read(fetches.answer({ ...request, from: 301 })).texts).toEqual(['new']);
    expect(read(fetches.answer({ ...request, from: 302 }))).toMatchObject({
      first: 302,
      last: 301,
      texts: [],
    });
    const oldest = await journal.truncateBefore(300);
    expect(fetches.answer({ ...request, from: oldest - 1 })).toMatchObject({
      type: 'refused',
      code: 'ERR_ACKGATE_SEQUENCE',
    });
    await journal.close();
  });

  test('what is kept of the newest has no gap, and a bound', () => {
    const recent = new Recent(250);
    const add = (first: number, last: number) => recent.add({ first, last, bytes: Buffer.alloc(100) });
    const find = (sequence: number) => recent.from(sequence, 100)[0]?.first;
    add(1, 5);
    add(6, 6);
    expect([1, 5, 6, 7].map(find)).toEqual([1, 1, 6, undefined]);
    add(7, 9);
    expect([5, 6, 9].map(find)).toEqual([undefined, 6, 7]);
    add(20, 21);
    expect([9, 15, 20].map(find)).toEqual([undefined, undefined, 20]);
  });
});
