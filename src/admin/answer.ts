import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a route says. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function json(status: number, value: object, headers?: Record<string, string>): Answer {
  const body = `${JSON.stringify(value, plain)}\n`;
  return { status, type: 'application/json; charset=utf-8', body, ...(headers && { headers }) };
}

/** A refusal: `slug` is fixed and safe to program against; `message` is for people and never repeats what was sent. */
export function refusal(
  status: number,
  slug: string,
  message: string,
  headers?: Record<string, string>,
): Answer {
  return json(status, { error: slug, message }, headers);
}

/** JSON has no infinity; where there is one in a status, nothing bounds the position. */
function plain(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'unbounded' : value;
}

/** Nothing here is for another site, a cache or a frame. A page brings a content security policy of its own. */
const safety = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** How much of an unread body is still taken, and for how long, so that its sender gets to see the answer. */
const lingerBytes = 4 << 20;
const lingerMs = 500;

/** Writes the answer. A request whose body was not read ends its connection. */
export function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(answer.body);
  const unread = !request.complete;
  response.writeHead(answer.status, {
    ...safety,
    'Content-Type': answer.type,
    'Content-Length': body.length,
    ...answer.headers,
    ...(unread && { Connection: 'close' }),
  });
  if (!unread) {
    response.end(body);
    return;
  }
  // Closing a socket with unread bytes resets it, and a reset can overtake the answer.
  response.write(body);
  discard(request, () => response.end());
}

function discard(request: IncomingMessage, done: () => void): void {
  let left = lingerBytes;
  const end = () => {
    clearTimeout(timer);
    request.off('data', count);
    request.pause();
    done();
  };
  const count = (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) end();
  };
  const timer = setTimeout(end, lingerMs);
  request.on('data', count);
  request.once('end', end);
  request.resume();
  request.once('close', () => clearTimeout(timer));
}
