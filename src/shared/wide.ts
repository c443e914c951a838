/**
 * 53-bit integers in two 32-bit words. `BigInt64Array` atomics allocate, and a `Float64Array` element may tear, so
 * shared numbers that outgrow 32 bits are split, and read under a sequence lock.
 */
const twoTo32 = 2 ** 32;

export function lowWord(value: number): number {
  return value | 0;
}

export function highWord(value: number): number {
  return Math.floor(value / twoTo32);
}

export function joinWords(low: number, high: number): number {
  return high * twoTo32 + (low >>> 0);
}
