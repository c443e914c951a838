import type { IncomingMessage } from 'node:http';

/** What a request asks for. Paths are compared as they were sent: nothing is decoded, so nothing can be hidden. */
export interface Target {
  readonly path: string;
  readonly query: URLSearchParams;
}

export const targetCharsMax = 2048;

/** Null for anything but a path: this server is nobody's proxy. */
export function readTarget(request: IncomingMessage): Target | null {
  const url = request.url ?? '';
  if (!url.startsWith('/')) return null;
  const mark = url.indexOf('?');
  return mark === -1
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

/** A parameter that is given once; null when it is not, undefined when it is given more often. */
export function oneParameter(query: URLSearchParams, name: string): string | null | undefined {
  const all = query.getAll(name);
  return all.length > 1 ? undefined : (all[0] ?? null);
}

/** The digits of a whole number from 0 to 2^53-1; null for anything else. */
export function readWhole(text: string): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : null;
}
