import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { benches, chartsFolder } from '../scripts/support/bench/benches.mjs';
import { benchPage, pageFiles } from '../scripts/support/bench/page.mjs';
import { newestResults } from '../scripts/support/bench/results.mjs';

const root = join(import.meta.dirname, '..');
const sample = () =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/bench-results.json'), 'utf8'));

/** The cells of the row of the goals table whose first cell has `words`. */
function goal(markdown: string, words: string): string[] {
  const table = markdown.split('## Goals')[1].split('## ')[0];
  const row = table.split('\n').find((line) => line.startsWith('|') && line.includes(words));
  if (row === undefined) throw new Error(`there is no goal about ${words}`);
  return row.slice(2, -2).split(' | ');
}

describe('the page of benchmarks', () => {
  it('is the same for the same results, pictures included', () => {
    const first = benchPage(sample(), null);
    expect(Object.keys(first.charts)).toEqual(['cpu-by-variant', 'ratio-over-connections']);
    expect(benchPage(sample(), null)).toEqual(first);
  });

  it('says of each goal whether it was met, by the median', () => {
    const { markdown } = benchPage(sample(), null);
    const row = (words: string) => goal(markdown, words).slice(1);
    expect(row('256 connections')).toEqual(['≤ 1.10', '1.05 (1.01–1.08)', 'yes']);
    expect(row('policy evaluations')).toEqual(['≥ 20 M', '17.0 M (16.9 M–17.1 M)', '**no**']);
    expect(row('heartbeat tick')).toEqual(['≤ 20 µs', '4.20 (4.10–4.30) µs', 'yes']);
    expect(markdown).toContain('2 met, 1 missed');
  });

  it('calls not measured what is missing, or in a unit that it does not know', () => {
    const { markdown } = benchPage(sample(), null);
    for (const words of ['postMessage', 'that reset', 'idle connection', 'the stage alone']) {
      expect(goal(markdown, words).slice(2)).toEqual(['not measured', 'not measured']);
    }
    expect(markdown).toMatch(/## Latency\n\nNot measured\./);
    expect(markdown).not.toMatch(/undefined|NaN|\[object/);
  });

  it('says so when there are no results at all', () => {
    const { markdown, charts } = benchPage({}, null);
    expect(charts).toEqual({});
    expect(markdown).toContain('There are no results yet');
    expect(markdown).toContain('0 met, 0 missed');
  });

  it('lists figures whose quartiles are more than 10 % of the median apart, and no others', () => {
    const { markdown } = benchPage(sample(), null);
    const noisy = markdown.split('## What was noisy')[1].split('## ')[0];
    expect(noisy).toContain('| connections 256, frames 4, 64 B, grouped | uring CPU 19 % |');
    expect(noisy).toContain('| egress | 1 | 5 | 0.10 0.20 0.30 | 1.90 1.20 0.80 |');
    expect(noisy).toContain('| micro | 0 | 3 | – | – |');
  });

  it('has what is kept by hand about what did not pay, word for word', () => {
    expect(benchPage({}, '- SQPOLL: 1.4 ×\n').markdown).toContain('did not pay\n\n- SQPOLL: 1.4 ×\n\n');
  });
});

describe('the results of the benches', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ackgate-results-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function keep(day: string, name: string, result: object) {
    mkdirSync(join(folder, day), { recursive: true });
    writeFileSync(join(folder, day, `${name}.json`), JSON.stringify(result));
  }

  it('are the newest of each bench, short runs apart', () => {
    keep('2025-01-09', 'egress', { rounds: 1 });
    keep('2025-01-10', 'egress', { rounds: 2 });
    keep('2025-01-11', 'egress', { rounds: 3, smoke: true });
    keep('2025-01-09', 'micro', { rounds: 4 });
    keep('notes', 'scale', { rounds: 5 });
    expect(newestResults(folder)).toEqual({
      egress: { rounds: 2, file: '2025-01-10/egress.json' },
      micro: { rounds: 4, file: '2025-01-09/micro.json' },
    });
  });
});

describe('docs/BENCHMARKS.md', () => {
  const files: Record<string, string> = pageFiles(root);

  it('is what npm run bench:page makes of the results', () => {
    for (const [path, text] of Object.entries(files)) {
      expect(existsSync(join(root, path)), `${path} is missing: run npm run bench:page`).toBe(true);
      expect(readFileSync(join(root, path), 'utf8') === text, `${path} is old: run npm run bench:page`).toBe(
        true,
      );
    }
  });

  it('has its charts, and there are no others', () => {
    const folder = join(root, chartsFolder);
    const there = existsSync(folder) ? readdirSync(folder) : [];
    expect(there.map((name) => `${chartsFolder}/${name}`).sort()).toEqual(
      Object.keys(files)
        .filter((path) => path.endsWith('.svg'))
        .sort(),
    );
  });

  it('says how to measure each bench again, with a script that exists', () => {
    for (const { name, script } of benches) {
      expect(files['docs/BENCHMARKS.md']).toContain(`npm run bench -- --only ${name}`);
      expect(existsSync(join(root, script)), script).toBe(true);
    }
  });
});
