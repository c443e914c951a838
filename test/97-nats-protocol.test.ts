import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchMessage, decodeBatch, encodeBatch, joinBatches } from '#ackgate/nats/batch-codec.js';
import {
  fetchRequestCodec,
  frameCodec,
  joinReplyCodec,
  joinRequestCodec,
  primaryReplyCodec,
  primaryRequestCodec,
  refusal,
  standingReplyCodec,
  standingRequestCodec,
} from '#ackgate/nats/messages.js';

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const sequence = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
/** Later ones are not believed. */
const term = fc.integer({ min: 1, max: Date.now() + 365 * 24 * 3_600_000 });
const node = fc.string({ minLength: 1, maxLength: 64 });
const zone = fc.option(node);
const id = fc.uuid();

const batch: fc.Arbitrary<BatchMessage> = fc
  .record({
    term,
    primaryId: id,
    first: fc.integer({ min: 1, max: 2 ** 52 }),
    more: fc.nat(),
    records: fc.array(fc.record({ payload: fc.uint8Array({ maxLength: 40 }), goesOn: fc.boolean() })),
  })
  .map(({ more, ...message }) => ({ ...message, last: message.first + message.records.length - 1 + more }));

function plain({ records, ...head }: BatchMessage) {
  return { ...head, records: records.map(({ payload, goesOn }) => ({ payload: [...payload], goesOn })) };
}

describe('batches on the wire', () => {
  test('arrive as they were sent', () => {
    fc.assert(
      fc.property(batch, (message) => {
        const decoded = decodeBatch(encodeBatch(message));
        expect(plain(decoded as BatchMessage)).toEqual(plain(message));
      }),
    );
  });

  test('several that follow one another arrive as one', () => {
    fc.assert(
      fc.property(batch, fc.array(fc.nat(3)), (whole, sizes) => {
        const { term, primaryId, first, last, records } = whole;
        const parts: BatchMessage[] = [];
        let taken = 0;
        for (const size of [...sizes, records.length]) {
          const some = records.slice(taken, taken + size);
          const end = first + taken + some.length - 1;
          parts.push({ term, primaryId, first: first + taken, last: end, records: some });
          taken += some.length;
        }
        parts.push({ term, primaryId, first: first + taken, last, records: [] });
        const joined = decodeBatch(joinBatches(parts.map(encodeBatch)));
        expect(plain(joined as BatchMessage)).toEqual(plain(whole));
      }),
    );
  });

  test('changed, cut short or lengthened anywhere, are not taken', () => {
    fc.assert(
      fc.property(batch, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, flip) => {
        const bytes = encodeBatch(message);
        const place = at % bytes.length;
        expect(decodeBatch(bytes.subarray(0, place))).toBeTypeOf('string');
        expect(decodeBatch(Buffer.concat([bytes, Buffer.from([flip])]))).toBeTypeOf('string');
        bytes[place]! ^= flip;
        expect(decodeBatch(bytes)).toBeTypeOf('string');
      }),
    );
  });

  test('anything else is not taken for one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typeof decodeBatch(bytes) === 'string'),
    );
  });
});

const messages = {
  frame: [
    frameCodec,
    fc.record({
      node,
      instance: id,
      zone,
      term,
      primaryId: id,
      epoch: count,
      at: fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true }).map((at) => at + 0),
      inMemory: count,
      persisted: count,
    }),
  ],
  'primary request': [primaryRequestCodec, fc.constant({})],
  'primary reply': [primaryReplyCodec, fc.record({ node, term, primaryId: id, last: count })],
  'standing request': [
    standingRequestCodec,
    fc.record({ candidate: fc.option(fc.record({ node, term, primaryId: id })) }),
  ],
  'standing reply': [
    standingReplyCodec,
    fc.record({
      node,
      instance: id,
      zone,
      term: count,
      lineage: fc.option(id),
      lastTerm: count,
      last: count,
      following: fc.option(id),
    }),
  ],
  'join request': [joinRequestCodec, fc.record({ node, instance: id, zone, clock: fc.integer() })],
  'join reply': [
    joinReplyCodec,
    fc.record({
      type: fc.constant('joined'),
      history: fc.string(),
      first: count,
      last: count,
      bufferBytes: count,
      epochAbove: count,
    }),
  ],
  refusal: [joinReplyCodec, fc.string().map((text) => refusal('ERR_ACKGATE_NODE_TWICE', text))],
  'fetch request': [fetchRequestCodec, fc.record({ node, instance: id, from: sequence })],
} as unknown as Record<
  string,
  [{ encode(message: object): Uint8Array; decode(data: Uint8Array): unknown }, fc.Arbitrary<object>]
>;

describe('messages', () => {
  test.each(Object.entries(messages))('%s: arrives as it was sent', (_, [codec, arbitrary]) => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(codec.decode(codec.encode(message))).toEqual(message);
      }),
    );
  });

  test('a refusal is understood in every version, so that a node can be told that its own is another', () => {
    const refused = refusal('ERR_ACKGATE_NATS_VERSION', 'run the same version');
    const later = { ...JSON.parse(Buffer.from(joinReplyCodec.encode(refused)).toString()), v: 2, more: [1] };
    expect(joinReplyCodec.decode(Buffer.from(JSON.stringify(later)))).toEqual(refused);
  });

  test('of another version: what is said names both', () => {
    const both = 'it is of version 7, this node understands 1';
    expect(primaryRequestCodec.decode(Buffer.from('{"v":7,"other":1}'))).toBe(both);
    const beacon = encodeBatch({ term: 1, primaryId: randomUUID(), first: 1, last: 0, records: [] });
    beacon[7] = 7;
    expect(decodeBatch(beacon)).toBe(both);
  });

  test.each(Object.entries(messages).filter(([name]) => name !== 'refusal'))(
    '%s: of another version, or with what is unknown, is refused',
    (_, [codec, arbitrary]) => {
      const [message] = fc.sample(arbitrary, 1) as [object];
      const sent = JSON.parse(Buffer.from(codec.encode(message)).toString()) as object;
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value));
      expect(codec.decode(encode(sent))).toBeTypeOf('object');
      for (const wrong of [{ ...sent, v: 2 }, { ...sent, extra: 1 }, [], null, 1, 'text']) {
        expect(codec.decode(encode(wrong))).toBeTypeOf('string');
      }
      for (const key of Object.keys(sent)) {
        expect(codec.decode(encode({ ...sent, [key]: { other: true } })), key).toBeTypeOf('string');
        expect(codec.decode(encode({ ...sent, [key]: undefined })), key).toBeTypeOf('string');
      }
      expect(codec.decode(Buffer.from('{'))).toBe('it is not JSON');
    },
  );

  test('a frame with half a sequence, or one below zero, is refused', () => {
    const frame = {
      node: 'r1',
      instance: randomUUID(),
      zone: null,
      term: 1,
      primaryId: randomUUID(),
      epoch: 1,
      at: 1.5,
      inMemory: 1,
      persisted: 1,
    };
    expect(frameCodec.decode(frameCodec.encode(frame))).toEqual(frame);
    for (const wrong of [
      { inMemory: 0.5 },
      { persisted: -1 },
      { epoch: 2 ** 53 },
      { term: 0 },
      { at: -1 },
      { node: '' },
    ]) {
      expect(frameCodec.decode(frameCodec.encode({ ...frame, ...wrong }))).toBeTypeOf('string');
    }
  });
});
