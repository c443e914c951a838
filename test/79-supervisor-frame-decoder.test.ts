import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frame, lengthPrefixFraming } from '#ackgate/encode/framing.js';
import { LengthPrefixDecoder } from '#ackgate/supervisor/frame-decoder.js';

const bodyBytesMax = 4096;
const headerBytes = 4;

const framed = (body: Uint8Array) => frame(lengthPrefixFraming, body);

function header(length: number): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(length);
  return bytes;
}

/** A body in which every byte says where it belongs. */
function bodyOf(index: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (index * 37 + at * 11) & 0xff);
}

/** The chunks between these places of the stream, each in memory of its own, as sockets give them. */
function cut(stream: Uint8Array, places: number[]): Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (stream.length + 1)))].sort((a, b) => a - b);
  return [...ends, stream.length].map((end, index) => stream.slice(ends[index - 1] ?? 0, end));
}

/** Takes up to `patience` bodies after each chunk, and in the end all; checks what is held after every step. */
function decode(chunks: Uint8Array[], patience: () => number, bytesMax = bodyBytesMax) {
  const decoder = new LengthPrefixDecoder(bytesMax);
  const bodies: Uint8Array[] = [];
  const asGivenOut: string[] = [];
  let held = 0;
  const next = () => {
    const body = decoder.next();
    if (body !== null) {
      bodies.push(body);
      asGivenOut.push(Buffer.from(body).toString('hex'));
      held -= headerBytes + body.length;
    }
    expect(decoder.heldBytes).toBe(held);
    return body !== null;
  };
  for (const chunk of chunks) {
    decoder.push(chunk);
    held += chunk.length;
    expect(decoder.heldBytes).toBe(held);
    for (let left = patience(); left > 0 && next(); left--);
  }
  while (next());
  return { bodies: bodies.map((body) => Buffer.from(body).toString('hex')), asGivenOut, decoder, held };
}

/** Small ones mostly, and some that need several buffers. */
const lengths = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }) },
    fc.integer({ min: 1, max: bodyBytesMax }),
  ),
  { maxLength: 12 },
);
const places = fc.array(fc.nat(60_000), { maxLength: 60 });
const patiences = fc.infiniteStream(fc.integer({ min: 0, max: 4 }));

describe('a stream cut anywhere', () => {
  test('gives the bodies of the whole one, and none of them changes later', () => {
    fc.assert(
      fc.property(lengths, places, patiences, (sizes, cuts, patience) => {
        const bodies = sizes.map((length, index) => bodyOf(index, length));
        const stream = Buffer.concat(bodies.map(framed));
        const expected = bodies.map((body) => Buffer.from(body).toString('hex'));
        const result = decode(cut(stream, cuts), () => patience.next().value as number);
        expect(result.asGivenOut).toEqual(expected);
        expect(result.bodies).toEqual(expected);
        expect(result.held).toBe(0);
        expect(result.decoder.fault).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test('gives the bodies before a fault, then the fault, and nothing after it', () => {
    const faults = fc.constantFrom(
      { length: 0, fault: 'malformed-frame' },
      { length: bodyBytesMax + 1, fault: 'oversize-frame' },
      { length: 2 ** 31, fault: 'oversize-frame' },
      { length: 2 ** 32 - 1, fault: 'oversize-frame' },
    );
    fc.assert(
      fc.property(lengths, places, patiences, faults, (sizes, cuts, patience, { length, fault }) => {
        const bodies = sizes.map((size, index) => bodyOf(index, size));
        const after = framed(bodyOf(99, 30));
        const stream = Buffer.concat([...bodies.map(framed), header(length), after]);
        const { decoder, ...result } = decode(cut(stream, cuts), () => patience.next().value as number);
        expect(result.bodies).toEqual(bodies.map((body) => Buffer.from(body).toString('hex')));
        expect(decoder.fault).toBe(fault);
        expect(decoder.heldBytes).toBe(headerBytes + after.length);
        decoder.push(framed(bodyOf(1, 1)));
        expect(decoder.next()).toBeNull();
        expect(decoder.fault).toBe(fault);
      }),
      { numRuns: 300 },
    );
  });
});

test('byte by byte, a frame is there with its last byte', () => {
  const decoder = new LengthPrefixDecoder(bodyBytesMax);
  for (const [index, length] of [1, 2, 1019, 1020, 1021, 1024, bodyBytesMax].entries()) {
    const body = bodyOf(index, length);
    const bytes = framed(body);
    for (let at = 0; at < bytes.length - 1; at++) {
      decoder.push(bytes.slice(at, at + 1));
      if (decoder.next() !== null) throw new Error(`a body of ${length} bytes after ${at + 1} bytes`);
    }
    expect(decoder.heldBytes).toBe(bytes.length - 1);
    decoder.push(bytes.slice(-1));
    expect(decoder.next()).toEqual(body);
    expect(decoder.heldBytes).toBe(0);
  }
});

test('a fault is known with the fourth byte of the header, not before, and before any of the body', () => {
  for (const length of [0, bodyBytesMax + 1, 2 ** 32 - 1]) {
    const decoder = new LengthPrefixDecoder(bodyBytesMax);
    const bytes = header(length);
    for (let at = 0; at < headerBytes; at++) {
      expect(decoder.next()).toBeNull();
      expect(decoder.fault).toBeNull();
      decoder.push(bytes.slice(at, at + 1));
    }
    expect(decoder.next()).toBeNull();
    expect(decoder.fault).not.toBeNull();
  }
});

test('the longest body is taken, an empty chunk changes nothing', () => {
  const body = bodyOf(3, bodyBytesMax);
  const bytes = framed(body);
  const nothing = new Uint8Array(0);
  const chunks = [nothing, bytes.slice(0, 9), nothing, bytes.slice(9), nothing];
  const { bodies } = decode(chunks, () => 2);
  expect(bodies).toEqual([Buffer.from(body).toString('hex')]);
});

/** Fails once `TypedArray.set`, the one way in which the decoder moves bytes, has moved more of them than that. */
function expectCopied(bytesMax: number, call: () => void): void {
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
  const { set } = typedArray;
  let copied = 0;
  typedArray.set = function (this: Uint8Array, source: Uint8Array, at?: number) {
    copied += source.length;
    if (copied > bytesMax) throw new Error(`more than ${bytesMax} bytes were copied`);
    return set.call(this, source, at);
  };
  try {
    call();
  } finally {
    typedArray.set = set;
  }
}

describe('the bytes that are copied', () => {
  const frameBytes = 1024 * 1024;

  test('are none for frames that come whole', () => {
    const bytes = Buffer.concat(Array.from({ length: 200 }, (_, index) => framed(bodyOf(index, 100))));
    expectCopied(0, () => expect(decode([bytes], () => 500).bodies).toHaveLength(200));
  });

  test.each([1, 7, 1000, 65_536])(
    'are a small multiple of a frame that comes in chunks of %i',
    (chunkBytes) => {
      const body = bodyOf(5, frameBytes);
      const bytes = framed(body);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
      const decoder = new LengthPrefixDecoder(frameBytes);
      let found: Uint8Array | null = null;
      expectCopied(4 * bytes.length, () => {
        for (const chunk of chunks) {
          decoder.push(chunk);
          found ??= decoder.next();
        }
      });
      expect(Buffer.compare(found!, body)).toBe(0);
    },
  );

  test('are a small multiple of a stream of frames, each of which ends in the chunk that begins the next', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 2048 }), { minLength: 50, maxLength: 200 }),
        fc.integer({ min: 1, max: 3000 }),
        (sizes, chunkBytes) => {
          const stream = Buffer.concat(sizes.map((length, index) => framed(bodyOf(index, length))));
          const chunks = cut(
            stream,
            Array.from({ length: Math.floor(stream.length / chunkBytes) }, (_, index) => index * chunkBytes),
          );
          const decoder = new LengthPrefixDecoder(bodyBytesMax);
          let count = 0;
          expectCopied(4 * stream.length + 1024, () => {
            for (const chunk of chunks) {
              decoder.push(chunk);
              while (decoder.next() !== null) count++;
            }
          });
          expect(count).toBe(sizes.length);
        },
      ),
      { numRuns: 50 },
    );
  });
});
