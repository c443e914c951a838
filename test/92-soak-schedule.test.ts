import { mean, sampleVariance } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { sizeClasses } from '#ackgate/soak/config.js';
import { operations } from '#ackgate/soak/driver.js';
import { Schedule, type ScheduleOptions, sizeBounds } from '#ackgate/soak/load/schedule.js';
import { codeOf } from './support/values.js';

const MiB = 1024 * 1024;

const options: ScheduleOptions = {
  requestsPerSecond: 1000,
  clients: 7,
  mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
  sizes: { small: 0.4, medium: 0.3, large: 0.2, huge: 0.1 },
  driver: { operations, requestBytesMax: 16 * MiB },
  seed: 7,
};

interface Drawn {
  dueMs: number;
  operation: string;
  bytes: number;
  client: number;
}

function draw(count: number, changes: Partial<ScheduleOptions> = {}): Drawn[] {
  const schedule = new Schedule({ ...options, ...changes });
  return Array.from({ length: count }, () => {
    const { dueMs, operation, bytes, client } = schedule;
    schedule.next();
    return { dueMs, operation, bytes, client };
  });
}

const classOf = (bytes: number) =>
  sizeClasses.find((name) => bytes >= sizeBounds[name][0] && bytes <= sizeBounds[name][1]);

function shares(names: readonly (string | undefined)[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const name of names) result[`${name}`] = (result[`${name}`] ?? 0) + 1 / names.length;
  return result;
}

describe('the schedule of a load', () => {
  it('is the same for the same seed, and another for another one', () => {
    expect(draw(1000)).toEqual(draw(1000));
    expect(draw(1000, { seed: 8 })).not.toEqual(draw(1000));
  });

  it('has requests due at the same times with other clients, operations or sizes', () => {
    const dueTimes = (changes: Partial<ScheduleOptions>) => draw(500, changes).map(({ dueMs }) => dueMs);
    const mix = { simple: 1, batch: 0, streaming: 0, error: 0, slow: 0 };
    const sizes = { small: 1, medium: 0, large: 0, huge: 0 };
    expect(dueTimes({ clients: 1, mix, sizes })).toEqual(dueTimes({}));
  });

  it('is a Poisson process: gaps have the mean of the rate, and its square for variance', () => {
    const drawn = draw(100_000);
    const gaps = drawn.map(({ dueMs }, index) => dueMs - (drawn[index - 1]?.dueMs ?? 0));
    expect(mean(gaps)).toBeCloseTo(1, 1);
    expect(sampleVariance(gaps)).toBeGreaterThan(0.95);
    expect(sampleVariance(gaps)).toBeLessThan(1.05);
    // No memory: a gap says nothing about the next one.
    const pairs = gaps.slice(1).map((gap, index) => (gap - 1) * (gaps[index] - 1));
    expect(Math.abs(mean(pairs))).toBeLessThan(0.03);
  });

  it('draws operations by the mix, and all clients alike', () => {
    const drawn = draw(100_000);
    const byOperation = shares(drawn.map(({ operation }) => operation));
    for (const operation of operations) {
      expect(byOperation[operation], operation).toBeCloseTo(options.mix[operation], 2);
    }
    const byClient = shares(drawn.map(({ client }) => String(client)));
    expect(Object.keys(byClient).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    for (const share of Object.values(byClient)) expect(share).toBeCloseTo(1 / 7, 2);
  });

  it('draws sizes by their classes, within the bounds of each, small ones as likely as large ones', () => {
    const drawn = draw(100_000).map(({ bytes }) => bytes);
    const byClass = shares(drawn.map(classOf));
    for (const name of sizeClasses) expect(byClass[name], name).toBeCloseTo(options.sizes[name], 2);
    const large = drawn.filter((bytes) => classOf(bytes) === 'large');
    const [low, high] = sizeBounds.large;
    const below = large.filter((bytes) => bytes < Math.sqrt(low * high)).length;
    expect(below / large.length).toBeCloseTo(0.5, 1);
  });

  it('cuts sizes to what the driver can send', () => {
    const drawn = draw(10_000, { driver: { operations, requestBytesMax: 5000 } });
    expect(Math.max(...drawn.map(({ bytes }) => bytes))).toBe(5000);
  });

  it('leaves out operations that the driver does not have, and keeps the proportions of the others', () => {
    const driver = { operations: ['simple', 'error'] as const, requestBytesMax: MiB };
    const found = shares(draw(50_000, { driver }).map(({ operation }) => operation));
    expect(Object.keys(found).sort()).toEqual(['error', 'simple']);
    expect(found.error).toBeCloseTo(0.05 / 0.65, 2);
  });

  it('refuses a mix that leaves nothing to send', () => {
    const mix = { simple: 0, batch: 0, streaming: 0, error: 0, slow: 1 };
    const driver = { operations: ['simple'] as const, requestBytesMax: MiB };
    const make = () => new Schedule({ ...options, mix, driver });
    expect(codeOf(make)).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
    expect(make).toThrow('mix gives no weight to anything that can be sent; name one of simple');
  });
});
