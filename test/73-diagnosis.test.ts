import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { signToken, TokenVerifier } from '#ackgate/directives/index.js';
import {
  createInlineStage,
  type Directive,
  type DirectiveSnapshot,
  type DirectiveStore,
  monotonicNow,
  RecordFlag,
} from '#ackgate/index.js';
import { answer, Loopback, type Published, Rig, until } from './support/stage.js';
import { codeOf } from './support/values.js';

/** A store whose set the test swaps. */
class TestStore implements DirectiveStore {
  lastError = null;
  #snapshot: DirectiveSnapshot = { revision: 0, directives: [] };
  readonly #listeners = new Set<() => void>();

  load() {
    return this.#snapshot;
  }

  ageMs() {
    return 0;
  }

  onChange(listener: () => void) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners() {
    return this.#listeners.size;
  }

  publish(...directives: Partial<Directive>[]) {
    this.#snapshot = {
      revision: this.#snapshot.revision + 1,
      directives: directives.map((directive, index) => ({
        id: `d${index}`,
        level: 'capture',
        expiresAt: Date.now() + 3_600_000,
        ...directive,
      })),
    };
    for (const listener of this.#listeners) listener();
  }
}

const kinds = { accepted: 1, fill: 2 };

async function start(options: Parameters<typeof Rig.start>[0] = {}) {
  const rig = await Rig.start({ ...options, diagnosis: { kinds, ...options?.diagnosis } });
  const store = new TestStore();
  rig.stage.diagnosis.follow(store);
  const { near, client, id } = await rig.attach();
  let seq = 0;
  return {
    rig,
    store,
    near,
    client,
    id,
    /** Publishes answers that are durable at once, and waits for them. Returns their sequences. */
    async serve(fields: Partial<Published & { kind: number; requestId: number }>[]): Promise<number[]> {
      const sequences = fields.map((of) => {
        const { kind = 0, requestId = 0, bytes = 64, last = false } = of;
        const result = rig.stage.producer.tryPublish({
          connectionId: of.id ?? id,
          wireSeq: ++seq,
          payload: answer(seq, bytes),
          kind,
          requestId,
          receivedNs: monotonicNow(),
          lastInRequest: last,
        });
        expect(result).toBe('ok');
        return seq;
      });
      rig.stage.cursors.primary.advance(seq);
      await until('all are sent', () => {
        const { recordsReleased, recordsDiscarded } = rig.stage.status();
        return recordsReleased + recordsDiscarded === seq;
      });
      await rig.settled();
      return sequences;
    },
    captured: () => rig.stage.diagnosis.captured().map(({ wireSeq }) => wireSeq),
  };
}

describe('each level changes something that can be seen', () => {
  test('off: nothing is counted, timed or captured', async () => {
    const { rig, serve, captured } = await start();
    await serve([{}, {}]);
    const { timedRecords, shapeRecords, capturedRecords, diagnosisLevel } = rig.stage.status();
    expect({ timedRecords, shapeRecords, capturedRecords, diagnosisLevel }).toEqual({
      timedRecords: 0,
      shapeRecords: 0,
      capturedRecords: 0,
      diagnosisLevel: 'off',
    });
    expect(captured()).toEqual([]);
  });

  test('shape: sizes and what became of the records are counted', async () => {
    const { rig, serve, id, store, captured } = await start({ ring: { maxPayload: 8192, capacity: 64 } });
    store.publish({ level: 'shape' });
    await rig.settled();
    await serve([{ bytes: 64 }, { bytes: 65 }, { bytes: 1024 }, { bytes: 5000 }]);
    rig.publish({ id, seq: 100, number: 5, bypass: true });
    await until('the bypass has gone', () => rig.stage.status().shapeBypassed === 1);
    rig.publish({ id, seq: 5, number: 6 });
    await until('the gate has held one', () => rig.stage.status().gateClosed === 1);
    rig.stage.cursors.primary.advance(5);
    await until('it has gone', () => rig.stage.status().shapeRecords === 6);
    expect(rig.stage.status().shapeHeld).toBeGreaterThan(0);
    const status = rig.stage.status();
    expect(status).toMatchObject({
      diagnosisLevel: 'shape',
      directivesRevision: 1,
      shapeRecords: 6,
      shapeBytes: 64 + 65 + 1024 + 5000 + 64 + 64,
      shapeUpTo64: 3,
      shapeUpTo256: 1,
      shapeUpTo1024: 1,
      shapeUpTo4096: 0,
      shapeLarger: 1,
      shapeDiscarded: 0,
      timedRecords: 0,
      capturedRecords: 0,
    });
    expect(captured()).toEqual([]);
    expect(rig.stage.timings.encode.count).toBe(0);
  });

  test('shape counts answers to clients who are gone', async () => {
    const { rig, serve, id, store } = await start();
    store.publish({ level: 'shape' });
    await rig.settled();
    rig.stage.disconnect(id, { when: 'now' });
    await until('it is gone', () => rig.closed.length + rig.dropped.length === 1);
    await serve([{}, {}]);
    expect(rig.stage.status()).toMatchObject({ shapeRecords: 2, shapeDiscarded: 2 });
  });

  test('timing: histograms, and each record’s own times', async () => {
    const { rig, serve, store } = await start();
    store.publish({ level: 'timing' });
    await rig.settled();
    await serve([{ requestId: 9, kind: 2, last: true }]);
    const { timings, diagnosis } = rig.stage;
    expect([timings.encode.count, timings.serverEndToEnd.count, timings.ringWait.count]).toEqual([1, 1, 1]);
    expect(timings.flush.count).toBeGreaterThan(0);
    const [entry, ...others] = diagnosis.captured();
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      number: 1,
      level: 'timing',
      wireSeq: 1,
      requestId: 9,
      kind: 2,
      flags: RecordFlag.lastInRequest,
      bodyBytes: 64,
      body: new Uint8Array(0),
    });
    const times = [entry.receivedNs, entry.finishedNs, entry.seenNs, entry.releasedNs, entry.deliveredNs];
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.min(...times, entry.encodeNs)).toBeGreaterThan(0);
    expect(Math.abs(entry.unixMs - Date.now())).toBeLessThan(60_000);
  });

  test('capture: the frames themselves', async () => {
    const { rig, serve, store } = await start();
    store.publish({ level: 'capture' });
    await rig.settled();
    await serve([{}, {}]);
    const entries = rig.stage.diagnosis.captured();
    expect(entries.map(({ body }) => Buffer.from(body))).toEqual([answer(1), answer(2)].map(Buffer.from));
    expect(rig.stage.diagnosis.captured(1).map(({ number }) => number)).toEqual([2]);
    expect(rig.stage.timings.encode.count).toBe(2);
  });
});

describe('a directive', () => {
  test('takes the kind, connection and tenant that it names', async () => {
    const { rig, serve, id, store, captured } = await start();
    const other = await rig.attach();
    expect(rig.stage.diagnosis.setTenant(other.id, 'blue')).toBe(true);
    store.publish({ kind: 'fill' });
    await rig.settled();
    const [, fill] = await serve([{ kind: 1 }, { kind: 2 }, { kind: 0 }]);
    expect(captured()).toEqual([fill]);

    store.publish({ connection: other.id });
    await rig.settled();
    const [, its] = await serve([{ id }, { id: other.id }]);
    expect(captured()).toEqual([fill, its]);

    store.publish({ tenant: 'blue', kind: 'accepted' });
    await rig.settled();
    const [, , blue] = await serve([{ id, kind: 1 }, { id: other.id }, { id: other.id, kind: 1 }]);
    expect(captured()).toEqual([fill, its, blue]);

    store.publish({ kind: 'unheard of' }, { tenant: 'red' });
    await rig.settled();
    await serve([{ kind: 0 }, { id: other.id, kind: 1 }]);
    expect(captured()).toEqual([fill, its, blue]);
  });

  test('samples by request id, alike for every retry, and takes nobody unknown', async () => {
    const { rig, serve, store, captured } = await start({ diagnosis: { captureRecords: 2000 } });
    store.publish({ samplePerMille: 100 });
    await rig.settled();
    const ids = Array.from({ length: 1000 }, (_, index) => index + 1);
    await serve(ids.map((requestId) => ({ requestId })));
    const taken = rig.stage.diagnosis.captured().map(({ requestId }) => requestId);
    expect(taken.length).toBeGreaterThan(50);
    expect(taken.length).toBeLessThan(150);
    await serve(ids.map((requestId) => ({ requestId })));
    const again = rig.stage.diagnosis.captured(taken.length).map(({ requestId }) => requestId);
    expect(again).toEqual(taken);
    await serve([{ requestId: 0 }]);
    expect(captured().length).toBe(2 * taken.length);
  });

  test('ends by itself', async () => {
    const { rig, serve, store, captured } = await start();
    store.publish({ expiresAt: Date.now() + 150 });
    await rig.settled();
    expect(rig.stage.status().diagnosisLevel).toBe('capture');
    await until('it has expired', () => rig.stage.status().diagnosisLevel === 'off');
    await serve([{}]);
    expect(captured()).toEqual([]);
  });

  test('reaches records that wait already: what holds them up is often what was asked about', async () => {
    const { rig, store, id, captured } = await start();
    rig.publish({ id, seq: 7, number: 1 });
    await until('the gate has closed', () => rig.stage.status().gateClosed === 1);
    store.publish({ level: 'capture' });
    await rig.settled();
    rig.stage.cursors.primary.advance(7);
    await until('it was taken down', () => rig.stage.status().capturedRecords === 1);
    expect(captured()).toEqual([7]);
    expect(rig.stage.status().shapeHeld).toBe(1);
  });

  test('of another store counts no more once that is not followed', async () => {
    const { rig, store, serve, captured } = await start();
    store.publish({ level: 'capture' });
    rig.stage.diagnosis.follow(new TestStore());
    expect(store.listeners).toBe(0);
    await rig.settled();
    await serve([{}]);
    expect(captured()).toEqual([]);
    rig.stage.diagnosis.follow(store);
    await rig.settled();
    await serve([{}]);
    expect(captured()).toEqual([2]);
    rig.stage.diagnosis.follow(null);
    await rig.settled();
    await serve([{}]);
    expect(captured()).toEqual([2]);
    expect(rig.stage.diagnosis.store).toBe(null);
  });
});

test('the level never falls below the baseline', async () => {
  const { rig, serve, store, captured } = await start({ diagnosis: { baseline: 'timing' } });
  expect(rig.stage.diagnosis.baseline).toBe('timing');
  store.publish({ level: 'shape' });
  await rig.settled();
  await serve([{}]);
  expect(captured()).toEqual([1]);
  rig.stage.diagnosis.setBaseline('off');
  await rig.settled();
  await serve([{}]);
  expect(captured()).toEqual([1]);
  expect(rig.stage.status().shapeRecords).toBe(2);
});

test('a grant raises one connection until it expires, and not the next one in its place', async () => {
  const { rig, serve, id, captured } = await start({ connections: 2 });
  const other = await rig.attach();
  expect(rig.stage.diagnosis.raise(id, { level: 'capture', expiresAt: Date.now() + 60_000 })).toBe(true);
  await rig.settled();
  const [mine] = await serve([{ id }, { id: other.id }]);
  expect(captured()).toEqual([mine]);

  rig.stage.disconnect(id, { when: 'now' });
  await until('it is gone', () => rig.closed.length + rig.dropped.length === 1);
  expect(rig.stage.diagnosis.raise(id, { level: 'capture', expiresAt: Date.now() + 60_000 })).toBe('gone');
  const next = await rig.attach();
  await serve([{ id: next.id }]);
  expect(captured()).toEqual([mine]);

  rig.stage.diagnosis.raise(next.id, { level: 'capture', expiresAt: Date.now() - 1 });
  await rig.settled();
  await serve([{ id: next.id }]);
  expect(captured()).toEqual([mine]);
});

describe('the capture ring', () => {
  test('keeps the newest, and the first bytes of each', async () => {
    const { rig, serve, store } = await start({ diagnosis: { captureRecords: 4, captureBytes: 10 } });
    store.publish({ level: 'capture' });
    await rig.settled();
    await serve(Array.from({ length: 11 }, () => ({})));
    const entries = rig.stage.diagnosis.captured();
    expect(entries.map(({ number }) => number)).toEqual([8, 9, 10, 11]);
    for (const { body, bodyBytes, wireSeq } of entries) {
      expect(bodyBytes).toBe(64);
      expect(Buffer.from(body)).toEqual(Buffer.from(answer(wireSeq)).subarray(0, 10));
    }
  });

  test('shows what the redactor left; when that fails, nothing of the body, and the answer goes out unchanged', async () => {
    const redactor = new URL('./fixtures/redactor.mjs', import.meta.url);
    const { rig, serve, store, client } = await start({ diagnosis: { redactor } });
    store.publish({ level: 'capture' });
    await rig.settled();
    await serve([{}, { kind: 66 }, { kind: 66 }]);
    const [redacted, failed] = rig.stage.diagnosis.captured();
    expect(Buffer.from(redacted.body)).toEqual(Buffer.concat([Buffer.of(0x10), Buffer.alloc(63, 0x2a)]));
    expect(failed.body).toEqual(new Uint8Array(0));
    expect(rig.stage.status().captureErrors).toBe(2);
    expect(rig.log.filter(({ message }) => message.startsWith('redactor failed'))).toHaveLength(1);
    expect(await client.untilAnswers(3)).toEqual([1, 2, 3]);
  });

  test('a redactor module without a function is refused', async () => {
    const redactor = new URL('./support/values.ts', import.meta.url);
    await expect(Rig.open({ diagnosis: { redactor } })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_REDACTOR_MODULE',
    });
  });

  test('an inline stage takes the redactor as it is', () => {
    const redactor = (body: Uint8Array) => void body.fill(1);
    const stage = createInlineStage({ connections: 1, diagnosis: { redactor } });
    stage.close({ drainMs: 0 });
    while (!['closed', 'failed'].includes(stage.status().state)) stage.doWork();
    const bad = { connections: 1, diagnosis: { redactor: 5 as never } };
    expect(codeOf(() => createInlineStage(bad))).toBe('ERR_ACKGATE_REDACTOR_MODULE');
  });
});

describe('never shows what it must not', () => {
  const encoder = new URL('./fixtures/stage-encoder.mjs', import.meta.url);

  test.each([
    ['as it is', {}],
    ['encoded', { encoder }],
  ])('no body is captured of an answer, %s, whose client is gone', async (_, options) => {
    const { rig, store, id } = await start(options);
    const other = await rig.attach();
    store.publish({ connection: id });
    await rig.settled();
    // Both wait; then one is gone, and its answer comes right behind the other's, longer one.
    rig.publish({ id: other.id, seq: 1, number: 1, bytes: 60 });
    rig.publish({ id, seq: 2, number: 2, bytes: 20 });
    rig.stage.disconnect(id, { when: 'now' });
    await until('it is gone', () => rig.closed.length + rig.dropped.length === 1);
    rig.stage.cursors.primary.advance(2);
    await until('both were taken', () => rig.stage.status().recordsIn === 2);
    await rig.settled();
    const entries = rig.stage.diagnosis.captured();
    expect(entries.map(({ connectionId, body }) => [connectionId, body])).toEqual([[id, new Uint8Array(0)]]);
    expect(entries[0].bodyBytes).toBe(0);
    const { shapeRecords, shapeDiscarded, shapeBytes } = rig.stage.status();
    expect({ shapeRecords, shapeDiscarded, shapeBytes }).toEqual({
      shapeRecords: 1,
      shapeDiscarded: 1,
      shapeBytes: 0,
    });
  });

  // Each would leave what it was given as it is.
  const wrong: [string, unknown][] = [
    ['returns the redacted body', (body: Uint8Array) => body.slice().fill(0)],
    ['returns a promise', () => Promise.resolve().then(() => {})],
    ['returns a promise that rejects', () => Promise.reject(new Error('later'))],
    [
      'gives the body away',
      (body: Uint8Array) => void structuredClone(body, { transfer: [body.buffer as ArrayBuffer] }),
    ],
  ];
  test.each(wrong)('no body is captured when the redactor %s', async (_, redactor) => {
    const net = await Loopback.open('tcp');
    const stage = createInlineStage({
      connections: 1,
      diagnosis: { baseline: 'capture', redactor: redactor as never },
    });
    onTestFinished(async () => {
      stage.close({ drainMs: 0 });
      while (!['closed', 'failed'].includes(stage.status().state)) stage.doWork();
      await net.close();
    });
    const { near, client } = await net.connect();
    const connectionId = stage.attach(near);
    for (let seq = 1; seq <= 3; seq++) {
      stage.producer.tryPublish({ connectionId, wireSeq: 0, payload: answer(seq) });
      stage.doWork();
    }
    const loop = setInterval(() => stage.doWork(), 1);
    await client.untilAnswers(3).finally(() => clearInterval(loop));
    expect(client.answers).toEqual([1, 2, 3]);
    const entries = stage.diagnosis.captured();
    expect(entries.map(({ bodyBytes }) => bodyBytes)).toEqual([64, 64, 64]);
    for (const { body } of entries) expect(body).toEqual(new Uint8Array(0));
    await until('the status is written', () => {
      stage.doWork();
      return stage.status().recordsIn === 3;
    });
    expect(stage.status().captureErrors).toBe(3);
  });

  test('an async redactor is refused', () => {
    const redactor = (async () => {}) as never;
    expect(codeOf(() => createInlineStage({ connections: 1, diagnosis: { redactor } }))).toBe(
      'ERR_ACKGATE_REDACTOR_MODULE',
    );
  });

  // A store of somebody else's need not check anything.
  const lost: [string, object][] = [
    ['connection null', { connection: null }],
    ['connection undefined', { connection: undefined }],
    ['connection -1', { connection: -1 }],
    ['connection NaN', { connection: Number.NaN }],
    ['tenant null', { tenant: null }],
    ['tenant undefined', { tenant: undefined }],
    ['tenant empty', { tenant: '' }],
    ['kind null', { kind: null }],
    ['kind undefined', { kind: undefined }],
    ['kind a number', { kind: 1 }],
    ['a rate that is none', { samplePerMille: 'all' }],
  ];
  test.each(lost)('a target that got lost, %s, is not everyone', async (_, target) => {
    const { rig, serve, store, captured } = await start();
    store.publish(target as Partial<Directive>);
    await rig.settled();
    await serve([{ kind: 1, requestId: 5 }, {}]);
    expect(captured()).toEqual([]);
  });

  test('what has expired while the record waited counts no more, whatever else is in force', async () => {
    const { rig, store, id, captured } = await start({ diagnosis: { baseline: 'shape' } });
    const expiresAt = Date.now() + 300;
    store.publish({ level: 'capture', expiresAt });
    rig.publish({ id, seq: 1 });
    await until('it waits', () => rig.stage.status().gateClosed === 1);
    await until('it has expired', () => rig.stage.status().diagnosisLevel === 'shape');
    rig.stage.cursors.primary.advance(1);
    await until('it has gone', () => rig.stage.status().shapeRecords === 1);
    expect(captured()).toEqual([]);
  });
});

describe('what is switched on while records wait', () => {
  test('does not claim to know since when they have been seen', async () => {
    const { rig, store, id } = await start();
    rig.publish({ id, seq: 1 });
    await until('it waits', () => rig.stage.status().gateClosed === 1);
    store.publish({ level: 'timing' });
    await rig.settled();
    rig.publish({ id, seq: 2 });
    await rig.settled();
    rig.stage.cursors.primary.advance(2);
    await until('both have gone', () => rig.stage.status().timedRecords === 2);
    const [before, after] = rig.stage.diagnosis.captured();
    expect(before.seenNs).toBe(0);
    expect(after.seenNs).toBeGreaterThan(0);
    expect(rig.stage.timings.ringWait.count).toBe(1);
  });

  test('times no record twice when it is switched off and on again', async () => {
    const { rig, store, id } = await start();
    store.publish({ level: 'timing' });
    await rig.settled();
    rig.publish({ id, seq: 1 });
    await until('it was seen', () => rig.stage.timings.ringWait.count === 1);
    for (let i = 0; i < 2; i++) {
      store.publish();
      await rig.settled();
      store.publish({ level: 'timing' });
      await rig.settled();
    }
    rig.stage.cursors.primary.advance(1);
    await until('it has gone', () => rig.stage.status().timedRecords === 1);
    expect(rig.stage.timings.ringWait.count).toBe(1);
  });

  test('counts them as held, also when it is looked at again as the gate opens', async () => {
    const { rig, store, id } = await start();
    store.publish({ level: 'shape' });
    await rig.settled();
    rig.publish({ id, seq: 1 });
    await rig.settled();
    // One round sees both.
    rig.stage.diagnosis.setBaseline('shape');
    rig.stage.cursors.primary.advance(1);
    await until('it has gone', () => rig.stage.status().shapeRecords === 1);
    expect(rig.stage.status().shapeHeld).toBe(1);
  });

  test('a grant reaches them too', async () => {
    const { rig, id, captured } = await start();
    rig.publish({ id, seq: 1 });
    await until('it waits', () => rig.stage.status().gateClosed === 1);
    rig.stage.diagnosis.raise(id, { level: 'capture', expiresAt: Date.now() + 60_000 });
    await rig.settled();
    rig.stage.cursors.primary.advance(1);
    await until('it has gone', () => rig.stage.status().capturedRecords === 1);
    expect(captured()).toEqual([1]);
  });
});

test('the level in force falls with the session that raised it, or its next grant', async () => {
  const { rig, id } = await start();
  const other = await rig.attach();
  const { diagnosis } = rig.stage;
  const expiresAt = Date.now() + 60_000;
  const untilLevel = (level: string) =>
    until(`the level is ${level}`, () => rig.stage.status().diagnosisLevel === level);
  diagnosis.raise(id, { level: 'capture', expiresAt });
  diagnosis.raise(other.id, { level: 'shape', expiresAt });
  await untilLevel('capture');
  diagnosis.raise(id, { level: 'timing', expiresAt });
  await untilLevel('timing');
  rig.stage.disconnect(id, { when: 'now' });
  await untilLevel('shape');
  rig.stage.disconnect(other.id, { when: 'now' });
  await untilLevel('off');
});

test('a signed token raises one session, end to end', async () => {
  const { rig, serve, id, captured } = await start();
  const key = 'a key of this test, long enough';
  const verifier = new TokenVerifier({ keys: { k1: key }, instance: 'here' });
  const exp = Math.floor(Date.now() / 1000) + 60;
  const token = signToken({ kid: 'k1', level: 'capture', exp, instance: 'here' }, key);
  const elsewhere = new TokenVerifier({ keys: { k1: key }, instance: 'there' });
  expect(elsewhere.verify(token)).toBe(null);
  expect(verifier.verify(`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`)).toBe(null);
  const grant = verifier.verify(token);
  expect(grant).toMatchObject({ level: 'capture', expiresAt: exp * 1000 });
  rig.stage.diagnosis.raise(id, grant!);
  await rig.settled();
  await serve([{}]);
  expect(captured()).toEqual([1]);
});

test('a store that fails is not followed, and the one before still is', async () => {
  const { rig, store, serve, captured } = await start();
  const broken = new TestStore();
  broken.load = () => {
    throw new Error('no set to be had');
  };
  expect(() => rig.stage.diagnosis.follow(broken)).toThrow('no set to be had');
  expect(rig.stage.diagnosis.store).toBe(store);
  expect(broken.listeners).toBe(0);
  store.publish({ level: 'capture' });
  await rig.settled();
  await serve([{}]);
  expect(captured()).toEqual([1]);
  expect(codeOf(() => store.publish({ level: 'loud' as never }))).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  expect(codeOf(() => store.publish({ expiresAt: Number.NaN }))).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
});

test('any thread reads histograms, status and captures', async () => {
  const { rig, serve, store } = await start();
  store.publish({ level: 'capture' });
  await rig.settled();
  await serve([{}, {}, {}]);
  const reader = new Worker(new URL('./fixtures/stage-reader.mjs', import.meta.url), {
    workerData: rig.stage.share(),
  });
  try {
    const read = once(reader, 'message');
    reader.postMessage('read');
    const [seen] = await read;
    expect(seen).toMatchObject({ count: 3, timedRecords: 3, diagnosisLevel: 'capture' });
    expect(seen.captured.map(({ wireSeq }: { wireSeq: number }) => wireSeq)).toEqual([1, 2, 3]);
  } finally {
    await reader.terminate();
  }
});

describe('where the time went', () => {
  test('busy and idle add up, and a closed gate is counted to whoever binds', async () => {
    const rig = await Rig.start({ policy: 'hybrid' });
    const { id } = await rig.attach();
    const replica = rig.stage.cursors.node('r1');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ blocker: 'degraded', gateClosedSinceNs: 0, waitingSeq: 0 });
    const closedNanos = () => {
      const { gateClosedJournalNanos, gateClosedReplicationNanos, gateClosedDegradedNanos } =
        rig.stage.status();
      return [gateClosedDegradedNanos, gateClosedReplicationNanos, gateClosedJournalNanos];
    };
    expect(closedNanos()).toEqual([0, 0, 0]);

    rig.publish({ id, seq: 3, number: 1 });
    await until('time passes degraded', () => closedNanos()[0] > 0);
    const degraded = rig.stage.status();
    expect(degraded).toMatchObject({ waitingSeq: 3, highestSeq: 3, gateClosed: 1 });
    expect(degraded.gateClosedSinceNs).toBeGreaterThan(0);
    expect(closedNanos().slice(1)).toEqual([0, 0]);

    // In this order: with both at 0 it would be the journal for a moment.
    rig.stage.cursors.primary.advance(3);
    replica.connect({ persisted: 0 });
    await until('time passes behind the replica', () => closedNanos()[1] > 0);
    expect(rig.stage.status().blocker).toBe('replication');
    expect(rig.stage.status().gateClosedSinceNs).toBe(degraded.gateClosedSinceNs);
    expect(closedNanos()[2]).toBe(0);

    replica.advance({ inMemory: 9 });
    await until('it is open', () => rig.stage.status().gateClosed === 0);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ gateClosedSinceNs: 0, waitingSeq: 0, blocker: 'journal' });
    rig.publish({ id, seq: 4, number: 2 });
    await until('time passes behind the journal', () => closedNanos()[2] > 0);

    const { busyNanos, idleNanos, lastDoWorkNs } = rig.stage.status();
    expect(busyNanos).toBeGreaterThan(0);
    expect(idleNanos).toBeGreaterThan(0);
    expect(busyNanos + idleNanos).toBeLessThanOrEqual(lastDoWorkNs);
  });

  test('flushes are counted by how many connections were in them', async () => {
    const rig = await Rig.start();
    const clients = [];
    for (let i = 0; i < 5; i++) clients.push(await rig.attach());
    rig.publish({ id: clients[0].id, seq: 0, number: 1 });
    await clients[0].client.untilAnswers(1);
    for (const [index, { id }] of clients.entries()) rig.publish({ id, seq: 1, number: index });
    await until('all wait', () => rig.stage.status().ringDepth === 5);
    rig.stage.cursors.primary.advance(1);
    for (const { client } of clients.slice(1)) await client.untilAnswers(1);
    await rig.settled();
    const status = rig.stage.status();
    expect(status.flushesUpTo1).toBeGreaterThanOrEqual(1);
    expect(status.flushesUpTo16).toBeGreaterThanOrEqual(1);
    const { flushesUpTo1, flushesUpTo4, flushesUpTo16, flushesUpTo64, flushes } = status;
    expect(flushesUpTo1 + flushesUpTo4 + flushesUpTo16 + flushesUpTo64).toBe(flushes);
  });
});

test('a set that can’t be compiled is refused, and the one in force stays', async () => {
  const { rig, store, serve, captured } = await start();
  store.publish({ level: 'capture' });
  await rig.settled();
  const many = Array.from({ length: 257 }, () => ({}));
  expect(codeOf(() => store.publish(...many))).toBe('ERR_ACKGATE_OUT_OF_RANGE');
  await rig.settled();
  await serve([{}]);
  expect(captured()).toEqual([1]);
});

test('what can not be meant is refused by name', async () => {
  const { rig, id } = await start();
  const { diagnosis } = rig.stage;
  const argument = 'ERR_ACKGATE_INVALID_ARGUMENT';
  const range = 'ERR_ACKGATE_OUT_OF_RANGE';
  for (const tenant of ['', 'x'.repeat(65), 5, null, undefined]) {
    expect(codeOf(() => diagnosis.setTenant(id, tenant as string))).toBe(argument);
  }
  for (const store of [{}, 5, undefined])
    expect(codeOf(() => diagnosis.follow(store as never))).toBe(argument);
  expect(codeOf(() => diagnosis.raise(id, { level: 'loud' as never, expiresAt: 0 }))).toBe(argument);
  expect(codeOf(() => diagnosis.raise(id, null as never))).toBe(argument);
  for (const expiresAt of [Number.NaN, -1, Date.now() + 2 * 3_600_000, '1' as never]) {
    expect(codeOf(() => diagnosis.raise(id, { level: 'shape', expiresAt }))).toBe(range);
  }
  expect(codeOf(() => diagnosis.raise(id + 99, { level: 'shape', expiresAt: 0 }))).toBe(
    'ERR_ACKGATE_UNKNOWN_CONNECTION',
  );
  for (const after of [-1, Number.NaN, '5' as never]) {
    expect(codeOf(() => diagnosis.captured(after))).toBe(range);
  }
  const open = (options: object) => Rig.open({ diagnosis: options });
  await expect(open({ baseline: 'loud' })).rejects.toMatchObject({ code: argument });
  await expect(open({ kinds: { fill: 70_000 } })).rejects.toMatchObject({ code: range });
  await expect(open({ kinds: 5 })).rejects.toMatchObject({ code: argument });
  await expect(open({ captureRecords: 0 })).rejects.toMatchObject({ code: range });
  await expect(open({ captureBytes: -1 })).rejects.toMatchObject({ code: range });
  await expect(open({ levels: 1 })).rejects.toMatchObject({ code: 'ERR_ACKGATE_UNKNOWN_OPTION' });
});
