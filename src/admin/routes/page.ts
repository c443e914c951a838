import type { Route } from '../context.js';

/** The live page; bundled, and loaded when it is first asked for. */
export function pageRoute(): Route {
  const GET = async () => {
    const { livePage } = await import('../page.js');
    const { html, csp } = livePage();
    return {
      status: 200,
      type: 'text/html; charset=utf-8',
      body: html,
      headers: { 'Content-Security-Policy': csp },
    };
  };
  return { methods: { GET }, admin: false };
}
