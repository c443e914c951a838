import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findingIds } from '#ackgate/soak/findings.js';
import { reportHtml } from '#ackgate/soak/report/html.js';
import { reportJson } from '#ackgate/soak/report/json.js';
import { reportMarkdown } from '#ackgate/soak/report/markdown.js';
import {
  increments,
  merged,
  type Point,
  perSecond,
  type Span,
  thinned,
} from '#ackgate/soak/report/series.js';
import { writeArtifacts } from '#ackgate/soak/report/write-artifacts.js';
import type { SoakResult } from '#ackgate/soak/run-record.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';
import { soakRecord, soakResult } from './support/soak-result.js';

const MiB = 1024 * 1024;
const directory = mkdtempSync(join(tmpdir(), 'ackgate-report-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let folders = 0;
const folder = () => {
  const path = join(directory, String(folders++));
  mkdirSync(path);
  return path;
};

const passed = soakResult();
const failed = soakResult({ leakBytesPerHour: 25 * MiB });
const early = soakResult({
  reached: 0,
  ended: { why: 'died', detail: 'exit code 3 after 1 s' },
  record: { serverOutput: 'out of memory\n', serverExit: 'exit code 3', peak: null, orphans: null },
});
const never = soakResult({
  reached: 0,
  ended: { why: 'not-ready', detail: 'nothing listened for 30 s' },
  record: { readyAfterMs: null, footprint: null, peak: null, finalRssBytes: null, orphans: null },
});
const resumed = soakResult({ restarts: [0.5] });
const long = soakResult({ durationSeconds: 48 * 3600, sampleSeconds: 60, chaosEvents: 5000 });
const opaque = soakResult({ opaque: true, chaosEvents: 0 });
const all = { passed, failed, early, never, resumed, long, opaque };

/** Each page once. */
const pages = new Map<SoakResult, Promise<string>>();
function page(result: SoakResult): Promise<string> {
  const drawn = pages.get(result) ?? reportHtml(result);
  pages.set(result, drawn);
  return drawn;
}

const charts = (html: string) => html.match(/<div class="wide"><svg/g)?.length ?? 0;
const text = (html: string) => html.replace(/<svg[\s\S]*?<\/svg>/g, '').replace(/<[^>]+>/g, ' ');

describe('the page', () => {
  it.each(Object.entries(all))('%s: stands on its own, with everything in it', async (_, result) => {
    const html = await page(result);
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).not.toMatch(/<script|<link|<iframe|<img|<[^>]*\s(src|href)=|@import|url\((?!#)/);
    const addresses = html.match(/https?:\/\/[^\s"'<]+/g) ?? [];
    expect(addresses.filter((one) => !one.startsWith('http://www.w3.org/'))).toEqual([]);
    expect(html).not.toMatch(/\bNaN\b|undefined|Infinity|\[object/);
    expect(html).not.toMatch(/#0a0[bc]0/);
    expect(html.match(/<h1>/g)).toHaveLength(1);
    for (const id of findingIds) expect(html).toMatch(new RegExp(`<th scope="row">[✓✗?] ${id}<small>`));
    for (const name of Object.keys(defaultThresholds)) expect(html).toContain(`<th scope="row">${name}</th>`);
    expect(html).toContain(`<code>${result.record.repeat}</code>`);
    expect(html).toContain('Provisional until');
  });

  it('says the verdict first, and why', async () => {
    expect(passed.verdict).toBe('pass');
    expect(await page(passed)).toMatch(
      /<h1>✓ Soak passed<\/h1>\s*<p>\d+ of 22 findings passed; \d could not/,
    );
    expect(failed.verdict).toBe('fail');
    expect(await page(failed)).toMatch(
      /<h1>✗ Soak failed<\/h1>\s*<p>\d+ of 22 findings failed: [^<]*leak-rss/,
    );
    const { required } = passed.findings.find(({ id }) => id === 'leak-rss')!;
    expect(required).toBe(true);
    const open = soakResult({ verdicts: { 'leak-rss': 'inconclusive' } });
    expect(await page(open)).toMatch(
      /<h1>\? Soak inconclusive<\/h1>\s*<p>Nothing failed, but there was not enough to judge leak-rss by\./,
    );
  });

  it('has what matters first: verdict, the way to repeat it, notes, findings', async () => {
    const html = await page(soakResult({ restarts: [0.5], record: { notes: ['a note'] } }));
    const places = ['<h1>', 'class="repeat"', 'a note', 'id="findings"', 'id="run"', 'id="charts"'].map(
      (part) => html.indexOf(part),
    );
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('says in its first sentences that a run was resumed', async () => {
    const words = 'lives of the server: the runner was resumed.';
    const head = (html: string) => /<header[\s\S]*?<\/header>/.exec(html)![0];
    expect(head(await page(resumed))).toContain(` 2 ${words}`);
    expect(reportMarkdown(resumed).split('\n')[2]).toContain(` 2 ${words}`);
    expect(head(await page(passed))).not.toContain(words);
  });

  it('puts failed findings first, and marks those that are not asked for', async () => {
    const html = await page(soakResult({ verdicts: { orphans: 'fail', 'loss-order': 'inconclusive' } }));
    const order = [...html.matchAll(/<th scope="row">([✓✗?] [\w-]+)<small>([^<]+)/g)].map(
      ([, name, note]) => `${name} ${note}`,
    );
    expect(order[0]).toBe('✗ orphans failed');
    expect(order[1]).toBe('? loss-order inconclusive');
    expect(order[2]).toBe('✓ ready passed');
    expect(order.at(-1)).toMatch(/^\? .* inconclusive, and not required here$/);
  });

  it('has a chart for everything that was read, and says why one is missing', async () => {
    expect(charts(await page(passed))).toBe(8);
    const html = await page(opaque);
    expect(charts(html)).toBe(7);
    expect(html).toContain('<li>Heap and external memory: the server offers no heap readings.</li>');
    expect(html).toContain('Nothing was done to the server.');
    const none = await page(soakResult({ record: { samples: [], windows: [] } }));
    expect(charts(none)).toBe(0);
    expect(/<ul class="plain absent">[\s\S]*?<\/ul>/.exec(none)![0].match(/<li>/g)).toHaveLength(8);
  });

  it('has the slope of each life of the server in the legend, and its end', async () => {
    expect(text(await page(failed))).toMatch(/RSS: fitted line, \+2\d\.\d MiB\/h \(r² [01]\.\d+\)/);
    const html = text(await page(resumed));
    expect(html).toMatch(/RSS: fitted line, [+-]?\d+\.\d MiB\/h \(r² [\d.]+\); then /);
    expect(html).toContain('server begun anew');
  });

  it('of a server that died has its last words and its exit', async () => {
    const html = await page(early);
    expect(html).toContain('The server ended by itself: exit code 3 after 1 s.');
    expect(html).toMatch(/<pre class="output"[^>]*>out of memory<\/pre>/);
    expect(text(await page(never))).toContain('The server did not become ready: nothing listened for 30 s.');
  });

  it('of 48 hours is no larger than of two', async () => {
    const html = await page(long);
    expect(html.length).toBeLessThan(1_500_000);
    // Straight pieces of the longest of all lines.
    const paths = [...html.matchAll(/ d="([^"]+)"/g)].map(([, path]) => path!);
    expect(Math.max(...paths.map((path) => path.split(/[LM]/).length))).toBeLessThan(2000);
    expect(text(html)).toMatch(/disconnect: 2,\d{3}/);
  });

  it('takes text for text', async () => {
    const nasty = '<script>alert(1)</script> & "quotes"';
    const html = await page(
      soakResult({
        durationSeconds: 60,
        sampleSeconds: 5,
        record: {
          command: ['node', nasty],
          driver: nasty,
          repeat: `ackgate soak smoke -- ${nasty}`,
          serverOutput: `\u001b[31mred\u001b[0m ${nasty}\u0000\u202e`,
          serverExit: nasty,
          notes: [nasty],
          machine: { cpu: nasty },
          losses: { ...passed.record.losses, examples: [nasty] },
          chaosEvents: [{ atMs: 5, kind: nasty, forMs: 0 }],
          samples: passed.record.samples.map((sample) => ({
            ...sample,
            status: { [`drops.${nasty}`]: sample.atMs },
          })),
          ended: { why: 'stopped', detail: nasty },
        },
      }),
    );
    expect(html).not.toContain('<script');
    expect(
      html.split('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;').length,
    ).toBeGreaterThan(11);
    expect(html).toContain('>red &lt;script');
    expect(['\u0000', '\u001b', '\u202e'].filter((hidden) => html.includes(hidden))).toEqual([]);
  });
});

describe('the JSON', () => {
  it.each(Object.entries(all))('%s: has all that repeats and explains the run', (_, result) => {
    const report = JSON.parse(reportJson(result));
    expect(Object.keys(report)).toEqual([
      'version',
      'verdict',
      'findings',
      'config',
      'versions',
      'machine',
      'record',
      'repeat',
    ]);
    const { record } = result;
    expect(report).toMatchObject({
      version: 1,
      verdict: result.verdict,
      config: { seed: record.config.seed, thresholds: defaultThresholds },
      machine: record.machine,
      versions: record.versions,
      repeat: record.repeat,
      record: { ended: record.ended, losses: record.losses, serverOutput: record.serverOutput },
    });
    expect(report.findings.map(({ id }: { id: string }) => id)).toEqual(findingIds);
    expect(report.record.samples.count).toBe(record.samples.length);
    expect(report.record).not.toHaveProperty('chaosEvents');
  });

  it('has the sums of what it leaves out', () => {
    const { record } = JSON.parse(reportJson(long));
    expect(record.samples).toMatchObject({ count: 2880, lastAtMs: 48 * 3_600_000 });
    expect(record.samples.rssBytes).toMatchObject({ readings: 2880 });
    expect(record.samples.rssBytes.max).toBeGreaterThan(record.samples.rssBytes.min);
    expect(record.windows).toMatchObject({ count: 259, gaps: 1 });
    const sum = Object.values<number>(record.chaos).reduce((a, b) => a + b);
    expect(sum).toBe(5000);
    expect(record.trends[0]).toMatchObject({ id: 'leak-rss', segments: [{ segment: 0, windows: 259 }] });
    expect(reportJson(long).length).toBeLessThan(40_000);
  });

  it('knows what was never read', () => {
    const { record } = JSON.parse(reportJson(early));
    expect(record.samples).toMatchObject({ count: 0, firstAtMs: null, rssBytes: null });
  });
});

describe('the summary', () => {
  const rows = (markdown: string) => markdown.split('\n').filter((line) => line.startsWith('|'));

  it.each(Object.entries(all))('%s: a row for each finding, and how to repeat it', (_, result) => {
    const markdown = reportMarkdown(result);
    expect(rows(markdown)).toHaveLength(2 + findingIds.length);
    for (const row of rows(markdown)) expect(row.replaceAll('\\|', '').match(/\|/g)).toHaveLength(4);
    expect(markdown).toContain(`\n\`\`\`sh\n${result.record.repeat}\n\`\`\`\n`);
  });

  it('begins with the verdict and the failed ones', () => {
    const markdown = reportMarkdown(failed);
    expect(markdown).toMatch(/^## ✗ Soak failed\n\n\d+ of 22 findings failed: /);
    expect(rows(markdown)[2]).toMatch(/^\| ✗ \| [\w-]+ \| .* \|$/);
    expect(markdown).toMatch(/\n\| ✓ \| ready \|/);
    expect(markdown).toMatch(/\n\| \? \| leak-second-half \| .* \(not required\) \|/);
  });

  it('no text breaks the table or becomes markup', () => {
    const nasty = 'a | b\n<b>c</b> `d` *e* [f](g) \\';
    const result = soakResult({
      ended: { why: 'died', detail: nasty },
      record: { repeat: 'x ``` | y', notes: [nasty] },
    });
    const markdown = reportMarkdown(result);
    expect(rows(markdown)).toHaveLength(2 + findingIds.length);
    expect(markdown).toContain(
      '| ✗ | completed | The server ended by itself: a \\| b \\<b\\>c\\</b\\> \\`d\\` \\*e\\* \\[f\\](g) \\\\ |',
    );
    expect(markdown).toContain('\n````sh\nx ``` | y\n````\n');
    expect(markdown).toMatch(/\n- a \| b \\<b/);
  });
});

describe('writing', () => {
  const brief = soakResult({ durationSeconds: 60, sampleSeconds: 5, chaosEvents: 3 });

  it.each(Object.entries({ brief, early, never }))('%s: three files, and no other', async (_, result) => {
    const path = join(folder(), 'deep', 'er');
    await writeArtifacts(path, result);
    await writeArtifacts(path, result);
    expect(readdirSync(path).sort()).toEqual(['report.html', 'report.json', 'report.md']);
    expect(readFileSync(join(path, 'report.json'), 'utf8')).toBe(reportJson(result));
    expect(readFileSync(join(path, 'report.md'), 'utf8')).toBe(reportMarkdown(result));
    expect(readFileSync(join(path, 'report.html'), 'utf8').endsWith('</html>\n')).toBe(true);
  });

  it.each(['report.html', 'report.json', 'report.md'])(
    '%s can not be written: the others are, and it is told',
    async (name) => {
      const path = folder();
      mkdirSync(join(path, name));
      await expect(writeArtifacts(path, early)).rejects.toThrow(/EISDIR/);
      const files = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.map((entry) => entry.name).sort()).toEqual(
        ['report.html', 'report.json', 'report.md'].filter((one) => one !== name),
      );
    },
  );

  it('without the bundled charts there is no page, but the rest', () => {
    const path = folder();
    writeFileSync(join(path, 'result.json'), JSON.stringify(early));
    const hook = `export async function resolve(name, context, next) {
      if (name.includes('vendor/echarts')) throw new Error('not built');
      return next(name, context);
    }`;
    const script = `
      import { register } from 'node:module';
      import { readFileSync } from 'node:fs';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
      const { writeArtifacts } = await import('#ackgate/soak/report/write-artifacts.js');
      const result = JSON.parse(readFileSync(process.argv[1] + '/result.json', 'utf8'));
      await writeArtifacts(process.argv[1] + '/out', result).catch(({ code, message }) => console.log(code, message));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--no-warnings', '-e', script, path],
      { encoding: 'utf8', timeout: 60_000 },
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ERR_ACKGATE_INVALID_ARGUMENT .*vendor\/echarts\.mjs.*npm run build\n$/);
    expect(readdirSync(join(path, 'out')).sort()).toEqual(['report.json', 'report.md']);
  });
});

describe('what is drawn', () => {
  const wave = (many: number): Point[] =>
    Array.from({ length: many }, (_, i) => [i * 1000, Math.sin(i / 50)]);

  it('few points stay as they are, without what is no number', () => {
    expect(
      thinned(
        [
          [0, 1],
          [1, Number.NaN],
          [2, null],
          [3, 4],
        ],
        2,
      ),
    ).toEqual([
      [0, 1],
      [1, null],
      [2, null],
      [3, 4],
    ]);
  });

  it('of many points the peaks stay', () => {
    const points = wave(20_000);
    points[7777] = [7_777_000, 50];
    points[8888] = [8_888_000, -50];
    const thin = thinned(points, 480);
    expect(thin.length).toBeLessThanOrEqual(960);
    expect(thin).toContainEqual([7_777_000, 50]);
    expect(thin).toContainEqual([8_888_000, -50]);
    expect(thin.every(([at], i) => i === 0 || at > thin[i - 1]![0])).toBe(true);
  });

  it('a gap stays a gap', () => {
    const points = wave(20_000).map(([at, value], i): Point => [at, i > 5000 && i < 5400 ? null : value]);
    const thin = thinned(points, 480);
    const from = thin.findIndex(([, value]) => value === null);
    expect(thin[from]![0]).toBeLessThanOrEqual(5_100_000);
    const inside = thin.filter(([at]) => at > 5_001_000 && at < 5_399_000);
    expect(inside.length).toBeGreaterThan(5);
    expect(inside.every(([, value]) => value === null)).toBe(true);
    expect(
      thinned(
        wave(20_000).map(([at]) => [at, null]),
        480,
      ).every(([, value]) => value === null),
    ).toBe(true);
  });

  it('counters: what was added, also after a new beginning', () => {
    const samples = soakRecord({ durationSeconds: 60, sampleSeconds: 10 }).samples.map((sample, i) => ({
      ...sample,
      segment: i < 3 ? 0 : 1,
      status: [{ n: 4 }, { n: 4 }, { n: 9 }, { n: 2 }, null, { n: 3 }][i]!,
    }));
    expect(increments(samples, 'n').map(([, value]) => value)).toEqual([0, 0, 5, 2, null, 1]);
    expect(perSecond(samples, () => 20).map(([, value]) => value)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('marks that touch are one, and all can be seen', () => {
    const spans: Span[] = [
      [50, 50],
      [0, 0],
      [5, 5],
      [52, 90],
      [200, 200],
    ];
    expect(merged(spans, 10)).toEqual([
      [0, 15],
      [50, 90],
      [200, 210],
    ]);
  });
});
