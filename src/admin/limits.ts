import { AckgateRangeError } from '../errors.js';
import { checkKeys, integer } from '../shared/checks.js';
import { timerMsMax } from '../shared/timer-ms-max.js';

/** What one client, or all of them together, may take up. Integers; times in milliseconds, 1 … 2^31-1. */
export interface AdminLimits {
  /** Connections at once; one more ends the oldest that has no request under way, 1 … 65,536 (default 256). */
  readonly connections: number;
  /** Requests on one connection before it is closed, 1 … 2^31-1 (default 1000). */
  readonly requestsPerConnection: number;
  /** Requests on one connection that are not answered yet; one more ends it, 1 … 1024 (default 8). */
  readonly requestsUnderWay: number;
  /** Bodies being read at once: times `bodyBytes` bounds their memory, 1 … 1024 (default 8). */
  readonly bodies: number;
  /** Largest body in bytes, 1 … 64 MiB (default 1,048,576). */
  readonly bodyBytes: number;
  /** Largest request line and headers together in bytes, 1024 … 1 MiB (default 16,384). */
  readonly headerBytes: number;
  /** Longest from the first byte, or the connection, to the end of the headers (default 5000). */
  readonly headersMs: number;
  /** Longest from there to the end of the body; not below `headersMs` (default 10,000). */
  readonly requestMs: number;
  /** Longest without a byte either way: of a client that doesn't read, too (default 15,000). */
  readonly idleMs: number;
  /** Longest between two requests of one connection (default 5000). */
  readonly keepAliveMs: number;
}

const table: Record<keyof AdminLimits, readonly [fallback: number, min: number, max: number]> = {
  connections: [256, 1, 65_536],
  requestsPerConnection: [1000, 1, 2 ** 31 - 1],
  requestsUnderWay: [8, 1, 1024],
  bodies: [8, 1, 1024],
  bodyBytes: [1 << 20, 1, 1 << 26],
  headerBytes: [16_384, 1024, 1 << 20],
  headersMs: [5000, 1, timerMsMax],
  requestMs: [10_000, 1, timerMsMax],
  idleMs: [15_000, 1, timerMsMax],
  keepAliveMs: [5000, 1, timerMsMax],
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
