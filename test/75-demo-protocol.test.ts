import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameReader } from '#ackgate/demo/frames.js';
import { Side } from '#ackgate/demo/order-book.js';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Request,
  RequestTag,
  ResponseTag,
  requestBytesMax,
  response,
  responseBytes,
} from '#ackgate/demo/protocol.js';

const requests: Request[] = [
  { tag: RequestTag.logon, clientId: 7 },
  { tag: RequestTag.limit, requestId: 1, side: Side.sell, price: 10_000, quantity: 5 },
  { tag: RequestTag.market, requestId: 2, side: Side.buy, price: 0, quantity: 0xffff_ffff },
  { tag: RequestTag.cancel, requestId: 3, target: 1 },
  { tag: RequestTag.query, requestId: 0xffff_ffff, target: 1 },
  { tag: RequestTag.logoff, requestId: 4 },
  { tag: RequestTag.orders, requestId: 5 },
];

describe('requests', () => {
  test.each(requests)('%o survives encoding and decoding', (request) => {
    const frame = encodeRequest(request);
    expect(frame.readUInt32LE(0)).toBe(frame.length - 4);
    expect(frame.length - 4).toBeLessThanOrEqual(requestBytesMax);
    expect(decodeRequest(frame.subarray(4))).toEqual(request);
  });

  test.each(requests)('%o with a byte more or less is refused', (request) => {
    const body = encodeRequest(request).subarray(4);
    expect(decodeRequest(body.subarray(0, -1))).toBeNull();
    expect(decodeRequest(Buffer.concat([body, Buffer.alloc(1)]))).toBeNull();
  });

  test('any bytes either decode to what encodes to the same bytes, or are refused', () => {
    const body = fc
      .tuple(fc.integer({ min: 0x0e, max: 0x18 }), fc.uint8Array({ maxLength: 24 }))
      .map(([tag, rest]) => Buffer.from([tag, ...rest]));
    fc.assert(
      fc.property(body, (bytes) => {
        const request = decodeRequest(bytes);
        if (request !== null) expect(encodeRequest(request).subarray(4)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('responses', () => {
  const fill = response(ResponseTag.fill, {
    side: Side.sell,
    taker: true,
    requestId: 9,
    price: 10_001,
    quantity: 3,
    filled: 4,
    orderId: 2 ** 53 - 1,
    sequence: 2 ** 40,
    match: 2,
  });

  test('survive encoding and decoding', () => {
    const body = Buffer.alloc(responseBytes);
    encodeResponse(fill, 12, body);
    expect(decodeResponse(body)).toEqual({ ...fill, number: 12 });
  });

  test('one changed bit anywhere is noticed', () => {
    const body = Buffer.alloc(responseBytes);
    encodeResponse(fill, 12, body);
    for (let bit = 0; bit < responseBytes * 8; bit++) {
      const changed = Buffer.from(body);
      changed[bit >> 3] ^= 1 << (bit & 7);
      expect(decodeResponse(changed)).toBeNull();
    }
  });
});

describe('frames', () => {
  test('come out the same however the stream is cut', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 16 }), { maxLength: 20 });
    fc.assert(
      fc.property(bodies, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.flatMap((body) => [lengthOf(body.length), Buffer.from(body)]));
        const reader = new FrameReader(16);
        const got: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const chunk = Buffer.from(stream.subarray(at, at + cuts[i % cuts.length]));
          at += chunk.length;
          reader.push(chunk);
          for (let body = reader.next(); body !== null; body = reader.next()) got.push(Buffer.from(body));
          chunk.fill(0xee);
        }
        expect(got).toEqual(sent.map((body) => Buffer.from(body)));
        expect(reader.malformed || reader.pending).toBe(false);
      }),
    );
  });

  test.each([0, 17, 0xffff_ffff])('a length of %i is malformed, and nothing comes after it', (length) => {
    const reader = new FrameReader(16);
    reader.push(Buffer.concat([lengthOf(length), lengthOf(1), Buffer.from([1])]));
    expect(reader.next()).toBeNull();
    expect(reader.malformed).toBe(true);
    expect(reader.next()).toBeNull();
  });
});

function lengthOf(length: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(length);
  return header;
}
