import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface LivePage {
  /** One document, with everything that it needs in it. */
  readonly html: string;
  /** The `content-security-policy` to send it with: nothing but what the document holds, and its own server. */
  readonly csp: string;
}

let page: LivePage | null = null;

/** The page that shows a stage at work; it asks `status` beside it, see `startAdminServer`. */
export function livePage(): LivePage {
  page ??= load();
  return page;
}

function load(): LivePage {
  const html = readFileSync(new URL('./page.html', import.meta.url), 'utf8');
  const csp = [
    "default-src 'none'",
    `script-src ${hashOf(html, 'script')}`,
    `style-src ${hashOf(html, 'style')}`,
    // The icon.
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // No text ever becomes markup or code.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return { html, csp: csp.join('; ') };
}

/** Of the one element of that name, as a source of the policy. */
function hashOf(html: string, name: 'script' | 'style'): string {
  const start = html.indexOf(`<${name}>`) + name.length + 2;
  const text = html.slice(start, html.indexOf(`</${name}>`, start));
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
