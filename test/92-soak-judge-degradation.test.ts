import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Verdict } from '#ackgate/soak/findings.js';
import { judgeDegradation } from '#ackgate/soak/judges/degradation.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';
import { type WindowModel, windowsOf } from './support/soak-points.js';

const judge = (models: readonly WindowModel[], thresholds = defaultThresholds) =>
  judgeDegradation('degradation', windowsOf(models), thresholds);

/** p99 of each window; null: a gap. */
const p99s = (...values: (number | null)[]): WindowModel[] => values.map((p99Ms) => ({ p99Ms }));

describe('degradation', () => {
  test.each<[string, WindowModel[], Verdict]>([
    ['nothing changes', p99s(10, 10, 10, 10), 'pass'],
    ['20 % more is none too many', p99s(10, 12, 12, 12), 'pass'],
    ['more than that is', p99s(10, 10, 12.001, 12.001), 'fail'],
    ['one window is not two', p99s(10, 50, 10, 10, 50, 10), 'pass'],
    ['two apart are not two running', p99s(10, 50, 10, 50, 10), 'pass'],
    ['two running are, though it gets better', p99s(10, 10, 13, 13, 10, 10), 'fail'],
    ['the first window is what counts, not the best one', p99s(10, 5, 10, 10, 10), 'pass'],
    ['faster is no slowdown', p99s(10, 5, 5, 5), 'pass'],
    ['two around a gap are not running', p99s(10, 10, 10, 13, null, 13, 10, 10), 'pass'],
    ['a gap is not a zero', p99s(10, null, 10, 10), 'pass'],
    ['a gap in front moves the baseline', p99s(null, 10, 13, 13), 'fail'],
    ['two windows are too few', p99s(10, 10), 'inconclusive'],
    ['three are enough', p99s(10, 10, 10), 'pass'],
    ['no window at all', [], 'inconclusive'],
    ['nothing was ever answered', p99s(null, null, null, null), 'inconclusive'],
    ['half are gaps', p99s(10, 10, 10, null, null, null, null, 10), 'pass'],
    ['more than half are gaps', p99s(10, 10, 10, null, null, null, null, null, 10), 'inconclusive'],
    ['the end is a gap', p99s(10, 10, 10, 10, 10, null, null), 'inconclusive'],
    ['only the very end is one', p99s(10, 10, 10, 10, 10, null), 'pass'],
    ['no two run', p99s(10, null, 10, null, 10, null, 10), 'inconclusive'],
  ])('%s', (_, models, expected) => {
    expect(judge(models).verdict).toBe(expected);
  });

  test('p95 counts as p99 does, and p50 does not', () => {
    const p95s = (...values: number[]) => values.map((p95Ms) => ({ p95Ms, p99Ms: 30 }));
    expect(judge(p95s(10, 10, 13, 13)).verdict).toBe('fail');
    expect(judge(p95s(10, 10, 12, 12)).verdict).toBe('pass');
    const p50 = windowsOf(p99s(10, 10, 10, 10)).map((window, n) => ({
      ...window,
      latency: { ...window.latency!, p50Ms: n < 2 ? 1 : 4 },
    }));
    expect(judgeDegradation('degradation', p50, defaultThresholds).verdict).toBe('pass');
    // One by p95 and one by p99 are two running all the same.
    const mixed = [...p99s(10, 10), { p95Ms: 5, p99Ms: 13 }, { p95Ms: 6.5, p99Ms: 10 }];
    expect(judge(mixed).verdict).toBe('fail');
  });

  test('a limit of 10 % is held to', () => {
    const strict = { ...defaultThresholds, slowdownRatioMax: 1.1 };
    expect(judge(p99s(10, 11, 11), strict).verdict).toBe('pass');
    expect(judge(p99s(10, 11.001, 11.001), strict).verdict).toBe('fail');
  });

  test('a slowdown of 1 % a window is found', () => {
    const slowing = Array.from({ length: 24 }, (_, n) => ({ p99Ms: 3.4 * 1.01 ** n }));
    const finding = judge(slowing);
    expect(finding.verdict).toBe('fail');
    expect(finding.detail).toBe(
      'In the worst 2 of 24 windows running, answers are 24.5 % slower (p95 or p99) than in the first one (1.70 ms and 3.40 ms); at most 20.0 %',
    );
    // Linear: the 22nd and 23rd window are 21 and 22 % slower.
    const linear = (windows: number) =>
      judge(Array.from({ length: windows }, (_, n) => ({ p99Ms: 10 * (1 + 0.01 * n) }))).verdict;
    expect(linear(22)).toBe('pass');
    expect(linear(23)).toBe('fail');
  });

  test('windows with too few answers are gaps', () => {
    const thin = (count: number) =>
      judge([...p99s(10, 10, 10), { p99Ms: 50, count }, { p99Ms: 50, count }, ...p99s(10)]);
    expect(thin(1000).verdict).toBe('fail');
    expect(thin(999).verdict).toBe('pass');
    expect(thin(0).verdict).toBe('pass');
    expect(judge([10, 10, 10, 10].map((p99Ms) => ({ p99Ms, count: 999 }))).verdict).toBe('inconclusive');
  });

  describe('when the generator was late', () => {
    const lag = (before: number | null, after: number | null) =>
      judge([
        { p99Ms: 10, lagP99Ms: before },
        { p99Ms: 10, lagP99Ms: before },
        { p99Ms: 20, lagP99Ms: after },
        { p99Ms: 20, lagP99Ms: after },
      ]).verdict;

    test.each<[number | null, number | null, Verdict]>([
      [0.5, 0.5, 'fail'],
      [0.5, 1, 'fail'],
      [0.5, 1.001, 'inconclusive'],
      [2, 2.4, 'fail'],
      [2, 2.41, 'inconclusive'],
      [0, 5, 'inconclusive'],
      [null, 5, 'fail'],
      [0.5, null, 'fail'],
      [0.5, Number.NaN, 'fail'],
      [Number.NaN, 5, 'fail'],
      [-1, 5, 'fail'],
    ])('by %s ms first, then by %s ms: %s', (before, after, expected) => {
      expect(lag(before, after)).toBe(expected);
    });

    test('by a little, it does not excuse a server that is late by a lot', () => {
      const models = [10, 10, 40, 40].map((p99Ms, n) => ({ p99Ms, lagP99Ms: n < 2 ? 0.5 : 2 }));
      expect(judge(models).verdict).toBe('fail');
      expect(judge(models.map((model) => ({ ...model, lagP99Ms: model.lagP99Ms * 2 }))).verdict).toBe(
        'inconclusive',
      );
    });

    test('two running in which it was not are a slowdown all the same', () => {
      const models = [10, 10, 20, 20, 20].map((p99Ms, n) => ({ p99Ms, lagP99Ms: n === 2 ? 50 : 0.1 }));
      expect(judge(models).verdict).toBe('fail');
      expect(judge(models.slice(0, 4)).verdict).toBe('inconclusive');
    });

    test('it is no reason to pass what would have failed, nor to doubt what passes', () => {
      expect(judge([10, 10, 10].map((p99Ms, n) => ({ p99Ms, lagP99Ms: n * 50 }))).verdict).toBe('pass');
    });
  });

  describe('lives of the server', () => {
    const life = (segment: number, ...values: number[]) => values.map((p99Ms) => ({ p99Ms, segment }));

    test.each<[string, WindowModel[], Verdict]>([
      ['each has a baseline of its own', [...life(0, 10, 10, 10), ...life(1, 20, 20, 20)], 'pass'],
      ['the worse one counts', [...life(0, 10, 10, 10), ...life(1, 10, 20, 20)], 'fail'],
      ['a short one does not', [...life(0, 10, 10, 10), ...life(1, 10, 20)], 'pass'],
      ['only short ones', [...life(0, 10, 10), ...life(1, 10, 20)], 'inconclusive'],
    ])('%s', (_, models, expected) => {
      expect(judge(models).verdict).toBe(expected);
    });
  });

  test('slow operations are judged by theirs, which are a twentieth', () => {
    const slow = (...models: WindowModel[]) =>
      judgeDegradation(
        'degradation-slow',
        windowsOf(models).map((window) => ({ ...window, latency: null })),
        defaultThresholds,
      ).verdict;
    const of = (count: number, ...values: number[]) => values.map((p99Ms) => ({ p99Ms, count }));
    expect(slow(...of(50, 10, 10, 10))).toBe('pass');
    expect(slow(...of(50, 10, 13, 13))).toBe('fail');
    expect(slow(...of(49, 10, 13, 13))).toBe('inconclusive');
    const limits = judgeDegradation('degradation-slow', windowsOf([]), defaultThresholds).limits;
    expect(limits.find(({ name }) => name === 'windowAnswersMin')?.value).toBe(50);
    // A 99th percentile of so few answers is one of them.
    const tail = (count: number) => slow(...[10, 30, 30].map((p99Ms) => ({ p99Ms, p95Ms: 5, count })));
    expect(tail(999)).toBe('pass');
    expect(tail(1000)).toBe('fail');
  });

  test('the unit does not matter, and slower windows at the end always do', () => {
    const models = fc.array(fc.double({ min: 5, max: 100, noNaN: true }), { minLength: 3, maxLength: 40 });
    fc.assert(
      fc.property(models, fc.double({ min: 0.01, max: 1000, noNaN: true }), (values, scale) => {
        const { verdict } = judge(p99s(...values));
        expect(judge(p99s(...values.map((value) => value * 2 ** Math.round(scale % 8)))).verdict).toBe(
          verdict,
        );
        const worse = values[0]! * 1.21;
        expect(judge(p99s(...values, worse, worse)).verdict).toBe('fail');
        if (verdict === 'fail') expect(judge(p99s(...values, 1, 1, 1)).verdict).toBe('fail');
      }),
    );
  });
});
