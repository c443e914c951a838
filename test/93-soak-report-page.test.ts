import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { reportHtml } from '#ackgate/soak/report/html.js';
import { accessibilityFaults, launchBrowser, noBrowser, openPage, type Watched } from './support/browser.js';
import { soakResult } from './support/soak-result.js';

const reason = noBrowser();
if (reason !== null) console.log(`the report is not looked at in a browser: ${reason}`);

/** A folder for pictures to look at: ACKGATE_SHOTS. */
const shots = process.env.ACKGATE_SHOTS;

const MiB = 1024 * 1024;
const results = {
  passed: soakResult(),
  failed: soakResult({
    leakBytesPerHour: 25 * MiB,
    restarts: [0.55],
    record: {
      notes: [
        'The server is no Node program that the runner started: there are no readings from the server itself.',
      ],
      serverOutput:
        `${'one line of what the server has written, '.repeat(8)}<script>alert(1)</script>\n`.repeat(60),
    },
  }),
  early: soakResult({
    reached: 0,
    ended: { why: 'died', detail: 'exit code 3 after 1 s' },
    record: { serverOutput: 'out of memory\n', peak: null, orphans: null },
  }),
  long: soakResult({ durationSeconds: 48 * 3600, sampleSeconds: 60, chaosEvents: 5000 }),
};
type Name = keyof typeof results;

let browser: Browser;
let directory: string;
const opened: Watched[] = [];

async function open(name: Name, options: BrowserContextOptions = {}): Promise<Watched> {
  const one = await openPage(browser, pathToFileURL(join(directory, `${name}.html`)).href, {
    offline: true,
    ...options,
  });
  opened.push(one);
  return one;
}

async function shoot(page: Page, name: string): Promise<void> {
  if (shots !== undefined)
    await page.screenshot({ fullPage: true, path: join(shots, `soak-report-${name}.png`) });
}

/** Texts of charts that are cut off by the edge of their picture. */
const cutTexts = (page: Page) =>
  page.evaluate<string[]>(`[...document.querySelectorAll('figure svg:not(.key)')]
    .filter((svg) => svg.getBoundingClientRect().width > 0)
    .flatMap((svg) => [...svg.querySelectorAll('text')].filter((text) => {
      const [inner, outer] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
      return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
    }).map((text) => text.textContent))`);

describe.skipIf(reason !== null)('the report of a soak', () => {
  beforeAll(async () => {
    if (shots !== undefined) mkdirSync(shots, { recursive: true });
    directory = mkdtempSync(join(tmpdir(), 'ackgate-report-page-'));
    for (const [name, result] of Object.entries(results)) {
      writeFileSync(join(directory, `${name}.html`), await reportHtml(result));
    }
    browser = await launchBrowser();
  });

  afterEach(async () => {
    for (const { page } of opened.splice(0)) await page.context().close();
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each(Object.keys(results) as Name[])(
    '%s: opens by itself, nothing complains, sticks out or is cut off',
    async (name) => {
      const { page, url, requests, complaints } = await open(name);
      expect(await page.textContent('h1')).toBe(
        results[name].verdict === 'pass' ? '✓ Soak passed' : '✗ Soak failed',
      );
      const pictures = page.locator('figure svg[aria-hidden]:not(.key):visible');
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 844 });
        const [content, room] = await page.evaluate<[number, number]>(
          '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
        );
        expect(content).toBeLessThanOrEqual(room);
        expect(await pictures.count()).toBe(name === 'early' ? 0 : 8);
        for (const box of await Promise.all((await pictures.all()).map((picture) => picture.boundingBox()))) {
          expect(box!.width).toBeGreaterThan(width === 390 ? 340 : 950);
          expect(box!.height).toBeGreaterThan(200);
        }
        expect(await cutTexts(page)).toEqual([]);
        await shoot(page, `${name}-${width}-light`);
      }
      expect(requests).toEqual([url]);
      expect(complaints).toEqual([]);
    },
  );

  test.each([
    ['failed', 'light'],
    ['failed', 'dark'],
    ['early', 'dark'],
  ] as const)('%s, %s: axe finds no fault', async (name, colorScheme) => {
    const { page } = await open(name, { colorScheme });
    const back = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(Number(/\d+/.exec(back)![0]) > 128).toBe(colorScheme === 'light');
    await shoot(page, `${name}-1280-${colorScheme}`);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 844 });
    await shoot(page, `${name}-390-${colorScheme}`);
  });

  test('on paper it is dark on light, in some pages', async () => {
    const { page } = await open('failed', { colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(0, 0, 0)');
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
    const pdf = await page.pdf({
      format: 'A4',
      printBackground: true,
      ...(shots && { path: join(shots, 'soak-report.pdf') }),
    });
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    expect(pdf.length).toBeGreaterThan(20_000);
  });
});
