import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Load } from '#ackgate/demo/load.js';
import { accessibilityFaults, launchBrowser, noBrowser, openPage, type Watched } from './support/browser.js';
import { type DemoServer, startDemoServer } from './support/demo-server.js';

const reason = noBrowser();
if (reason !== null) console.log(`the live page is not tested: ${reason}`);

const token = 'a-token-of-the-test';
/** Bounds waiting only. */
const soon = { timeout: 30_000, interval: 50 };

let browser: Browser;
let directory: string;
let server: DemoServer;
let load: Load;
let loading: Promise<void>;
const watched: Watched[] = [];

/** A folder for pictures to look at: ACKGATE_SHOTS. */
const shots = process.env.ACKGATE_SHOTS;

async function start(adminPort = 0): Promise<void> {
  server = await startDemoServer({
    directory: join(directory, 'journal'),
    adminPort,
    adminToken: token,
    policy: 'local',
  });
  load = new Load({ port: server.port, firstClientId: 1, clients: 10, rate: 300, seconds: 600, seed: 5 });
  await load.connect();
  loading = load.run();
}

async function stop(): Promise<void> {
  load.stop();
  server.process.kill('SIGKILL');
  await Promise.all([server.ended, loading]);
  await load.finish();
}

async function open(options: BrowserContextOptions = {}): Promise<Watched> {
  const one = await openPage(browser, server.adminUrl!, options);
  watched.push(one);
  return one;
}

const headline = (page: Page) => page.textContent('#headline');
const status = async () =>
  (await (await fetch(new URL('status', server.adminUrl!))).json()) as { status: Record<string, unknown> };
const fact = (page: Page, list: string, name: string) =>
  page
    .locator(`#${list} div`, { has: page.getByText(name, { exact: true }) })
    .locator('dd')
    .textContent();
const wholeNumber = (text: string | null) => Number(text?.replaceAll(',', ''));

async function shoot(page: Page, name: string): Promise<Buffer> {
  if (shots !== undefined) mkdirSync(shots, { recursive: true });
  return page.screenshot({ fullPage: true, ...(shots && { path: join(shots, `${name}.png`) }) });
}

/** Fills in and confirms the change of mode. */
async function changeMode(page: Page, mode: string, withToken: string): Promise<void> {
  await page.selectOption('#mode-select', mode);
  await page.click('#mode-open');
  await page.fill('#token', withToken);
  await page.click('#dialog-confirm');
}

describe.skipIf(reason !== null)('the live page', () => {
  beforeAll(async () => {
    browser = await launchBrowser();
    directory = mkdtempSync(join(tmpdir(), 'ackgate-page-'));
    await start();
  });

  afterEach(async () => {
    for (const { page } of watched.splice(0)) await page.context().close();
  });

  afterAll(async () => {
    await browser?.close();
    if (server !== undefined) await stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('figures move under load; nothing else is asked for, and nothing complains', async () => {
    const { page, url, requests, complaints } = await open();
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    await expect.poll(() => fact(page, 'tiles', 'Records released'), soon).toMatch(/^[1-9]\d*\/s$/);
    await expect.poll(() => fact(page, 'tiles', 'Bytes sent'), soon).toMatch(/^[1-9].* k?B\/s$/);
    const before = wholeNumber(await fact(page, 'totals', 'Records released'));
    await expect
      .poll(async () => wholeNumber(await fact(page, 'totals', 'Records released')), soon)
      .toBeGreaterThan(before);

    // What the clients see comes from who runs them.
    expect(await fact(page, 'tiles', 'Round trip p99')).toBe('–');
    const roundTrip = { p50: 1.25, p99: 7.5, max: 31 };
    server.tell({ type: 'clients', figures: { ordersPerSecond: 321, roundTrip } });
    await expect.poll(() => fact(page, 'tiles', 'Round trip p99'), soon).toBe('7.50 ms');
    expect(await fact(page, 'app', 'Orders per second')).toBe('321');

    await page.click('#figures summary');
    // A panel tells that it was opened in an event of its own, and is filled then.
    await expect.poll(() => page.locator('#figures-body tr').count(), soon).toBeGreaterThan(1);
    expect(new Set(requests.map((address) => new URL(address).pathname))).toEqual(new Set(['/', '/status']));
    expect(requests.every((address) => new URL(address).origin === new URL(url).origin)).toBe(true);
    expect(complaints).toEqual([]);
    await shoot(page, 'open-light');
  });

  test('a stalled journal shows as a closed gate within two seconds, and its end too', async () => {
    const { page, seen } = await open();
    const dark = await open({ colorScheme: 'dark' });
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    server.tell('pause journal');
    try {
      await expect.poll(() => headline(page), soon).toMatch(/^Gate closed for .*: waiting for the journal$/);
      const first = (await seen('headline')).find((text) => text.startsWith('Gate closed'));
      // By the server's own clock: for how long the gate had been closed when the page first said so.
      expect(Number(/for (\d+\.\d) s/.exec(first!)?.[1])).toBeLessThanOrEqual(2);
      expect((await status()).status).toMatchObject({ gateClosed: 1, blocker: 'journal' });
      expect(await page.textContent('#tone')).toBe('Waiting');
      await expect
        .poll(() => page.textContent('#announcer'), soon)
        .toBe('Gate closed: waiting for the journal');
      await expect.poll(() => page.textContent('#charts'), soon).toMatch(/now closed.*journal 100 %/);
      expect(wholeNumber(await fact(page, 'tiles', 'Not durable yet'))).toBeGreaterThan(0);
      await shoot(page, 'closed-light');
      await shoot(dark.page, 'closed-dark');
    } finally {
      server.tell('resume journal');
    }
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    // While only numbers change a screen reader hears nothing.
    const said = await seen('announcer');
    expect(said.filter((text) => text.startsWith('Gate closed'))).toHaveLength(1);
  });

  test('the mode is changed after a confirmation with the token, and only then', async () => {
    const { page, complaints } = await open();
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    await changeMode(page, 'hybrid', '');
    expect(await page.textContent('#dialog-error')).toBe('Not changed: enter the admin token.');
    expect(await page.textContent('#dialog-from')).toBe('local');
    expect(await page.textContent('#dialog-to')).toBe('hybrid');
    expect(await page.textContent('#dialog-warning')).toMatch(
      /Nothing will be acknowledged.*needs 2 nodes, 1 conn/,
    );
    await page.fill('#token', 'a-guess');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.textContent('#dialog-error'), soon)
      .toBe('Not changed: the token is not right (401).');
    await shoot(page, 'refused-light');
    expect((await status()).status.mode).toBe('local');
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);

    try {
      await page.fill('#token', token);
      await page.click('#dialog-confirm');
      await expect.poll(() => page.textContent('#mode-result'), soon).toBe('The mode is hybrid now.');
      expect((await status()).status.mode).toBe('hybrid');
      await expect.poll(() => page.inputValue('#token'), soon).toBe('');
      expect(
        await page.evaluate('localStorage.length + sessionStorage.length + document.cookie.length'),
      ).toBe(0);
      await expect.poll(() => headline(page), soon).toBe('Degraded: policy needs 2 nodes, 1 connected');
      expect(await page.textContent('#tone')).toBe('Alarm');
      await expect.poll(() => page.textContent('#announcer'), soon).toBe('Degraded');
      await expect.poll(() => page.textContent('#charts'), soon).toMatch(/degraded 100 %/);
      await shoot(page, 'degraded-light');
    } finally {
      await changeMode(page, 'local', token);
    }
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    expect((await status()).status.mode).toBe('local');
  });

  test('a server without a token says that switching is off', async () => {
    const other = await startDemoServer({ directory: join(directory, 'other'), adminPort: 0 });
    try {
      const one = await openPage(browser, other.adminUrl!);
      watched.push(one);
      await expect.poll(() => headline(one.page), soon).toBe('Ready');
      expect(await one.page.isVisible('#mode-off')).toBe(true);
      expect(await one.page.isVisible('#mode-controls')).toBe(false);
    } finally {
      other.close();
      await other.ended;
    }
  });

  test('a server that goes away and comes back', async () => {
    const { page } = await open();
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    const port = Number(new URL(server.adminUrl!).port);
    await stop();
    await expect.poll(() => headline(page), soon).toMatch(/^Not answering for \d/);
    await expect.poll(() => page.textContent('#announcer'), soon).toBe('Not answering');
    expect(wholeNumber(await fact(page, 'totals', 'Records released'))).toBeGreaterThan(0);
    await shoot(page, 'away-light');
    rmSync(join(directory, 'journal'), { recursive: true });
    await start(port);
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    expect(await page.textContent('#freshness')).toContain('started anew');
    expect(await fact(page, 'tiles', 'Records released')).not.toContain('-');
  });

  test('asks nothing while it is hidden', async () => {
    const { page, requests } = await open();
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    const show = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { get: () => ${hidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));`);
    await show(true);
    // A question that was under way is answered; three periods must bring no other one.
    await sleep(200);
    const before = requests.length;
    await sleep(1600);
    expect(requests.length).toBe(before);
    await show(false);
    await expect.poll(() => requests.length, soon).toBeGreaterThan(before + 1);
  });

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    test.each([360, 768, 1280])(
      '%i pixels wide: nothing sticks out, and there is something to see',
      async (width) => {
        const { page } = await open({ colorScheme, viewport: { width, height: 800 } });
        await expect.poll(() => headline(page), soon).toBe('Acknowledging');
        await page.click('#figures summary');
        await expect.poll(() => page.locator('#figures-body tr').count(), soon).toBeGreaterThan(3);
        const [content, room] = await page.evaluate<[number, number]>(
          '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
        );
        expect(content).toBeLessThanOrEqual(room);
        const back = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        const lightness = /\d+/.exec(back)![0];
        expect(Number(lightness) > 128).toBe(colorScheme === 'light');
        // An empty page of that size has a tenth of that.
        expect((await shoot(page, `width-${width}-${colorScheme}`)).length).toBeGreaterThan(40_000);
      },
    );

    test('axe finds no fault, nor in the dialog', async () => {
      const { page } = await open({ colorScheme });
      await expect.poll(() => headline(page), soon).toBe('Acknowledging');
      await page.click('#figures summary');
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.selectOption('#mode-select', 'hybrid');
      await page.click('#mode-open');
      await page.click('#dialog-confirm');
      expect(await accessibilityFaults(page)).toEqual([]);
      await shoot(page, `dialog-${colorScheme}`);
    });
  });

  test('the charts follow the colour scheme', async () => {
    const { page } = await open({ colorScheme: 'light' });
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    const colors = () =>
      page.evaluate<string>(`[...document.querySelectorAll('.plot canvas')].map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
        return [...seen].sort().slice(0, 3).join(' ');
      }).join('; ')`);
    const light = await colors();
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(colors, soon).not.toBe(light);
  });

  test('with the keyboard alone: reaches the switch, Escape closes the dialog', async () => {
    const { page } = await open();
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    const focused = () =>
      page.evaluate<string>('document.activeElement.id || document.activeElement.localName');
    const order: string[] = [];
    while (order.at(-1) !== 'mode-open' && order.length < 10) {
      await page.keyboard.press('Tab');
      order.push(await focused());
    }
    expect(order).toEqual(['summary', 'mode-select', 'mode-open']);
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
    await page.keyboard.press('Enter');
    expect(await page.locator('#mode-dialog').getAttribute('open')).not.toBeNull();
    expect(await focused()).toBe('token');
    await page.keyboard.type('something');
    await page.keyboard.press('Escape');
    expect(await page.locator('#mode-dialog').getAttribute('open')).toBeNull();
    expect(await focused()).toBe('mode-open');
    // A dialog tells that it was closed in an event of its own.
    await expect.poll(() => page.inputValue('#token'), soon).toBe('');
    expect((await status()).status.mode).toBe('local');
  });

  test('no other script runs, and no text becomes markup', async () => {
    const { page } = await open();
    await page.evaluate(`const script = document.createElement('script');
      try { script.text = 'window.intruder = true'; document.head.append(script); } catch {}`);
    expect(await page.evaluate('window.intruder')).toBeUndefined();
    expect(
      await page.evaluate(
        `(() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } })()`,
      ),
    ).toBe('TypeError');
    const elsewhere = `fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)`;
    expect(await page.evaluate(elsewhere)).toBe('TypeError');
  });

  test('on paper it is dark on light', async () => {
    const { page } = await open({ colorScheme: 'dark' });
    await expect.poll(() => headline(page), soon).toBe('Acknowledging');
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(20, 24, 31)');
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
    expect(await page.isVisible('#mode-controls')).toBe(false);
    await shoot(page, 'print');
  });
});
