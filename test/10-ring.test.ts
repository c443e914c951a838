import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { Consumer, RingObserver } from '#ackgate/ring/consumer.js';
import {
  claimFull,
  claimOversize,
  claimStopped,
  createRing,
  Producer,
  RecordFlag,
  type ResponseRecord,
  type RingHandle,
  type RingPeer,
} from '#ackgate/ring/index.js';
import { ringBytes, ringHandle } from '#ackgate/ring/layout.js';
import { startAt } from './fixtures/ring-stream.mjs';
import { bytesOf, codeOf } from './support/values.js';

function create(options: { capacity?: number; maxPayload?: number; position?: number } = {}) {
  const { position = 0, capacity = 4, maxPayload = 64 } = options;
  const handle = createRing({ capacity, maxPayload });
  startAt(handle, position);
  return {
    handle,
    producer: new Producer(handle),
    consumer: new Consumer(handle),
    observer: new RingObserver(handle),
  };
}

function record(wireSeq: number, payload: Uint8Array = Uint8Array.of(wireSeq & 0xff)): ResponseRecord {
  return { connectionId: 7, wireSeq, payload };
}

/** Everything that the reader sees of a record, copied. */
function seen(consumer: Consumer, ahead = 0) {
  const record = consumer.at(ahead);
  const { wireSeq, connectionId, kind, flags, receivedNs, finishedNs, requestId } = record;
  const { bytes, payloadBytes, payloadAt } = record;
  const payload = Array.from(bytes.subarray(0, payloadBytes));
  const inMemory = consumer.memory.bytes.subarray(payloadAt, payloadAt + payloadBytes);
  expect(Array.from(inMemory)).toEqual(payload);
  return { wireSeq, connectionId, kind, flags, receivedNs, finishedNs, requestId, payload };
}

const peer = (parts: Partial<RingPeer>): RingPeer => ({
  stopped: () => false,
  published: () => {},
  stampNs: () => 0,
  ...parts,
});

describe('claim, publish, abort', () => {
  test('nothing is visible before publish, everything after it', () => {
    const { producer, consumer } = create();
    const at = producer.claim(3);
    producer.bytes.set([1, 2, 3], at);
    expect(consumer.available()).toBe(0);
    producer.identify(2 ** 53 - 1);
    producer.publish(2 ** 53 - 1, 2 ** 53 - 1, 0xffff, 0x1234, 2 ** 50 + 1);
    expect(consumer.available()).toBe(1);
    expect(seen(consumer)).toEqual({
      wireSeq: 2 ** 53 - 1,
      connectionId: 2 ** 53 - 1,
      kind: 0x1234,
      flags: 0xffff,
      receivedNs: 2 ** 50 + 1,
      finishedNs: 0,
      requestId: 2 ** 53 - 1,
      payload: [1, 2, 3],
    });
  });

  test('a request id is of one record only, and set between claim and publish', () => {
    const { producer, consumer } = create();
    expect(codeOf(() => producer.identify(1))).toBe('ERR_ACKGATE_RING_ORDER');
    for (const requestId of [7, 0, 8, 0, 0, 9]) {
      producer.claim(0);
      if (requestId !== 0) producer.identify(requestId);
      producer.publish(1, 1);
      expect(consumer.available()).toBe(1);
      expect(seen(consumer).requestId).toBe(requestId);
      consumer.release(1);
    }
  });

  test('an aborted claim leaves no trace and its slot is claimed again', () => {
    const { producer, consumer } = create();
    const at = producer.claim(64);
    producer.bytes.fill(0xee, at, at + 64);
    producer.abort();
    expect(producer.claim(1)).toBe(at);
    producer.bytes[at] = 5;
    producer.publish(1, 1);
    expect(consumer.available()).toBe(1);
    expect(seen(consumer).payload).toEqual([5]);
    producer.abort();
    expect(consumer.available()).toBe(1);
  });

  test('an empty payload and one of maxPayload bytes', () => {
    const { producer, consumer } = create({ maxPayload: 65 });
    const longest = bytesOf(65, 3);
    expect(producer.tryPublish(record(1, new Uint8Array(0)))).toBe('ok');
    expect(producer.tryPublish(record(2, longest))).toBe('ok');
    expect(consumer.available()).toBe(2);
    expect(seen(consumer, 0).payload).toEqual([]);
    expect(seen(consumer, 1).payload).toEqual(Array.from(longest));
  });

  test('claims and publishes out of order are refused and change nothing', () => {
    const { producer, consumer } = create();
    expect(codeOf(() => producer.publish(1, 1))).toBe('ERR_ACKGATE_RING_ORDER');
    producer.claim(0);
    expect(codeOf(() => producer.claim(0))).toBe('ERR_ACKGATE_RING_ORDER');
    producer.publish(1, 1);
    expect(codeOf(() => producer.publish(1, 1))).toBe('ERR_ACKGATE_RING_ORDER');
    expect(consumer.available()).toBe(1);
  });

  test('flags and optional fields of tryPublish', () => {
    const { producer, consumer } = create();
    const payload = Uint8Array.of(9);
    producer.tryPublish({ connectionId: 1, wireSeq: 2, payload, lastInRequest: true });
    producer.tryPublish({ connectionId: 1, wireSeq: 0, payload, durabilityBypass: true, kind: 65_535 });
    producer.tryPublish({ connectionId: 0, wireSeq: 3, payload, receivedNs: 12.5 });
    expect(consumer.available()).toBe(3);
    expect(seen(consumer, 0)).toMatchObject({ flags: RecordFlag.lastInRequest, kind: 0, receivedNs: 0 });
    expect(seen(consumer, 1)).toMatchObject({ flags: RecordFlag.durabilityBypass, kind: 65_535, wireSeq: 0 });
    expect(seen(consumer, 2)).toMatchObject({ flags: 0, receivedNs: 12.5, connectionId: 0 });
  });

  test('the peer is told after every publish, and stamps the record', () => {
    const { handle, consumer } = create();
    const told: number[] = [];
    const producer = new Producer(
      handle,
      peer({ published: () => told.push(consumer.available()), stampNs: () => 77 }),
    );
    producer.tryPublish(record(1));
    producer.tryPublish(record(2));
    expect(told).toEqual([1, 2]);
    expect(seen(consumer).finishedNs).toBe(77);
  });
});

describe('what is full, too long or over', () => {
  test('full is a value, until the reader hands a slot back', () => {
    const { producer, consumer } = create();
    for (let i = 1; i <= 4; i++) expect(producer.tryPublish(record(i))).toBe('ok');
    expect(producer.tryPublish(record(5))).toBe('full');
    expect(producer.claim(1)).toBe(claimFull);
    consumer.release(1);
    expect(producer.tryPublish(record(5))).toBe('ok');
    expect(producer.tryPublish(record(6))).toBe('full');
    expect(consumer.available()).toBe(4);
    expect([0, 1, 2, 3].map((ahead) => consumer.at(ahead).wireSeq)).toEqual([2, 3, 4, 5]);
  });

  test('an oversize payload is a value, also when the ring is full, and claims nothing', () => {
    const { producer } = create();
    expect(producer.claim(65)).toBe(claimOversize);
    expect(producer.tryPublish(record(1, new Uint8Array(65)))).toBe('oversize');
    for (let i = 1; i <= 4; i++) expect(producer.tryPublish(record(i))).toBe('ok');
    expect(producer.tryPublish(record(1, new Uint8Array(65)))).toBe('oversize');
  });

  test('a reader that has stopped is a value', () => {
    const { handle, consumer } = create();
    let stopped = false;
    const producer = new Producer(handle, peer({ stopped: () => stopped }));
    expect(producer.tryPublish(record(1))).toBe('ok');
    stopped = true;
    expect(producer.tryPublish(record(2))).toBe('stopped');
    expect(producer.claim(1)).toBe(claimStopped);
    expect(consumer.available()).toBe(1);
  });
});

describe('bad arguments', () => {
  const bad: [string, unknown, string][] = [
    ['a record that is none', undefined, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['payload of text', { ...record(1), payload: 'text' }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['payload left out', { connectionId: 1, wireSeq: 1 }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ...[Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY].map((value): [string, unknown, string] => [
      `wireSeq ${String(value)}`,
      { ...record(1), wireSeq: value },
      'ERR_ACKGATE_SEQUENCE',
    ]),
    ...['wireSeq', 'connectionId', 'kind', 'receivedNs', 'requestId'].flatMap((name) =>
      ['1', null, 1n, true, {}].map((value): [string, unknown, string] => [
        `${name} ${typeof value}`,
        { ...record(1), [name]: value },
        'ERR_ACKGATE_INVALID_ARGUMENT',
      ]),
    ),
    ...['lastInRequest', 'durabilityBypass'].flatMap((name) =>
      ['false', 'true', '', 0, 1, null, {}].map((value): [string, unknown, string] => [
        `${name} ${JSON.stringify(value)}`,
        { ...record(1), [name]: value },
        'ERR_ACKGATE_INVALID_ARGUMENT',
      ]),
    ),
    ['connectionId left out', { ...record(1), connectionId: undefined }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ...[Number.NaN, -1, 0.5, 2 ** 53].map((value): [string, unknown, string] => [
      `connectionId ${String(value)}`,
      { ...record(1), connectionId: value },
      'ERR_ACKGATE_OUT_OF_RANGE',
    ]),
    ...[-1, 65_536, 1.5, Number.NaN].map((value): [string, unknown, string] => [
      `kind ${String(value)}`,
      { ...record(1), kind: value },
      'ERR_ACKGATE_OUT_OF_RANGE',
    ]),
    ...[-1, Number.NaN, Number.POSITIVE_INFINITY].map((value): [string, unknown, string] => [
      `receivedNs ${String(value)}`,
      { ...record(1), receivedNs: value },
      'ERR_ACKGATE_OUT_OF_RANGE',
    ]),
    ...[-1, 0.5, 2 ** 53, Number.NaN].map((value): [string, unknown, string] => [
      `requestId ${String(value)}`,
      { ...record(1), requestId: value },
      'ERR_ACKGATE_OUT_OF_RANGE',
    ]),
  ];

  test.each(bad)('%s', (_, value, code) => {
    const { producer, consumer, observer } = create();
    expect(codeOf(() => producer.tryPublish(value as ResponseRecord))).toBe(code);
    expect(consumer.available()).toBe(0);
    // Neither a claim nor a sequence stays behind.
    expect(producer.tryPublish(record(1))).toBe('ok');
    expect(observer.highestSeq()).toBe(1);
  });

  test.each([
    ['durabilityBypass', 'false', /^durabilityBypass must be true or false, got "false"$/],
    ['lastInRequest', 1, /^lastInRequest must be true or false, got 1$/],
    ['wireSeq', '5', /^wireSeq must be .*, got "5"$/],
    ['kind', '5', /^kind must be .*, got "5"$/],
  ])('%s: %j is quoted in what is said', (name, value, message) => {
    const { producer } = create();
    expect(() => producer.tryPublish({ ...record(1), [name]: value })).toThrow(message);
  });

  test.each([
    [{}, 0],
    [{ lastInRequest: undefined, durabilityBypass: undefined }, 0],
    [{ lastInRequest: false, durabilityBypass: false }, 0],
    [{ lastInRequest: true }, RecordFlag.lastInRequest],
    [{ durabilityBypass: true }, RecordFlag.durabilityBypass],
  ])('%j are flags, though', (flags, bits) => {
    const { producer, consumer } = create();
    expect(producer.tryPublish({ ...record(1), ...flags } as ResponseRecord)).toBe('ok');
    expect(seen(consumer).flags).toBe(bits);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3'])('claim(%s)', (length) => {
    const { producer } = create();
    const code = typeof length === 'string' ? 'ERR_ACKGATE_INVALID_ARGUMENT' : 'ERR_ACKGATE_OUT_OF_RANGE';
    expect(codeOf(() => producer.claim(length as number))).toBe(code);
    expect(producer.claim(0)).toBeGreaterThan(0);
  });

  test('a bad publish keeps the claim, a good one then takes it', () => {
    const { producer, consumer } = create();
    producer.bytes[producer.claim(1)] = 3;
    expect(codeOf(() => producer.publish(1, -1))).toBe('ERR_ACKGATE_SEQUENCE');
    producer.publish(1, 1);
    expect(consumer.available()).toBe(1);
    expect(seen(consumer).payload).toEqual([3]);
  });

  test('errors of numbers are also RangeErrors and name the argument', () => {
    const { producer } = create();
    try {
      producer.tryPublish({ ...record(1), wireSeq: -1 });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toBeInstanceOf(AckgateError);
      expect((error as Error).message).toMatch(/wireSeq .*-1/);
    }
  });

  test.each([
    [{ capacity: 3 }, 'ERR_ACKGATE_NOT_POWER_OF_TWO', /capacity/],
    [{ capacity: 1 }, 'ERR_ACKGATE_OUT_OF_RANGE', /capacity/],
    [{ capacity: 2 ** 25 }, 'ERR_ACKGATE_OUT_OF_RANGE', /capacity/],
    [{ capacity: 2.5 }, 'ERR_ACKGATE_OUT_OF_RANGE', /capacity/],
    [{ capacity: '8' }, 'ERR_ACKGATE_INVALID_ARGUMENT', /capacity/],
    [{ maxPayload: 0 }, 'ERR_ACKGATE_OUT_OF_RANGE', /maxPayload/],
    [{ maxPayload: 2 ** 21 }, 'ERR_ACKGATE_OUT_OF_RANGE', /maxPayload/],
    [{ maxPayload: null }, 'ERR_ACKGATE_INVALID_ARGUMENT', /maxPayload/],
    // Offsets would no longer fit into 32 bits.
    [{ capacity: 2 ** 22, maxPayload: 449 }, 'ERR_ACKGATE_OUT_OF_RANGE', /2 GiB/],
  ])('createRing(%j)', (options, code, message) => {
    const make = () => createRing(options as { capacity: number });
    expect(codeOf(make)).toBe(code);
    expect(make).toThrow(message);
  });
});

describe('handles', () => {
  const { handle } = create({ capacity: 8, maxPayload: 64 });
  const tampered: [string, object | null | number, string][] = [
    ['null', null, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['a number', 5, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [
      'a buffer that is not shared',
      { ...handle, buffer: new ArrayBuffer(9999) },
      'ERR_ACKGATE_INVALID_ARGUMENT',
    ],
    ['another version', { ...handle, version: handle.version + 1 }, 'ERR_ACKGATE_HANDLE_VERSION'],
    ['no version', { ...handle, version: undefined }, 'ERR_ACKGATE_HANDLE_VERSION'],
    ['more slots than there are', { ...handle, capacity: 1024 }, 'ERR_ACKGATE_OUT_OF_RANGE'],
    ['fewer slots than there are', { ...handle, capacity: 4 }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['no power of two', { ...handle, capacity: 6 }, 'ERR_ACKGATE_NOT_POWER_OF_TWO'],
    ['another payload size', { ...handle, maxPayload: 1 }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['an offset before the start', { ...handle, byteOffset: -128 }, 'ERR_ACKGATE_OUT_OF_RANGE'],
    ['an offset off the lines', { ...handle, byteOffset: 64 }, 'ERR_ACKGATE_OUT_OF_RANGE'],
    ['an offset past the end', { ...handle, byteOffset: 128 }, 'ERR_ACKGATE_OUT_OF_RANGE'],
    [
      'memory without a ring',
      { ...handle, buffer: new SharedArrayBuffer(handle.buffer.byteLength) },
      'ERR_ACKGATE_INVALID_ARGUMENT',
    ],
  ];

  test.each(tampered)('with %s are refused by all three ends', (_, value, code) => {
    const before = new Uint8Array(handle.buffer).slice();
    for (const End of [Producer, Consumer, RingObserver]) {
      expect(codeOf(() => new End(value as RingHandle))).toBe(code);
    }
    expect(new Uint8Array(handle.buffer)).toEqual(before);
  });

  test('a ring inside a larger block keeps to its own bytes', () => {
    const bytes = ringBytes(4, 100);
    const buffer = new SharedArrayBuffer(bytes * 3);
    new Uint8Array(buffer).fill(0xab, 0, bytes);
    new Uint8Array(buffer).fill(0xab, 2 * bytes);
    const inner = ringHandle(buffer, bytes, 4, 100);
    const producer = new Producer(inner);
    const consumer = new Consumer(inner);
    for (let i = 0; i < 50; i++) {
      expect(producer.tryPublish(record(i, new Uint8Array(100).fill(i)))).toBe('ok');
      expect(consumer.poll((one) => one.wireSeq === i)).toBe(1);
    }
    const around = new Uint8Array(buffer);
    expect(around.subarray(0, bytes).every((byte) => byte === 0xab)).toBe(true);
    expect(around.subarray(2 * bytes).every((byte) => byte === 0xab)).toBe(true);
  });
});

describe('ownership of the writing end', () => {
  test('a second producer is refused until the first lets go, and goes on where it stopped', () => {
    const { handle, producer, consumer, observer } = create({ position: -2 });
    const second = new Producer(handle);
    producer.tryPublish(record(10));
    producer.tryPublish(record(8));
    expect(codeOf(() => second.tryPublish(record(11)))).toBe('ERR_ACKGATE_RING_IN_USE');
    second.release();
    expect(codeOf(() => second.claim(1))).toBe('ERR_ACKGATE_RING_IN_USE');

    producer.release();
    expect(second.tryPublish(record(9))).toBe('ok');
    expect(codeOf(() => producer.claim(1))).toBe('ERR_ACKGATE_RING_IN_USE');
    expect(observer.highestSeq()).toBe(10);
    expect(consumer.available()).toBe(3);
    expect([0, 1, 2].map((ahead) => consumer.at(ahead).wireSeq)).toEqual([10, 8, 9]);
  });

  test('release drops an open claim, and a taker sees the slots that were handed back meanwhile', () => {
    const { handle, producer, consumer } = create();
    for (let i = 1; i <= 4; i++) producer.tryPublish(record(i));
    consumer.release(2);
    producer.claim(1);
    producer.release();
    expect(codeOf(() => producer.publish(1, 99))).toBe('ERR_ACKGATE_RING_ORDER');
    const second = new Producer(handle);
    expect(second.tryPublish(record(5))).toBe('ok');
    expect(second.tryPublish(record(6))).toBe('ok');
    expect(second.tryPublish(record(7))).toBe('full');
    expect(consumer.available()).toBe(4);
  });

  test('takeOver goes on where a producer stopped that can not release any more', () => {
    const { handle, producer, consumer } = create({ position: -2 });
    producer.tryPublish(record(10));
    producer.claim(1);
    const second = new Producer(handle);
    second.takeOver();
    second.takeOver();
    expect(second.tryPublish(record(11))).toBe('ok');
    expect(codeOf(() => new Producer(handle).claim(1))).toBe('ERR_ACKGATE_RING_IN_USE');
    expect(consumer.available()).toBe(2);
    expect([0, 1].map((ahead) => consumer.at(ahead).wireSeq)).toEqual([10, 11]);
  });
});

describe('poll', () => {
  function filled() {
    const ring = create({ capacity: 8 });
    for (let i = 1; i <= 6; i++) ring.producer.tryPublish(record(i));
    return ring;
  }

  test('takes no more than the limit, in order', () => {
    const { consumer } = filled();
    const order: number[] = [];
    const note = (one: { wireSeq: number }) => order.push(one.wireSeq) > 0;
    expect(consumer.poll(note, 4)).toBe(4);
    expect(consumer.poll(note, 0)).toBe(0);
    expect(consumer.poll(note)).toBe(2);
    expect(consumer.poll(note)).toBe(0);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('leaves the record for which the handler says false', () => {
    const { consumer, producer } = filled();
    expect(consumer.poll((one) => one.wireSeq < 4)).toBe(3);
    expect(consumer.position).toBe(3);
    // Three slots were handed back, and no more.
    for (let i = 7; i <= 11; i++) expect(producer.tryPublish(record(i))).toBe('ok');
    expect(producer.tryPublish(record(12))).toBe('full');
    expect(consumer.poll(() => undefined)).toBe(8);
  });

  test('a handler that throws leaves its record, those before it are taken', () => {
    const { consumer } = filled();
    const fail = () =>
      consumer.poll((one) => {
        if (one.wireSeq === 3) throw new Error('no');
        return true;
      });
    expect(fail).toThrow('no');
    expect(consumer.available()).toBe(4);
    expect(consumer.at(0).wireSeq).toBe(3);
  });
});

describe('32-bit counters', () => {
  test.each([
    ['2^31', 2 ** 31],
    ['2^32', 2 ** 32],
  ])('pass %s', (_, boundary) => {
    const { producer, consumer, observer } = create({ capacity: 8, position: boundary - 20 });
    let next = 1;
    for (let i = 1; i <= 60; i++) {
      expect(producer.tryPublish(record(i))).toBe('ok');
      expect(observer.highestSeq()).toBe(i);
      if (i % 7 !== 0) continue;
      expect(observer.depth()).toBe(consumer.available());
      consumer.poll((one) => one.wireSeq === next++);
      expect(next).toBe(i + 1);
    }
    expect(observer.published()).toBe((boundary - 20 + 60) | 0);
    for (let i = 0; i < 4; i++) producer.tryPublish(record(99));
    expect(producer.tryPublish(record(99))).toBe('full');
  });
});

describe('the highest sequence', () => {
  test('is 0 at first, never falls, and ignores what was not published', () => {
    const { producer, consumer, observer } = create({ capacity: 2 });
    expect(observer.highestSeq()).toBe(0);
    for (const [wireSeq, highest] of [
      [5, 5],
      [3, 5],
      [0, 5],
      [2 ** 53 - 1, 2 ** 53 - 1],
      [7, 2 ** 53 - 1],
    ] as const) {
      producer.claim(0);
      producer.publish(1, wireSeq);
      consumer.release(1);
      expect(observer.highestSeq()).toBe(highest);
    }
  });
});

interface Model {
  records: ReturnType<typeof seen>[];
  claimed: number | null;
}
interface Real extends ReturnType<typeof create> {
  capacity: number;
}

const maxPayload = 40;
const arbitraryFields = fc.record({
  wireSeq: fc.maxSafeNat(),
  connectionId: fc.maxSafeNat(),
  kind: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  receivedNs: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  requestId: fc.oneof(fc.constant(0), fc.maxSafeNat()),
});

/** Commands against an array: what is in the ring is what was published and not released. */
const commands = [
  fc.record({ length: fc.nat(maxPayload + 2), fill: fc.nat(255) }).map(({ length, fill }) => ({
    check: (model: Readonly<Model>) => model.claimed === null,
    run(model: Model, { producer, capacity }: Real) {
      const at = producer.claim(length);
      if (length > maxPayload) return expect(at).toBe(claimOversize);
      if (model.records.length === capacity) return expect(at).toBe(claimFull);
      producer.bytes.fill(fill, at, at + length);
      model.claimed = length === 0 ? 0 : length * 256 + fill;
    },
    toString: () => `claim(${length}) fill ${fill}`,
  })),
  arbitraryFields.map((fields) => ({
    check: (model: Readonly<Model>) => model.claimed !== null,
    run(model: Model, { producer }: Real) {
      const { connectionId, wireSeq, flags, kind, receivedNs, requestId } = fields;
      if (requestId !== 0) producer.identify(requestId);
      producer.publish(connectionId, wireSeq, flags, kind, receivedNs);
      const payload = new Array(model.claimed! >> 8).fill(model.claimed! & 255);
      model.records.push({ ...fields, finishedNs: 0, payload });
      model.claimed = null;
    },
    toString: () => `publish(${JSON.stringify(fields)})`,
  })),
  fc.constant({
    check: () => true,
    run(model: Model, { producer }: Real) {
      producer.abort();
      model.claimed = null;
    },
    toString: () => 'abort()',
  }),
  fc.nat(8).map((most) => ({
    check: () => true,
    run(model: Model, { consumer }: Real) {
      expect(consumer.available()).toBe(model.records.length);
      expect(model.records.map((_, ahead) => seen(consumer, ahead))).toEqual(model.records);
      const count = Math.min(most, model.records.length);
      consumer.release(count);
      model.records.splice(0, count);
    },
    toString: () => `look at all, release(${most})`,
  })),
  fc.constant({
    check: (model: Readonly<Model>) => model.claimed === null,
    run(_: Model, real: Real) {
      real.producer.release();
      real.producer = new Producer(real.handle);
    },
    toString: () => 'hand the writing end to another producer',
  }),
];

test('any sequence of commands does what it does to an array', () => {
  const starts = fc.constantFrom(0, 2 ** 31 - 3, 2 ** 32 - 3);
  const capacities = fc.constantFrom(2, 4, 8);
  const property = fc.property(
    starts,
    capacities,
    fc.commands(commands, { maxCommands: 80 }),
    (position, capacity, list) => {
      fc.modelRun(
        () => ({
          model: { records: [], claimed: null },
          real: { ...create({ capacity, maxPayload, position }), capacity },
        }),
        list,
      );
    },
  );
  fc.assert(property, { numRuns: 300 });
});

test('claiming, publishing and consuming allocates nothing, with sequences beyond 2^31 too', () => {
  const program = fileURLToPath(new URL('./fixtures/ring-allocations.mjs', import.meta.url));
  const output = execFileSync(process.execPath, ['--max-semi-space-size=1', program], { encoding: 'utf8' });
  // One object per record would be about 60 of them.
  expect(Number(output)).toBeLessThan(10);
});

describe('two threads', () => {
  const program = new URL('./fixtures/ring-stream.mjs', import.meta.url);
  const end = (workerData: object) =>
    new Promise<{ records: number; total: number; fault?: string | null }>((resolve, reject) => {
      const worker = new Worker(program, { workerData });
      worker.once('message', resolve);
      worker.once('error', reject);
    });

  test.each([
    ['a small ring, past 2^31', 8, 448, 2 ** 31, 100_000],
    ['a large ring, past 2^32', 1024, 60, 2 ** 32, 1_600_000],
  ])('%s: a checksummed stream arrives whole', async (_, capacity, payloadMax, boundary, records) => {
    const handle = createRing({ capacity, maxPayload: payloadMax });
    startAt(handle, boundary - records / 2);
    const work = { handle, records, seed: 0x5eed };
    const [written, read] = await Promise.all([
      end({ ...work, end: 'write' }),
      end({ ...work, end: 'read' }),
    ]);
    expect(read).toMatchObject({ records, total: written.total, fault: null });
    expect(new RingObserver(handle).published()).toBe((boundary + records / 2) | 0);
  });
});
