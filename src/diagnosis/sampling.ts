/*
 * FNV-1a-64 (http://www.isthe.com/chongo/tech/comp/fnv/) in two halves of 32 bits, without BigInt: nothing here
 * allocates, so that records can be sampled one by one.
 */
const offsetHigh = 0xcbf29ce4 | 0;
const offsetLow = 0x84222325 | 0;
/** The prime is 2^40 + 435. */
const primeLow = 435;
const twoTo32 = 2 ** 32;
/** 2^32 mod 1000, to take the remainder of both halves. */
const highPerMille = 296;
const digitsMax = 16;
const replacement = 0xfffd;

/** The hash of the bytes that it was fed. */
export class Fnv1a64 {
  /** Both as signed integers. */
  high = offsetHigh;
  low = offsetLow;
  readonly #digits = new Uint8Array(digitsMax);

  reset(): void {
    this.high = offsetHigh;
    this.low = offsetLow;
  }

  /** Goes on from where another one stood. */
  resume(high: number, low: number): void {
    this.high = high;
    this.low = low;
  }

  byte(value: number): void {
    // In integers of 32 bits all along: nothing becomes a double, which could cost an object.
    const low = this.low ^ value;
    const product = (low & 0xffff) * primeLow;
    const upper = (low >>> 16) * primeLow + (product >>> 16);
    this.high = (Math.imul(this.high, primeLow) + (upper >>> 16) + (low << 8)) | 0;
    this.low = (upper << 16) | (product & 0xffff);
  }

  /** The UTF-8 bytes of a text; half a surrogate pair counts as U+FFFD, as `TextEncoder` has it. */
  text(value: string): void {
    for (let i = 0; i < value.length; i++) {
      let code = value.charCodeAt(i);
      if ((code & 0xf800) === 0xd800) {
        const next = i + 1 < value.length ? value.charCodeAt(i + 1) : 0;
        if ((code & 0x0400) === 0 && (next & 0xfc00) === 0xdc00) {
          code = 0x10000 + ((code & 0x3ff) << 10) + (next & 0x3ff);
          i++;
        } else code = replacement;
      }
      this.#codePoint(code);
    }
  }

  /** The decimal digits of an integer in an array, 0 … 2^53-1. */
  integerAt(numbers: Float64Array, index: number): void {
    const digits = this.#digits;
    let first = digitsMax;
    let rest = numbers[index];
    do {
      digits[--first] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0);
    for (; first < digitsMax; first++) this.byte(digits[first]);
  }

  /** The hash mod 1000. */
  perMille(): number {
    return (((this.high >>> 0) % 1000) * highPerMille + ((this.low >>> 0) % 1000)) % 1000;
  }

  /** Its lower 53 bits. */
  lower53(): number {
    return ((this.high >>> 0) & 0x1f_ffff) * twoTo32 + (this.low >>> 0);
  }

  #codePoint(code: number): void {
    if (code < 0x80) {
      this.byte(code);
      return;
    }
    if (code < 0x800) this.byte(0xc0 | (code >> 6));
    else {
      if (code < 0x10000) this.byte(0xe0 | (code >> 12));
      else {
        this.byte(0xf0 | (code >> 18));
        this.byte(0x80 | ((code >> 12) & 0x3f));
      }
      this.byte(0x80 | ((code >> 6) & 0x3f));
    }
    this.byte(0x80 | (code & 0x3f));
  }
}

const scratch = new Fnv1a64();

/** Where a request falls, 0 … 999: FNV-1a-64 of `salt` and the id in UTF-8, mod 1000. A retry falls alike. */
export function sampleOf(salt: string, requestId: string | number): number {
  scratch.reset();
  scratch.text(salt);
  if (typeof requestId === 'string') scratch.text(requestId);
  else scratch.integerAt(Float64Array.of(requestId), 0);
  return scratch.perMille();
}

/** Whether a request is among the `perMille` of a thousand that are looked at. */
export function sampled(perMille: number, salt: string, requestId: string | number): boolean {
  return sampleOf(salt, requestId) < perMille;
}

/** A tenant as a number, 1 … 2^53-1, that fits into shared memory; two tenants have the same by chance only. */
export function tenantKey(tenant: string): number {
  scratch.reset();
  scratch.text(tenant);
  return scratch.lower53() || 1;
}
