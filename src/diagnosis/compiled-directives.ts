import { AckgateError, AckgateRangeError } from '../errors.js';
import { describe } from '../shared/describe.js';
import type { Directive, DirectiveSnapshot } from './directive.js';
import { type DiagnosisLevel, LevelIndex } from './levels.js';
import { Fnv1a64, tenantKey } from './sampling.js';

/** Most directives of a set. */
export const directivesMax = 256;

/*
 * A set of directives as numbers, so that it can be shared and evaluated without allocating:
 *
 *      0  count        i32
 *      4  baseline     i32   index of a level
 *      8  revision     f64
 *     64  entries      64 bytes each:
 *            0  expiresAt   f64   unix milliseconds
 *            8  connection  f64   -1: any; -2: none
 *           16  tenant      f64   its key; -1: any; -2: none
 *           24  kind        i32   -1: any; -2: a name that means nothing here, so it matches none
 *           28  level       i32
 *           32  perMille    i32
 *           36  saltHigh    i32   the sampling hash after the salt
 *           40  saltLow     i32
 */
const headerBytes = 64;
const entryBytes = 64;
export const compiledBytes = headerBytes + directivesMax * entryBytes;

const Head = { count: 0, baseline: 1, revision: 1 } as const;
const At = {
  expiresAt: 0,
  connection: 1,
  tenant: 2,
  kind: 6,
  level: 7,
  perMille: 8,
  saltHigh: 9,
  saltLow: 10,
} as const;
const any = -1;
const nothing = -2;
const everything = 1000;

/** Places in `Traffic.numbers`. */
export const TrafficAt = {
  /** Of `tenantKey`; 0: unknown. */
  tenant: 0,
  /** 0: unknown. */
  connection: 1,
  /** -1: unknown. */
  kind: 2,
  /** 0: unknown, or a text. */
  requestId: 3,
  /** Unix milliseconds. */
  nowMs: 4,
} as const;

/** What a directive can look at. Numbers are in an array: passing one on from anywhere else may make an object of it. */
export class Traffic {
  readonly numbers = new Float64Array(5);
  /** The request id, where that is a text. */
  requestText: string | null = null;
}

/** The directives that apply, evaluated record by record. */
export class CompiledDirectives {
  readonly bytes: Uint8Array;
  readonly #ints: Int32Array;
  readonly #doubles: Float64Array;
  readonly #hash = new Fnv1a64();

  constructor(buffer: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(compiledBytes), byteOffset = 0) {
    this.bytes = new Uint8Array(buffer, byteOffset, compiledBytes);
    this.#ints = new Int32Array(buffer, byteOffset, compiledBytes / 4);
    this.#doubles = new Float64Array(buffer, byteOffset, compiledBytes / 8);
  }

  get count(): number {
    return this.#ints[Head.count];
  }

  /** Index of the level below which nothing falls. */
  get baseline(): number {
    return this.#ints[Head.baseline];
  }

  get revision(): number {
    return this.#doubles[Head.revision];
  }

  /**
   * Takes a set. A target that can't be meant, or a kind without a number in `kinds`, matches nothing: a directive is
   * never widened.
   *
   * @throws ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_INVALID_ARGUMENT for a level or an expiry that is none; this may have
   *   been changed in part then
   */
  use(snapshot: DirectiveSnapshot, kinds: Readonly<Record<string, number>>, baseline: DiagnosisLevel): void {
    const { directives, revision } = snapshot;
    if (directives.length > directivesMax) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `a set holds at most ${directivesMax} directives, got ${directives.length}`,
      );
    }
    this.#ints[Head.count] = directives.length;
    this.#ints[Head.baseline] = LevelIndex[baseline];
    this.#doubles[Head.revision] = revision;
    for (let index = 0; index < directives.length; index++) this.#write(index, directives[index], kinds);
  }

  /** When the last directive of at least this level expires; 0 when there is none. */
  lastExpiry(level: number): number {
    let last = 0;
    for (let index = 0; index < this.count; index++) {
      const i32 = intsOf(index);
      if (this.#ints[i32 + At.level] < level || this.#ints[i32 + At.perMille] === 0) continue;
      last = Math.max(last, this.#doubles[(i32 >> 1) + At.expiresAt]);
    }
    return last;
  }

  /** Index of the highest level of those that apply, at least the baseline. Allocates nothing. */
  levelOf(traffic: Traffic): number {
    const ints = this.#ints;
    let highest = ints[Head.baseline];
    for (let index = 0; index < ints[Head.count]; index++) {
      const i32 = intsOf(index);
      const level = ints[i32 + At.level];
      if (level > highest && this.#matches(i32, traffic.numbers) && this.#samples(i32, traffic)) {
        highest = level;
      }
    }
    return highest;
  }

  #matches(i32: number, numbers: Float64Array): boolean {
    const f64 = i32 >> 1;
    const doubles = this.#doubles;
    if (numbers[TrafficAt.nowMs] >= doubles[f64 + At.expiresAt]) return false;
    const connection = doubles[f64 + At.connection];
    if (connection !== any && connection !== numbers[TrafficAt.connection]) return false;
    const tenant = doubles[f64 + At.tenant];
    if (tenant !== any && tenant !== numbers[TrafficAt.tenant]) return false;
    const kind = this.#ints[i32 + At.kind];
    return kind === any || kind === numbers[TrafficAt.kind];
  }

  #samples(i32: number, { numbers, requestText }: Traffic): boolean {
    const perMille = this.#ints[i32 + At.perMille];
    if (perMille >= everything) return true;
    if (requestText === null && numbers[TrafficAt.requestId] === 0) return false;
    const hash = this.#hash;
    hash.resume(this.#ints[i32 + At.saltHigh], this.#ints[i32 + At.saltLow]);
    if (requestText === null) hash.integerAt(numbers, TrafficAt.requestId);
    else hash.text(requestText);
    return hash.perMille() < perMille;
  }

  #write(index: number, directive: Directive, kinds: Readonly<Record<string, number>>): void {
    const { id, level, expiresAt, samplePerMille = everything, salt = '' } = directive;
    if (!Object.hasOwn(LevelIndex, level) || !Number.isFinite(expiresAt)) {
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        `directive ${describe(id)} needs a level (${Object.keys(LevelIndex).join(', ')}) and expiresAt in unix milliseconds`,
      );
    }
    const i32 = intsOf(index);
    const f64 = i32 >> 1;
    this.#doubles[f64 + At.expiresAt] = expiresAt;
    this.#doubles[f64 + At.connection] = connectionOf(directive);
    this.#doubles[f64 + At.tenant] = tenantOf(directive);
    this.#ints[i32 + At.kind] = kindOf(directive, kinds);
    this.#ints[i32 + At.level] = LevelIndex[level];
    this.#ints[i32 + At.perMille] = Number.isInteger(samplePerMille) ? samplePerMille : 0;
    this.#hash.reset();
    this.#hash.text(String(salt));
    this.#ints[i32 + At.saltHigh] = this.#hash.high;
    this.#ints[i32 + At.saltLow] = this.#hash.low;
  }
}

// A target that is there in any way is one: `undefined` or null is a value that got lost, not everyone.

function connectionOf(directive: Directive): number {
  if (!Object.hasOwn(directive, 'connection')) return any;
  const { connection } = directive;
  return Number.isSafeInteger(connection) && connection! > 0 ? connection! : nothing;
}

function tenantOf(directive: Directive): number {
  if (!Object.hasOwn(directive, 'tenant')) return any;
  const { tenant } = directive;
  return typeof tenant === 'string' && tenant !== '' ? tenantKey(tenant) : nothing;
}

function kindOf(directive: Directive, kinds: Readonly<Record<string, number>>): number {
  if (!Object.hasOwn(directive, 'kind')) return any;
  const { kind } = directive;
  return typeof kind === 'string' ? kindNumber(kinds, kind) : nothing;
}

/** Kinds are called by the application's names; where it has none, by their numbers. Below 0: means nothing. */
export function kindNumber(kinds: Readonly<Record<string, number>>, name: string): number {
  if (Object.hasOwn(kinds, name)) return kinds[name];
  const isNumber = /^(0|[1-9]\d{0,4})$/.test(name) && Number(name) <= 0xffff;
  return Object.keys(kinds).length === 0 && isNumber ? Number(name) : nothing;
}

function intsOf(index: number): number {
  return (headerBytes + index * entryBytes) / 4;
}
