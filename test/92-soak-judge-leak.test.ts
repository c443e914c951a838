import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '#ackgate/sim/random.js';
import type { Finding, Verdict } from '#ackgate/soak/findings.js';
import { judgeLeak, judgeSecondHalf, type TrendId } from '#ackgate/soak/judges/leak.js';
import { fitLine, windowMinima } from '#ackgate/soak/judges/series.js';
import { soakScenario } from '#ackgate/soak/scenarios.js';
import { defaultThresholds, type Thresholds } from '#ackgate/soak/thresholds.js';
import {
  comingAndGoing,
  floors,
  MiB,
  type SeriesPoint,
  sawtooth,
  series,
  warmup,
} from './support/soak-points.js';

const leak = (points: readonly SeriesPoint[], id: TrendId = 'leak-rss', thresholds = defaultThresholds) =>
  judgeLeak(id, [{ segment: 0, points }], thresholds);

const figure = ({ measured }: Finding, name: string) => measured.find((found) => found.name === name)!.value;

describe('windows and lines', () => {
  test('the floor of a window is its lowest reading; a last window that is not whole is left out', () => {
    const points = Array.from({ length: 25 }, (_, n) => ({ atMs: n, value: 100 - (n % 7) }));
    expect(windowMinima(points)).toEqual([
      { atMs: 6, value: 94 },
      { atMs: 13, value: 94 },
    ]);
  });

  test('a straight line is found as it is', () => {
    const line = fitLine([0, 1, 2, 3].map((n) => ({ atMs: n * 1_800_000, value: 7 + n })))!;
    expect(line.slopePerHour).toBeCloseTo(2, 12);
    expect(line.r2).toBeCloseTo(1, 12);
    expect(line.from).toEqual({ atMs: 0, value: 7 });
    expect(line.to.value).toBeCloseTo(10, 12);
  });

  test('one point has no line, and points that do not vary have no r²', () => {
    expect(fitLine([])).toBeNull();
    expect(fitLine([{ atMs: 0, value: 1 }])).toBeNull();
    expect(fitLine([0, 1, 2].map((atMs) => ({ atMs, value: 5 })))!.r2).toBeNull();
  });
});

describe('RSS', () => {
  // Windows of six minutes: a tenth of an hour, so that the slope in MiB/h is ten times the step.
  const steps = (windows: number, stepBytes: number) =>
    floors(
      Array.from({ length: windows }, (_, n) => 100 * MiB + n * stepBytes),
      360,
    );

  test('10 MiB/h is no leak, and one byte more in a window is', () => {
    expect(leak(steps(24, MiB)).verdict).toBe('pass');
    expect(leak(steps(24, MiB + 1)).verdict).toBe('fail');
    expect(figure(leak(steps(24, MiB)), 'slopeBytesPerHour')).toBeCloseTo(10 * MiB, 3);
  });

  test('seven windows say nothing, eight do', () => {
    expect(leak(steps(7, 2 * MiB)).verdict).toBe('inconclusive');
    expect(leak(steps(8, 2 * MiB)).verdict).toBe('fail');
    expect(leak(steps(7, 0)).verdict).toBe('inconclusive');
    expect(leak(steps(8, 0)).verdict).toBe('pass');
  });

  test('a line that does not explain more than 0.8 of the variation is no trend', () => {
    // r² of a line with a step of `up` in each second window, set from both sides of 0.8.
    const jagged = (up: number) =>
      leak(
        floors(
          Array.from({ length: 24 }, (_, n) => (100 + 2 * n + (n % 2 === 0 ? 0 : up)) * MiB),
          360,
        ),
      );
    const within = jagged(12);
    const beyond = jagged(16);
    expect(figure(within, 'r2')).toBeGreaterThan(0.8);
    expect(within.verdict).toBe('fail');
    expect(figure(beyond, 'r2')).toBeLessThan(0.8);
    expect(figure(beyond, 'slopeBytesPerHour')).toBeGreaterThan(10 * MiB);
    expect(beyond.verdict).toBe('pass');
  });

  test('an r² of exactly the limit is no trend either', () => {
    const points = floors(
      [100, 104, 103, 109, 108, 115, 112, 121].map((value) => value * MiB),
      360,
    );
    const leakR2Min = figure(leak(points), 'r2')!;
    const at = (limit: number) =>
      leak(points, 'leak-rss', { ...defaultThresholds, leakR2Min: limit }).verdict;
    expect(at(leakR2Min)).toBe('pass');
    expect(at(leakR2Min - 1e-12)).toBe('fail');
  });

  test('a constant series is no leak', () => {
    const finding = leak(series(4, 60, () => 80 * MiB));
    expect(finding.verdict).toBe('pass');
    expect(figure(finding, 'r2')).toBeNull();
  });

  test('15 MiB/h are found under a sawtooth of 40 MiB every 7 min, in 4 h of a reading a minute', () => {
    const tooth = sawtooth(40 * MiB, 7);
    for (let phase = 0; phase < 7; phase += 0.25) {
      const finding = leak(series(4, 60, (hours) => 80 * MiB + 15 * MiB * hours + tooth(hours + phase / 60)));
      expect(finding.verdict).toBe('fail');
      expect(finding.detail).toMatch(
        /^The floor of RSS rises by 1[456]\.\d MiB\/h \(r² (0\.9\d|1\.00) over 24 windows of 10 min\); at most 10\.0 MiB\/h$/,
      );
    }
  });

  test('the sawtooth alone is not reported', () => {
    const tooth = sawtooth(40 * MiB, 7);
    for (let phase = 0; phase < 7; phase += 0.25) {
      expect(leak(series(4, 60, (hours) => 80 * MiB + tooth(hours + phase / 60))).verdict).toBe('pass');
    }
  });

  test.each([4, 8, 24])(
    'a warm-up of 80 MiB (τ 20 min) is not reported once it is left out, in %s h',
    (hours) => {
      const warm = warmup(80 * MiB, 20);
      const tooth = sawtooth(40 * MiB, 7);
      for (const left of [0.5, 1, 2]) {
        expect(leak(series(hours, 60, (at) => 60 * MiB + warm(at), left)).verdict).toBe('pass');
        for (let phase = 0; phase < 7; phase += 0.5) {
          const value = (at: number) => 60 * MiB + warm(at) + tooth(at + phase / 60);
          expect(leak(series(hours, 60, value, left)).verdict).toBe('pass');
        }
      }
    },
  );

  test('what has grown by less than 4 MiB in all is not known to go on', () => {
    // 20 MiB/h over eight windows of a minute or two.
    const short = (windowSeconds: number, slope = 20) =>
      leak(
        floors(
          Array.from({ length: 8 }, (_, n) => (100 + (slope * n * windowSeconds) / 3600) * MiB),
          windowSeconds,
        ),
      ).verdict;
    expect(short(60)).toBe('inconclusive');
    expect(short(102)).toBe('inconclusive');
    expect(short(103)).toBe('fail');
    // Too slow to be a leak at all, however short.
    expect(short(60, 9)).toBe('pass');
  });

  test('a steep line on top of anything that passes is found', () => {
    const noise = fc.array(fc.integer({ min: 0, max: 8 * MiB }), { minLength: 240, maxLength: 240 });
    fc.assert(
      fc.property(noise, fc.double({ min: 30, max: 1000, noNaN: true }), (above, slope) => {
        const value = (line: number) => (hours: number) =>
          100 * MiB + above[Math.round(hours * 60)]! + line * MiB * hours;
        expect(leak(series(4, 60, value(0))).verdict).toBe('pass');
        expect(leak(series(4, 60, value(slope))).verdict).toBe('fail');
      }),
      { numRuns: 50 },
    );
  });

  test('the verdict does not depend on when the run was, nor on what lies below', () => {
    const noise = fc.array(fc.integer({ min: 0, max: 40 * MiB }), { minLength: 100, maxLength: 200 });
    fc.assert(
      fc.property(
        noise,
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 0, max: 1000 }),
        (values, hours, more) => {
          const at = (offsetMs: number, offset: number) =>
            leak(values.map((value, n) => ({ atMs: offsetMs + n * 60_000, value: MiB + value + offset })));
          const { verdict } = at(0, 0);
          expect(at(hours * 3_600_000, more * MiB).verdict).toBe(verdict);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('descriptors and threads', () => {
  test.each(['leak-fds', 'leak-threads'] as const)('%s: one an hour is none too many', (id) => {
    const hourly = (step: number) =>
      leak(
        floors(
          Array.from({ length: 12 }, (_, n) => 20 + n * step),
          3600,
        ),
        id,
      );
    expect(hourly(0).verdict).toBe('pass');
    expect(hourly(1).verdict).toBe('pass');
    expect(hourly(1.001).verdict).toBe('fail');
    expect(hourly(-3).verdict).toBe('inconclusive');
    expect(hourly(2).detail).toBe(
      `The floor of ${id === 'leak-fds' ? 'open descriptors' : 'threads'} rises by 2/h (r² 1.00 over 12 windows of 1 h); at most 1/h`,
    );
  });

  test('whole descriptors at the rate of the limit are none too many', () => {
    expect(
      leak(
        series(24, 60, (hours) => 20 + Math.floor(hours)),
        'leak-fds',
      ).verdict,
    ).toBe('pass');
    expect(
      leak(
        series(24, 60, (hours) => 20 + Math.floor(hours * 1.2)),
        'leak-fds',
      ).verdict,
    ).toBe('fail');
  });

  test('fewer than two more in all are not known to go on', () => {
    const quick = (step: number) =>
      leak(
        floors(
          [10, 11, 12, 13, 14, 15, 16, 17].map((n) => 10 + (n - 10) * step),
          60,
        ),
        'leak-fds',
      );
    expect(quick(0.28).verdict).toBe('inconclusive');
    expect(quick(0.29).verdict).toBe('fail');
  });
});

describe('heap after a collection', () => {
  const once = (value: (window: number) => number | null, windows = 20) =>
    Array.from({ length: windows * 10 }, (_, n) => ({
      atMs: n * 60_000,
      value: n % 10 === 9 ? value(Math.floor(n / 10)) : null,
    }));

  test('is judged by its one reading in a window', () => {
    expect(
      leak(
        once(() => 20 * MiB),
        'leak-heap',
      ).verdict,
    ).toBe('pass');
    expect(
      leak(
        once((window) => (20 + 3 * window) * MiB),
        'leak-heap',
      ).verdict,
    ).toBe('fail');
  });

  test('a window without one is left out, as long as most have one', () => {
    const every = (nth: number) =>
      leak(
        once((window) => (window % nth === 0 ? 20 * MiB : null), 40),
        'leak-heap',
      );
    expect(every(2).verdict).toBe('pass');
    expect(every(3).verdict).toBe('inconclusive');
    expect(
      leak(
        once((window) => (window < 7 ? 20 * MiB : null)),
        'leak-heap',
      ).verdict,
    ).toBe('inconclusive');
    expect(
      leak(
        once(() => null),
        'leak-heap',
      ).verdict,
    ).toBe('inconclusive');
  });
});

describe('lives of the server', () => {
  const flat = (hours: number) => series(hours, 60, () => 80 * MiB);
  const steep = (hours: number) => series(hours, 60, (at) => (80 + 20 * at) * MiB);
  const broken = (hours: number) => series(hours, 60, () => Number.NaN);

  test.each<[string, SeriesPoint[][], Verdict]>([
    ['none', [], 'inconclusive'],
    ['one without readings', [[]], 'inconclusive'],
    ['two right ones', [flat(4), flat(4)], 'pass'],
    ['a right one and a leaking one', [flat(4), steep(4)], 'fail'],
    ['a leaking one and a right one', [steep(4), flat(4)], 'fail'],
    ['a right one and a short one', [flat(4), steep(1)], 'pass'],
    ['a short one and a leaking one', [flat(1), steep(4)], 'fail'],
    ['two short ones', [flat(1), flat(1)], 'inconclusive'],
    ['a right one and one that can not be', [flat(4), broken(4)], 'inconclusive'],
    ['a leaking one and one that can not be', [broken(4), steep(4)], 'fail'],
  ])('%s', (_, all, expected) => {
    const finding = judgeLeak(
      'leak-rss',
      all.map((points, segment) => ({ segment, points })),
      defaultThresholds,
    );
    expect(finding.verdict).toBe(expected);
  });

  test('the one that counts is named', () => {
    const finding = judgeLeak(
      'leak-rss',
      [
        { segment: 0, points: flat(4) },
        { segment: 1, points: steep(4) },
      ],
      defaultThresholds,
    );
    expect(finding.detail).toMatch(/^Life 2 of the server \(of 2\): The floor of RSS rises by 20\.0 MiB\/h/);
  });
});

describe('second half', () => {
  const thresholds: Thresholds = { ...defaultThresholds, secondHalfBytesPerHourMax: 5 * MiB };
  const half = (minima: number[], own = thresholds) =>
    judgeSecondHalf([{ segment: 0, points: floors(minima, 720) }], own);
  const line = (step: number, windows = 60) =>
    Array.from({ length: windows }, (_, n) => Math.round((100 + step * n) * MiB));

  test('5 MiB/h are too many already', () => {
    expect(half(line(1)).verdict).toBe('fail');
    expect(half(line(0.999)).verdict).toBe('pass');
    expect(half(line(0)).verdict).toBe('pass');
    expect(half(line(-0.5)).verdict).toBe('pass');
  });

  test('the first half may do what it likes', () => {
    expect(half(line(0).map((value, n) => value + Math.min(n, 30) * 5 * MiB)).verdict).toBe('pass');
    expect(half(line(0).map((value, n) => value + Math.max(0, n - 30) * 2 * MiB)).verdict).toBe('fail');
  });

  test('eight windows of it are needed', () => {
    expect(half(line(0, 14)).verdict).toBe('inconclusive');
    expect(half(line(0, 15)).verdict).toBe('pass');
  });

  test('a steep slope that the readings leave in doubt is not below the limit', () => {
    const jump = line(0).map((value, n) => value + (n < 45 ? 0 : 50 * MiB));
    expect(half(jump).verdict).toBe('inconclusive');
  });

  test('is not judged where no scenario asks for it', () => {
    const finding = half(line(5), defaultThresholds);
    expect(finding.verdict).toBe('inconclusive');
    expect(finding.detail).toBe('Not judged in this scenario');
  });
});

describe('ten minutes of chaos', () => {
  const { durationSeconds, warmupSeconds, sampleSeconds } = soakScenario('moderate', {
    durationSeconds: 600,
  });
  const count = Math.floor((durationSeconds - warmupSeconds) / sampleSeconds);
  const noises: Record<string, (random: Random) => number[]> = {
    'vary by ±5 at random': (random) => Array.from({ length: count }, () => random.below(11) - 5),
    'follow connections that come and go': (random) => comingAndGoing(random, count, sampleSeconds),
  };
  const verdictsOf = (noise: (random: Random) => number[], id: TrendId, leakedPerMinute: number) => {
    const found = { pass: 0, fail: 0, inconclusive: 0 };
    for (let seed = 1; seed <= 500; seed++) {
      const points = noise(new Random(seed)).map((value, n) => {
        const atMs = n * sampleSeconds * 1000;
        return { atMs, value: 75 + value + Math.floor((leakedPerMinute * atMs) / 60_000) };
      });
      found[leak(points, id).verdict]++;
    }
    return found;
  };

  test.each(Object.keys(noises))('is no leak where descriptors or threads %s', (name) => {
    for (const id of ['leak-fds', 'leak-threads'] as const) {
      expect(verdictsOf(noises[name]!, id, 0)).toEqual({ pass: 500, fail: 0, inconclusive: 0 });
      expect(verdictsOf(noises[name]!, id, 4)).toEqual({ pass: 0, fail: 500, inconclusive: 0 });
    }
  });
});
