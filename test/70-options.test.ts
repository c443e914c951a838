import { describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { Policy } from '#ackgate/policy/index.js';
import { checkKeys } from '#ackgate/shared/checks.js';
import { silentLogger } from '#ackgate/shared/logger.js';
import type { StageOptions } from '#ackgate/stage/api.js';
import { createInlineStage } from '#ackgate/stage/inline-stage.js';
import { checkOptions, checkPolicy } from '#ackgate/stage/options.js';

const check = (options: unknown) => checkOptions(options as StageOptions);

/** The error that the options lead to. */
function refused(options: unknown): AckgateError {
  try {
    check(options);
  } catch (error) {
    if (error instanceof AckgateError) return error;
    throw error;
  }
  return expect.unreachable(`${JSON.stringify(options)} was accepted`);
}

const range = 'ERR_ACKGATE_OUT_OF_RANGE';
const type = 'ERR_ACKGATE_INVALID_ARGUMENT';
const powerOfTwo = 'ERR_ACKGATE_NOT_POWER_OF_TWO';

/** Smallest and largest value of each number, and whether it may be fractional. */
const numbers: [string, number, number, 'integer' | 'any'][] = [
  ['epoch', 0, Number.MAX_SAFE_INTEGER, 'integer'],
  ['connections', 1, 32_768, 'integer'],
  ['heartbeatIntervalMs', 0, 2 ** 31 - 1, 'any'],
  ['blockedTimeoutMs', 1, 2 ** 31 - 1, 'any'],
  ['blockedTotalMs', 0, 2 ** 31 - 1, 'any'],
  ['staleAfterMs', 50, 60_000, 'any'],
  ['kernelSendBufferBytes', 0, 2 ** 30, 'integer'],
  ['recordsPerBatch', 1, 2 ** 20, 'integer'],
  ['flushBytes', 1, 65_536, 'integer'],
  ['flushRecords', 1, 2 ** 20, 'integer'],
  ['flushDelayUs', 0, 1e6, 'any'],
  ['ringEntries', 64, 32_768, 'integer'],
];

describe.each(numbers)('%s', (name, min, max, kind) => {
  test('takes its smallest and its largest value, and the default for undefined', () => {
    for (const value of [min, max, undefined]) expect(() => check({ [name]: value })).not.toThrow();
    if (kind === 'any') expect(() => check({ [name]: min + 0.5 })).not.toThrow();
  });

  const bad: unknown[] = [min - 1, max + 1, Number.NaN, Number.POSITIVE_INFINITY, -1];
  if (kind === 'integer') bad.push(min + 0.5);
  test.each(bad)('refuses %s', (value) => {
    const error = refused({ [name]: value });
    expect(error.code).toBe(range);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(name);
    expect(error.message).toContain(String(value));
  });

  test.each([
    ['text', '5'],
    ['null', null],
    ['a boolean', true],
    ['an array', [5]],
    ['a bigint', 5n],
  ])('refuses %s', (_, value) => {
    const error = refused({ [name]: value });
    expect(error.code).toBe(type);
    expect(error.message).toContain(name);
  });
});

describe('everything else', () => {
  test.each([
    ['ring', 'text', type],
    ['ring', [], type],
    ['ring', { capacity: 1000 }, powerOfTwo],
    ['capacity', { capacity: 0 }, range],
    ['capacity', { capacity: '8' }, type],
    ['capacity', { capacity: null }, type],
    ['maxPayload', { maxPayload: 0 }, range],
    ['maxPayload', { maxPayload: 60_001 }, range],
    ['maxPayload', { maxPayload: 1.5 }, range],
  ])('ring: names %s in %j', (name, ring, code) => {
    const error = refused({ ring });
    expect(error.code).toBe(code);
    expect(error.message).toContain(name);
  });

  test.each([
    ['ringEntries', 100, powerOfTwo],
    ['policy', 'nonsense', 'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL'],
    ['policy', 'persisted>=0', 'ERR_ACKGATE_POLICY_ZERO_COUNT'],
    ['policy', '', 'ERR_ACKGATE_POLICY_EMPTY'],
    ['policy', 2, type],
    ['policy', { clauses: [] }, type],
    ['zone', '', type],
    ['zone', 5, type],
    ['backend', 'io_uring', type],
    ['backend', 1, type],
    ['idle', 'sleep', type],
    ['encoder', () => {}, type],
    ['encoder', '', type],
    ['encoder', { encode() {} }, type],
    ['framing', {}, type],
    ['framing', '', type],
    ['sqpoll', 'yes', type],
    ['sqpoll', 1, type],
    ['logger', {}, type],
    ['logger', 'console', type],
    ['logger', { ...silentLogger, warn: undefined }, type],
  ])('%s: %j', (name, value, code) => {
    const error = refused({ [name]: value });
    expect(error.code).toBe(code);
    if (name !== 'policy' || code === type) expect(error.message).toContain(name);
  });

  // A setting that got lost on its way must not become the default; least of all the mode `local`.
  test.each([
    'policy',
    'zone',
    'backend',
    'idle',
    'ring',
    'encoder',
    'framing',
    'sqpoll',
    'diagnosis',
    'logger',
  ])('%s: null is no default', (name) => {
    const error = refused({ [name]: null });
    expect(error.code).toBe(type);
    expect(error.message).toContain(name);
    expect(() => check({ [name]: undefined })).not.toThrow();
  });

  test.each([
    { policy: null },
    { encoder: null },
    { framing: null },
    { diagnosis: null },
    { diagnosis: { redactor: null } },
  ])('nor is it in the own loop: %j', (options) => {
    expect(() => createInlineStage(options as never)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/INVALID_ARGUMENT|_MODULE$/) }),
    );
  });

  test('a logger that lacks a level is told which', () => {
    expect(refused({ logger: { ...silentLogger, warn: 5 } }).message).toMatch(/warn is missing/);
  });

  test('options that are none', () => {
    for (const options of [null, 5, 'text', [], undefined]) expect(refused(options).code).toBe(type);
  });
});

describe('misspelt options', () => {
  test.each([
    ['conections', 'connections'],
    ['Policy', 'policy'],
    ['heartbeatIntervallMs', 'heartbeatIntervalMs'],
    ['flushDelay', 'flushDelayUs'],
    ['loger', 'logger'],
  ])('%s: did you mean %s?', (written, meant) => {
    const error = refused({ [written]: 1 });
    expect(error.code).toBe('ERR_ACKGATE_UNKNOWN_OPTION');
    expect(error.message).toContain(`"${written}"`);
    expect(error.message).toContain(`did you mean ${meant}?`);
  });

  test('inside ring', () => {
    const error = refused({ ring: { capcity: 8 } });
    expect(error.code).toBe('ERR_ACKGATE_UNKNOWN_OPTION');
    expect(error.message).toMatch(/in ring: did you mean capacity\?/);
  });

  test('beyond a guess, all known ones are listed', () => {
    const { message } = refused({ somethingElse: 1 });
    expect(message).toMatch(/known are ring, policy, .*logger/);
  });

  test('also where the value is undefined', () => {
    expect(refused({ conections: undefined }).code).toBe('ERR_ACKGATE_UNKNOWN_OPTION');
  });

  test('every call with options refuses them the same way', () => {
    expect(() => checkKeys('attach options', { connectionID: 1 }, ['connectionId'])).toThrow(
      /"connectionID" in attach options: did you mean connectionId\?/,
    );
  });
});

describe('what is accepted', () => {
  test('nothing at all: every default', () => {
    expect(check({})).toEqual({
      ring: { capacity: 4096, maxPayload: 448 },
      diagnosis: { baseline: 'off', kinds: {}, redactor: null, captureRecords: 256, captureBytes: 512 },
      connections: 16_384,
      policy: expect.objectContaining({ mode: 'local', byte: 0 }),
      zone: undefined,
      backend: 'auto',
      idle: 'park',
      encoder: null,
      framing: null,
      kernelSendBufferBytes: 0,
      ringEntries: 4096,
      sqpoll: false,
      logger: silentLogger,
      limits: {
        epoch: 0,
        heartbeatIntervalNs: 1e9,
        blockedTimeoutNs: 5e9,
        blockedTotalNs: 0,
        recordsPerBatch: 1024,
        flushBytes: 32_768,
        flushRecords: 1024,
        flushDelayNs: 200_000,
        staleAfterNs: 1e9,
      },
    });
  });

  test('a policy as mode, other name, text or object', () => {
    expect(checkPolicy('two-disks').mode).toBe('durably-replicated');
    expect(checkPolicy(' persisted >= 2 zones ')).toMatchObject({ mode: 'custom', byte: 255 });
    const policy = Policy.parse('persisted>=3');
    expect(checkPolicy(policy).policy).toBe(policy);
  });

  test('modules as URL or text', () => {
    expect(check({ encoder: new URL('file:///a.mjs'), framing: 'file:///b.mjs' })).toMatchObject({
      encoder: 'file:///a.mjs',
      framing: 'file:///b.mjs',
    });
  });
});
