import { accessSync, constants } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const program = '/usr/bin/chromium';

/** Why nothing can be tested in a browser here, or null. */
export function noBrowser(): string | null {
  try {
    accessSync(program, constants.X_OK);
    return null;
  } catch {
    return `there is no ${program}; to install it: apt-get install chromium`;
  }
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: program });
}

/** A page, and everything about it that would be a fault. */
export interface Watched {
  readonly page: Page;
  readonly url: string;
  /** Errors and warnings on the console, thrown errors, and what the content security policy forbade. */
  readonly complaints: string[];
  /** Addresses that were asked for. */
  readonly requests: string[];
  /** What #headline and #announcer showed, in order. */
  seen(id: 'headline' | 'announcer'): Promise<string[]>;
}

const recorder = `
  window.seenTexts = { headline: [], announcer: [] };
  document.addEventListener('DOMContentLoaded', () => {
    for (const id of Object.keys(window.seenTexts)) {
      const node = document.getElementById(id);
      if (node === null) continue;
      new MutationObserver(() => window.seenTexts[id].push(node.textContent))
        .observe(node, { childList: true, characterData: true, subtree: true });
    }
  });
  document.addEventListener('securitypolicyviolation', (event) => {
    console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI);
  });
`;

/** Opens an address in a profile of its own, which reaches no other server. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const { origin } = new URL(url);
  await context.route(
    (address) => address.origin !== origin && address.protocol !== 'data:',
    (route) => route.abort(),
  );
  await context.addInitScript(recorder);
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  const seen = (id: string) => page.evaluate<string[]>(`window.seenTexts.${id}`);
  return { page, url, complaints, requests, seen };
}

/** What axe has to object, a line for each element. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>('window.axe.run()');
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target }) => `${id}: ${help} (${target.join(' ')})`),
  );
}
