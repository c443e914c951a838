import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fnv1a64 } from '#ackgate/diagnosis/sampling.js';
import { sampled, sampleOf } from '#ackgate/directives/index.js';

// Which requests are looked at when not all are: FNV-1a-64 of salt and request id, mod 1000.

/** The same by the definition, on integers of any size. */
function hashOf(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
const sampleBy = (text: string) => Number(hashOf(text) % 1000n);

describe('where a request falls', () => {
  it.each([
    ['', 37],
    ['a', 996],
    ['r', 5],
    ['req-1', 97],
    ['req-123', 990],
  ])('%j: %i', (requestId, sample) => {
    expect(sampleOf('', requestId)).toBe(sample);
    expect(sampleBy(requestId)).toBe(sample);
  });

  it('is by the hash of salt and id in UTF-8, however the two are divided', () => {
    const texts = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(texts, texts, (salt, requestId) => {
        // Half a surrogate pair at the end of the one and the start of the other are not joined.
        fc.pre(!/[\ud800-\udbff]$/.test(salt) || !/^[\udc00-\udfff]/.test(requestId));
        expect(sampleOf(salt, requestId)).toBe(sampleBy(salt + requestId));
      }),
      { numRuns: 5000 },
    );
  });

  it('is by the digits of an id that is a number', () => {
    fc.assert(
      fc.property(fc.string(), fc.maxSafeNat(), (salt, requestId) => {
        expect(sampleOf(salt, requestId)).toBe(sampleBy(`${salt}${requestId}`));
        expect(sampleOf(salt, requestId)).toBe(sampleOf(salt, `${requestId}`));
      }),
    );
    for (const requestId of [0, 9, 10, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(sampleOf('', requestId)).toBe(sampleBy(`${requestId}`));
    }
  });

  it('is by all 64 bits', () => {
    const hash = new Fnv1a64();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        hash.reset();
        hash.text(text);
        expect((BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0)).toBe(hashOf(text));
        expect(BigInt(hash.lower53())).toBe(BigInt.asUintN(53, hashOf(text)));
      }),
    );
  });
});

describe('the share that is sampled', () => {
  const ids = Array.from({ length: 100_000 }, (_, i) => `req-${i + 1}`);
  const countOf = (perMille: number, salt = '') => ids.filter((id) => sampled(perMille, salt, id)).length;

  it.each([
    [0, 0],
    [1, 93],
    [10, 969],
    [100, 9943],
    [500, 49_942],
    [1000, 100_000],
  ])('at %i per mille of req-1 … req-100000: %i', (perMille, count) => {
    expect(countOf(perMille)).toBe(count);
  });

  it('is within what was sampled at a higher rate, and other requests with another salt', () => {
    expect(ids.filter((id) => sampled(10, '', id) && !sampled(11, '', id))).toEqual([]);
    const both = ids.filter((id) => sampled(100, '', id) && sampled(100, 'x', id)).length;
    expect(both).toBeGreaterThan(500);
    expect(both).toBeLessThan(1500);
  });
});
