import { AckgateRangeError } from '../errors.js';
import { integer } from '../shared/checks.js';
import { checkKeys } from '../stage/options.js';

/** What one client, or all of them together, may take up. */
export interface AdminLimits {
  /** Connections at once; one more ends the oldest that has no request under way (default 256). */
  connections: number;
  /** Requests on one connection before it is closed (default 1000). */
  requestsPerConnection: number;
  /** Requests on one connection that are not answered yet; one more ends it (default 8). */
  requestsUnderWay: number;
  /** Bodies being read at once: times `bodyBytes` bounds their memory (default 8). */
  bodies: number;
  /** Largest body (default 1,048,576). */
  bodyBytes: number;
  /** Largest request line and headers together (default 16,384). */
  headerBytes: number;
  /** From the first byte, or the connection, to the end of the headers (default 5000). */
  headersMs: number;
  /** … to the end of the body, `headersMs` at least (default 10,000). */
  requestMs: number;
  /** Without a byte either way: a client that doesn't read, too (default 15,000). */
  idleMs: number;
  /** Between two requests (default 5000). */
  keepAliveMs: number;
}

const table: Record<keyof AdminLimits, readonly [fallback: number, min: number, max: number]> = {
  connections: [256, 1, 65_536],
  requestsPerConnection: [1000, 1, 2 ** 31 - 1],
  requestsUnderWay: [8, 1, 1024],
  bodies: [8, 1, 1024],
  bodyBytes: [1 << 20, 1, 1 << 26],
  headerBytes: [16_384, 1024, 1 << 20],
  headersMs: [5000, 1, 2 ** 31 - 1],
  requestMs: [10_000, 1, 2 ** 31 - 1],
  idleMs: [15_000, 1, 2 ** 31 - 1],
  keepAliveMs: [5000, 1, 2 ** 31 - 1],
};
const names = Object.keys(table) as (keyof AdminLimits)[];

export function checkLimits(limits: Partial<AdminLimits>): AdminLimits {
  checkKeys('limits', limits, names);
  const pairs = names.map((name) => {
    const [fallback, min, max] = table[name];
    return [name, integer(`limits.${name}`, limits[name] ?? fallback, min, max)] as const;
  });
  const checked = Object.fromEntries(pairs) as unknown as AdminLimits;
  const { headersMs, requestMs } = checked;
  if (headersMs > requestMs) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `limits.headersMs must be at most limits.requestMs, got ${headersMs} and ${requestMs}`,
    );
  }
  return checked;
}
