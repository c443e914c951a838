import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { AckgateError, AckgateRangeError } from '#ackgate/errors.js';
import type { SoakConfig } from '#ackgate/soak/config.js';
import { checkForDriver, checkSoakConfig } from '#ackgate/soak/config-check.js';
import { operations, type SoakDriver } from '#ackgate/soak/driver.js';
import { fitDuration, scenarioNames, soakScenario } from '#ackgate/soak/scenarios.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';

const MiB = 1024 * 1024;
const invalid = 'ERR_ACKGATE_INVALID_ARGUMENT';
const outOfRange = 'ERR_ACKGATE_OUT_OF_RANGE';

const server = (part: object) => ({
  chaos: { server: [{ fault: 'f', everySeconds: 10, forMs: 100, ...part }] },
});
const limits = (part: object) => ({ thresholds: part });

describe('a configuration', () => {
  const wrong: [string, unknown, string, RegExp][] = [
    ['null', null, invalid, /^the configuration must be an object, got null$/],
    ['nothing', undefined, invalid, /^the configuration must be an object, got nothing$/],
    ['a list', [1, 2], invalid, /must be an object, got a list of 2$/],
    [
      'an unknown field',
      { clietns: 3 },
      'ERR_ACKGATE_UNKNOWN_OPTION',
      /^unknown field clietns: known are .*\bclients\b/,
    ],
    [
      'an unknown field inside',
      { mix: { simpel: 1 } },
      'ERR_ACKGATE_UNKNOWN_OPTION',
      /^unknown field mix\.simpel: known are simple, batch/,
    ],
    [
      'an unknown field in a list',
      server({ every: 1 }),
      'ERR_ACKGATE_UNKNOWN_OPTION',
      /^unknown field chaos\.server\[0\]\.every:/,
    ],
    [
      'an unknown threshold',
      limits({ leakMax: 1 }),
      'ERR_ACKGATE_UNKNOWN_OPTION',
      /^unknown field thresholds\.leakMax:/,
    ],
    ['a number for a name', { scenario: 5 }, invalid, /^scenario must be a name, got 5$/],
    [
      'a name that is a path',
      { scenario: '../x' },
      invalid,
      /^scenario must be a name of letters.*got "\.\.\/x"$/,
    ],
    [
      'a name of its own, incomplete',
      { scenario: 'mine', clients: 3 },
      invalid,
      /durationSeconds.*are missing: .*"mine" has to be complete/,
    ],
    ['text for a number', { clients: '3' }, invalid, /^clients must be an integer from 1 to 10000, got "3"$/],
    ['half a client', { clients: 0.5 }, outOfRange, /^clients must be an integer from 1 to 10000, got 0\.5$/],
    ['no client', { clients: 0 }, outOfRange, /^clients .*got 0$/],
    ['too many clients', { clients: 10_001 }, outOfRange, /^clients .*got 10001$/],
    ['NaN', { durationSeconds: Number.NaN }, outOfRange, /^durationSeconds .*got NaN$/],
    ['no end', { durationSeconds: Number.POSITIVE_INFINITY }, outOfRange, /^durationSeconds .*got Infinity$/],
    [
      'no time',
      { durationSeconds: 0 },
      outOfRange,
      /^durationSeconds must be a number from 1 to 2000000, got 0$/,
    ],
    [
      'nothing but warm-up',
      { durationSeconds: 60, warmupSeconds: 60 },
      outOfRange,
      /^durationSeconds must be more than warmupSeconds \(60\).*got 60$/,
    ],
    [
      'too many samples',
      { durationSeconds: 100_000, sampleSeconds: 1 },
      outOfRange,
      /^sampleSeconds 1 makes more than 20000 samples .*: use 5 or more$/,
    ],
    [
      'samples too close',
      { sampleSeconds: 0.09 },
      outOfRange,
      /^sampleSeconds must be a number from 0\.1 to 3600, got 0\.09$/,
    ],
    [
      'samples too far apart',
      { durationSeconds: 30, warmupSeconds: 0, sampleSeconds: 60 },
      outOfRange,
      /^sampleSeconds must be at most durationSeconds \(30\), got 60$/,
    ],
    ['a negative time', { settleSeconds: -1 }, outOfRange, /^settleSeconds .*got -1$/],
    ['no time to be ready', { readySeconds: 0 }, outOfRange, /^readySeconds .*got 0$/],
    ['no rate', { requestsPerSecond: 0 }, outOfRange, /^requestsPerSecond .*got 0$/],
    ['no time-out', { requestTimeoutMs: 0 }, outOfRange, /^requestTimeoutMs .*got 0$/],
    [
      'a mix of less than 1',
      { mix: { simple: 0.9 } },
      outOfRange,
      /^mix: the weights must sum to 1, they sum to 0\.9$/,
    ],
    ['a mix just over 1', { mix: { simple: 1, error: 2e-9 } }, outOfRange, /^mix: the weights must sum to 1/],
    [
      'a weight above 1',
      { mix: { simple: 2 } },
      outOfRange,
      /^mix\.simple must be a number from 0 to 1, got 2$/,
    ],
    ['a weight below 0', { mix: { simple: 1, slow: -0 - 1e-12 } }, outOfRange, /^mix\.slow /],
    [
      'sizes of more than 1',
      { sizes: { small: 1, huge: 1 } },
      outOfRange,
      /^sizes: the weights must sum to 1, they sum to 2$/,
    ],
    [
      'a probability above 1',
      { chaos: { disconnectsPerClientMinute: 1.1 } },
      outOfRange,
      /^chaos\.disconnectsPerClientMinute .*got 1\.1$/,
    ],
    [
      'a negative rate',
      { chaos: { slowReadersPerMinute: -1 } },
      outOfRange,
      /^chaos\.slowReadersPerMinute .*got -1$/,
    ],
    [
      'a negative rate',
      { chaos: { stuckReadersPerMinute: -1 } },
      outOfRange,
      /^chaos\.stuckReadersPerMinute .*got -1$/,
    ],
    [
      'a negative rate',
      { chaos: { halfFramesPerMinute: Number.NaN } },
      outOfRange,
      /^chaos\.halfFramesPerMinute .*got NaN$/,
    ],
    [
      'a negative delay',
      { chaos: { reconnectDelayMs: -1 } },
      outOfRange,
      /^chaos\.reconnectDelayMs .*got -1$/,
    ],
    [
      'faults that are no list',
      { chaos: { server: {} } },
      invalid,
      /^chaos\.server must be a list of faults, got an object$/,
    ],
    ['a fault without a name', server({ fault: '' }), invalid, /^chaos\.server\[0\]\.fault /],
    [
      'a fault without a time',
      server({ everySeconds: undefined }),
      invalid,
      /^chaos\.server\[0\]\.everySeconds must be .*got nothing$/,
    ],
    [
      'a fault all the time',
      server({ forMs: 10_000 }),
      outOfRange,
      /^chaos\.server\[0\]\.forMs must be less than everySeconds/,
    ],
    ['half a request', { footprint: { requests: 0.5 } }, outOfRange, /^footprint\.requests .*got 0\.5$/],
    ['nobody at a time', { footprint: { concurrency: 0 } }, outOfRange, /^footprint\.concurrency .*got 0$/],
    ['nobody at a time', { burst: { concurrency: 0 } }, outOfRange, /^burst\.concurrency .*got 0$/],
    [
      'an unknown finding',
      { required: ['leak-rss', 'leak-rs'] },
      invalid,
      /^required\[1\] must be a finding: ready, .*got "leak-rs"$/,
    ],
    [
      'a finding in place of a list',
      { required: 'ready' },
      invalid,
      /^required must be a list of findings, got "ready"$/,
    ],
    [
      'a finding that nothing is measured for',
      { required: ['ready', 'footprint-idle'], footprint: { requests: 0 } },
      invalid,
      /^required\[1\] is footprint-idle, which can't be judged, as footprint\.requests is 0:/,
    ],
    [
      'a peak without a burst',
      { required: ['peak-transient'], burst: { requests: 0 } },
      invalid,
      /^required\[0\] is peak-transient, .* burst\.requests is 0:/,
    ],
    [
      'a second half without a limit',
      { required: ['leak-second-half'] },
      invalid,
      /^required\[0\] is leak-second-half, .* thresholds\.secondHalfBytesPerHourMax is null:/,
    ],
    [
      'slow operations that are not sent',
      { required: ['degradation-slow'], mix: { simple: 1 } },
      invalid,
      /^required\[0\] is degradation-slow, .* mix\.slow is 0:/,
    ],
    [
      'a seed of 33 bits',
      { seed: 2 ** 32 },
      outOfRange,
      /^seed must be an integer from 0 to 4294967295, got 4294967296$/,
    ],
    [
      'a ratio below 1',
      limits({ growthRatioMax: 0.9 }),
      outOfRange,
      /^thresholds\.growthRatioMax .*got 0\.9$/,
    ],
    [
      'a slowdown of nothing',
      limits({ slowdownRatioMax: 1 }),
      outOfRange,
      /^thresholds\.slowdownRatioMax must be a number above 1 .*got 1$/,
    ],
    [
      'an r² of 1',
      limits({ leakR2Min: 1 }),
      outOfRange,
      /^thresholds\.leakR2Min must be a number above 0 and below 1, got 1$/,
    ],
    ['an r² of 0', limits({ leakR2Min: 0 }), outOfRange, /^thresholds\.leakR2Min .*got 0$/],
    ['two windows', limits({ leakWindowsMin: 2 }), outOfRange, /^thresholds\.leakWindowsMin .*got 2$/],
    [
      'half a window',
      limits({ slowdownWindowsMin: 1.5 }),
      outOfRange,
      /^thresholds\.slowdownWindowsMin .*got 1\.5$/,
    ],
    [
      'more than all',
      limits({ successShareMin: 1.01 }),
      outOfRange,
      /^thresholds\.successShareMin .*got 1\.01$/,
    ],
    [
      'null where there has to be a limit',
      limits({ peakBytesMax: null }),
      invalid,
      /^thresholds\.peakBytesMax .*got null$/,
    ],
    [
      'a slope of 0',
      limits({ secondHalfBytesPerHourMax: 0 }),
      outOfRange,
      /^thresholds\.secondHalfBytesPerHourMax .*got 0$/,
    ],
  ];

  test.each(wrong)('%s (%j)', (_, value, code, message) => {
    const error = errorOf(() => checkSoakConfig(value));
    expect(error).toBeInstanceOf(AckgateError);
    expect((error as AckgateError).code).toBe(code);
    expect((error as AckgateError).message).toMatch(message);
    expect(error instanceof AckgateRangeError).toBe(code === outOfRange);
  });

  it.each(Object.keys(defaultThresholds))('takes only a finite number above 0 for %s', (name) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1, '1', true]) {
      const error = errorOf(() => checkSoakConfig(limits({ [name]: value }))) as AckgateError;
      expect(error?.message).toContain(`thresholds.${name} must be`);
    }
  });

  it('is filled up from the scenario that it names', () => {
    expect(checkSoakConfig({})).toEqual(soakScenario('moderate'));
    const config = checkSoakConfig({
      scenario: 'reconnect',
      chaos: { reconnectDelayMs: 10 },
      thresholds: { successShareMin: 0.5 },
      mix: { simple: 0.5, batch: 0.5 },
      clients: undefined,
    });
    const base = soakScenario('reconnect');
    expect(config).toEqual({
      ...base,
      chaos: { ...base.chaos, reconnectDelayMs: 10 },
      thresholds: { ...base.thresholds, successShareMin: 0.5 },
      mix: { simple: 0.5, batch: 0.5, streaming: 0, error: 0, slow: 0 },
      // There are no slow ones.
      required: base.required.filter((id) => id !== 'degradation-slow'),
    });
  });

  it('brings warm-up and samples along when it is shorter, but for those that it gives', () => {
    expect(checkSoakConfig({ durationSeconds: 600 })).toMatchObject({ warmupSeconds: 100, sampleSeconds: 4 });
    expect(checkSoakConfig({ durationSeconds: 600, warmupSeconds: 400 })).toMatchObject({ sampleSeconds: 1 });
    expect(checkSoakConfig({ durationSeconds: 600, sampleSeconds: 0.1 })).toMatchObject({
      warmupSeconds: 100,
      sampleSeconds: 0.1,
    });
  });

  it('may have a name of its own when it is complete', () => {
    const whole = { ...soakScenario('smoke'), scenario: 'mine' };
    expect(checkSoakConfig(whole)).toEqual(whole);
    const { readySeconds: _, ...rest } = whole;
    expect(() => checkSoakConfig(rest)).toThrow(/^readySeconds is missing/);
    const { burst: __, ...other } = { ...whole, footprint: { requests: 1 } };
    expect(() => checkSoakConfig(other)).toThrow(
      /footprint\.concurrency, burst|burst, footprint\.concurrency/,
    );
  });

  it('sums within the rounding of decimal fractions', () => {
    const mix = { simple: 0.7, batch: 0.1, streaming: 0.1, error: 0.1, slow: 0 };
    expect(Object.values(mix).reduce((sum, part) => sum + part, 0)).not.toBe(1);
    expect(checkSoakConfig({ mix }).mix).toEqual(mix);
  });
});

const weights = <Name extends string>(...names: Name[]) =>
  fc.tuple(...names.map(() => fc.integer({ min: 0, max: 1000 }))).map((parts) => {
    const sum = parts.reduce((a, b) => a + b, 0);
    const shares = parts.map((part, i) => (sum === 0 ? (i === 0 ? 1 : 0) : part / sum));
    return Object.fromEntries(names.map((name, i) => [name, shares[i]])) as Record<Name, number>;
  });

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });

const validConfig: fc.Arbitrary<SoakConfig> = fc
  .record({
    scenario: fc.constantFrom(...scenarioNames),
    durationSeconds: fc.integer({ min: 3, max: 2_000_000 }),
    seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    clients: fc.integer({ min: 1, max: 10_000 }),
    requestsPerSecond: real(0.1, 100_000),
    mix: weights(...operations),
    sizes: weights('small', 'medium', 'large', 'huge'),
    halfFramesPerMinute: real(0, 6000),
    leakR2Min: real(0.01, 0.99),
  })
  .map(({ scenario, durationSeconds, seed, halfFramesPerMinute, leakR2Min, ...rest }) => {
    const base = soakScenario(scenario, { durationSeconds, seed });
    return {
      ...base,
      ...rest,
      chaos: { ...base.chaos, halfFramesPerMinute },
      thresholds: { ...base.thresholds, leakR2Min },
      // Of what is never sent nothing can be asked.
      required: base.required.filter((id) => id !== 'degradation-slow' || rest.mix.slow > 0),
    };
  });

/** Paths of all numbers in a configuration, such as `chaos.server[0].forMs`. */
function numbersIn(value: unknown, at = ''): string[] {
  if (typeof value === 'number') return [at];
  if (Array.isArray(value)) return value.flatMap((part, i) => numbersIn(part, `${at}[${i}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => numbersIn(part, at === '' ? key : `${at}.${key}`));
}

function withValue(config: SoakConfig, path: string, value: unknown): unknown {
  const copy = structuredClone(config) as unknown as Record<string, unknown>;
  const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
  let part = copy;
  for (const key of keys.slice(0, -1)) part = part[key] as Record<string, unknown>;
  part[keys.at(-1)!] = value;
  return copy;
}

describe('any configuration', () => {
  it('that is valid comes back as it was, also through JSON', () => {
    fc.assert(
      fc.property(validConfig, (config) => {
        expect(checkSoakConfig(config)).toEqual(config);
        expect(checkSoakConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
      }),
    );
  });

  it('with one broken number is refused by its name', () => {
    const broken = fc.constantFrom<unknown>(Number.NaN, Number.POSITIVE_INFINITY, -1, '1', false, {}, []);
    fc.assert(
      fc.property(validConfig, broken, fc.nat(), (config, value, pick) => {
        const paths = numbersIn(config);
        const path = paths[pick % paths.length];
        const error = errorOf(() => checkSoakConfig(withValue(config, path, value))) as Error;
        expect(error).toBeInstanceOf(AckgateError);
        expect(error.message.startsWith(`${path} must be `)).toBe(true);
      }),
    );
  });

  it('of whatever kind is taken whole or refused by one of our errors', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const error = errorOf(() => checkSoakConfig(value));
        if (error !== null) expect(error).toBeInstanceOf(AckgateError);
      }),
    );
  });
});

describe('the built-in scenarios', () => {
  it.each([
    ['smoke', 60, 10, 1, 200, 20],
    ['moderate', 86_400, 7200, 60, 100, 50],
    ['reconnect', 172_800, 7200, 60, 50, 100],
    ['memory', 43_200, 7200, 60, 10, 20],
  ])(
    '%s is as specified',
    (name, durationSeconds, warmupSeconds, sampleSeconds, requestsPerSecond, clients) => {
      expect(soakScenario(name)).toMatchObject({
        scenario: name,
        durationSeconds,
        warmupSeconds,
        sampleSeconds,
        requestsPerSecond,
        clients,
        mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
        footprint: { requests: 50_000, concurrency: 16 },
        settleSeconds: 2,
        readySeconds: 30,
        seed: 1,
      });
    },
  );

  it('have the particulars of their purpose', () => {
    expect(soakScenario('reconnect').chaos).toMatchObject({
      disconnectsPerClientMinute: 0.01,
      reconnectDelayMs: 5000,
    });
    const memory = soakScenario('memory');
    expect(memory.sizes).toEqual({ small: 0.1, medium: 0.3, large: 0.5, huge: 0.1 });
    expect(memory.thresholds.secondHalfBytesPerHourMax).toBe(5 * MiB);
    expect(memory.required).toContain('leak-second-half');
    expect(soakScenario('moderate').thresholds.slowdownRatioMax).toBe(1.1);
    expect(soakScenario('moderate', { durationSeconds: 86_399 }).thresholds.slowdownRatioMax).toBe(1.2);
    const told = soakScenario('smoke').required;
    expect(told.filter((id) => id.startsWith('leak') || id.startsWith('degradation'))).toEqual([]);
    expect(told).toEqual(expect.arrayContaining(['ready', 'completed', 'loss-missing', 'orphans']));
  });

  it('are refused by name when there is no such one', () => {
    expect(() => soakScenario('smok')).toThrow(
      'there is no scenario "smok": there are smoke, moderate, reconnect, memory',
    );
  });

  it('of any length are valid, with at most a sixth of warm-up and enough windows', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...scenarioNames),
        fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 2_000_000 })),
        (name, length) => {
          const config = soakScenario(name, { durationSeconds: length });
          expect(checkSoakConfig(config)).toEqual(config);
          const { warmupSeconds, sampleSeconds, thresholds } = config;
          expect(warmupSeconds).toBeLessThanOrEqual(length / 6);
          expect(length / sampleSeconds).toBeLessThanOrEqual(20_000);
          expect(sampleSeconds).toBeGreaterThanOrEqual(length < 120 ? 0.5 : 1);
          const windows = (length - warmupSeconds) / (sampleSeconds * 10);
          if (length >= 144) expect(windows).toBeGreaterThanOrEqual(12);
          const halves = thresholds.secondHalfBytesPerHourMax !== null;
          if (halves && length >= 288) expect(windows).toBeGreaterThanOrEqual(24);
          // Two of those that show a trend may be lost by late readings.
          const trends = config.required.includes('leak-rss');
          expect(trends).toBe(Math.floor(windows) >= thresholds.leakWindowsMin + 2);
          const second = halves && Math.floor(Math.floor(windows) / 2) >= thresholds.leakWindowsMin + 2;
          expect(config.required.includes('leak-second-half')).toBe(second);
        },
      ),
    );
  });

  it('ask for trends from ten windows on', () => {
    const asked = (windows: number) =>
      checkSoakConfig({ durationSeconds: 20 + windows * 10, warmupSeconds: 20, sampleSeconds: 1 }).required;
    for (const id of ['leak-rss', 'leak-fds', 'leak-threads'] as const) {
      expect([8, 9, 10, 11].map((windows) => asked(windows).includes(id))).toEqual([
        false,
        false,
        true,
        true,
      ]);
    }
  });

  it('can be fitted to another length and back', () => {
    const moderate = soakScenario('moderate');
    const short = fitDuration(moderate, 600);
    expect(short).toMatchObject({ durationSeconds: 600, warmupSeconds: 100, sampleSeconds: 4 });
    expect(short.required).toContain('degradation-slow');
    // Six in each of its windows are too few.
    expect(fitDuration(soakScenario('memory'), 600).required).not.toContain('degradation-slow');
  });
});

describe('what a driver lacks', () => {
  const driver: SoakDriver = {
    name: 'plain',
    operations: ['simple', 'batch'],
    requestBytesMax: 4000,
    connect: () => Promise.reject(new Error('not in this test')),
  };
  const able: SoakDriver = {
    ...driver,
    operations,
    requestBytesMax: 16 * MiB,
    sampleRequest: () => new Uint8Array(8),
    faults: { 'journal-stall': { description: 'a stall', begin() {}, end() {} } },
  };

  it('is left out of a built-in scenario, with a note for each', () => {
    const { config, notes } = checkForDriver(soakScenario('moderate'), driver);
    expect(config.mix).toEqual({
      simple: expect.closeTo(0.75, 12),
      batch: expect.closeTo(0.25, 12),
      streaming: 0,
      error: 0,
      slow: 0,
    });
    expect(config.chaos.server).toEqual([]);
    expect(config.chaos.halfFramesPerMinute).toBe(0);
    expect(config.required).not.toContain('degradation-slow');
    expect(notes.join('\n')).toMatch(/no streaming, error, slow: .*simple, batch/);
    expect(notes.join('\n')).toMatch(/no journal-stall/);
    expect(notes.join('\n')).toMatch(/no half-frames/);
    // And what is left can be run, and resumed.
    expect(checkSoakConfig(config)).toEqual(config);
    expect(checkForDriver(config, driver)).toEqual({ config, notes: [] });
  });

  it('is nothing with a driver that has everything', () => {
    for (const name of scenarioNames) {
      const config = soakScenario(name);
      expect(checkForDriver(config, able)).toEqual({ config, notes: [] });
    }
  });

  it('is an error when it was asked for by hand', () => {
    const mix = checkSoakConfig({ mix: { simple: 0.5, slow: 0.5 } });
    expect(() => checkForDriver(mix, driver)).toThrow(
      /^mix\.slow: the driver plain does not have this operation; it has simple, batch$/,
    );
    const fault = checkSoakConfig({ chaos: { server: [{ fault: 'flood', everySeconds: 9, forMs: 9 }] } });
    expect(() => checkForDriver(fault, driver)).toThrow(
      /^chaos\.server\[0\]\.fault: .*no fault "flood"; it has none$/,
    );
    expect(() => checkForDriver(fault, able)).toThrow(/it has journal-stall$/);
    const slow = checkSoakConfig({ required: ['ready', 'degradation-slow'] });
    expect(() => checkForDriver(slow, driver)).toThrow(
      /^required\[1\] is degradation-slow, .* the driver plain has no slow operations/,
    );
    expect(checkForDriver(slow, able).config.required).toEqual(['ready', 'degradation-slow']);
  });

  it('is told for sizes that are never sent', () => {
    const { notes } = checkForDriver(soakScenario('memory'), { ...able, requestBytesMax: 4000 });
    expect(notes).toEqual([expect.stringMatching(/^large, huge messages are cut to 4000 bytes/)]);
  });
});

function errorOf(action: () => unknown): unknown {
  try {
    action();
    return null;
  } catch (error) {
    return error;
  }
}
