import { describe, expect, it } from 'vitest';
import { AnomalyWatch } from '#ackgate/soak/anomaly-watch.js';
import type { LoadReading, Sample } from '#ackgate/soak/samples.js';
import { soakRecord } from './support/soak-result.js';

const GiB = 2 ** 30;
const [good] = soakRecord({ durationSeconds: 60, sampleSeconds: 5 }).samples;
const none = { due: 0, expected: 0, unexpected: 0, timedOut: 0, lost: 0, unsent: 0, abandoned: 0 };

function sample(atMs: number, load: Partial<LoadReading>, rssBytes: number | null = 1000): Sample {
  const process = { ...good!.process, rssBytes };
  return { ...good!, atMs, process, load: { ...good!.load, ...none, outstanding: 0, ...load } };
}

const silent = { due: 10, outstanding: 10 };
const failing = { due: 10, expected: 4, unexpected: 6 };
const fine = { due: 10, expected: 10 };

describe.each([
  ['nothing has been answered for 30 s', silent],
  ['more than half of the requests have failed for 30 s', failing],
] as const)('%s', (words, load) => {
  it('is said after thirty seconds, and not before', () => {
    const watch = new AnomalyWatch(GiB);
    expect(watch.look(sample(1000, load), false)).toBeNull();
    expect(watch.look(sample(30_999, load), false)).toBeNull();
    expect(watch.look(sample(31_000, load), false)).toBe(words);
  });

  it('begins anew after a good sample', () => {
    const watch = new AnomalyWatch(GiB);
    watch.look(sample(0, load), false);
    watch.look(sample(29_000, fine), false);
    expect(watch.look(sample(31_000, load), false)).toBeNull();
    expect(watch.look(sample(60_999, load), false)).toBeNull();
    expect(watch.look(sample(61_000, load), false)).toBe(words);
  });

  it('is not said while the server is disturbed, nor in the sample in which that ends', () => {
    const watch = new AnomalyWatch(GiB);
    watch.look(sample(0, load), false);
    for (let atMs = 29_999; atMs < 200_000; atMs += 10_000) {
      expect(watch.look(sample(atMs, load), true)).toBeNull();
    }
    expect(watch.look(sample(210_000, load), false)).toBeNull();
    expect(watch.look(sample(215_000, load), false)).toBeNull();
    expect(watch.look(sample(244_999, load), false)).toBeNull();
    expect(watch.look(sample(245_000, load), false)).toBe(words);
  });
});

describe('what is no reason to end a run', () => {
  it.each([
    ['nothing to do', {}],
    ['what the runner has abandoned itself', { due: 10, abandoned: 10 }],
    ['half of the requests fail', { due: 10, expected: 5, timedOut: 5 }],
  ])('%s', (_, load) => {
    const watch = new AnomalyWatch(GiB);
    for (let atMs = 0; atMs < 120_000; atMs += 10_000) {
      expect(watch.look(sample(atMs, load), false)).toBeNull();
    }
  });
});

it('nine tenths of the memory are too much, whether the server is disturbed or not', () => {
  const watch = new AnomalyWatch(GiB);
  expect(watch.look(sample(0, fine, 0.9 * GiB), true)).toBeNull();
  expect(watch.look(sample(0, fine, null), true)).toBeNull();
  const words = "the server has taken 922 MiB, nine tenths of the machine's memory";
  for (const disturbed of [false, true]) {
    expect(watch.look(sample(1, fine, 0.9 * GiB + 1), disturbed)).toBe(words);
  }
});
