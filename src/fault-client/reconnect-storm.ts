import { atMost } from '../shared/at-most.js';
import { checkInteger } from './checks.js';
import { FaultClient } from './fault-client.js';
import type { ClientOptions } from './framed-client.js';

/** How many connections, and what each does. */
export interface StormOptions extends Omit<ClientOptions, 'signal' | 'seed'> {
  /** Tried in all, one after another and `concurrency` at a time. */
  connections: number;
  /** Open at once, at most. */
  concurrency: number;
  /** What one does while it is open; its client is closed afterwards. `index` counts from 0. */
  behaviour(client: FaultClient, index: number): Promise<void>;
  /** Longest life of one connection, in milliseconds: then it is closed whatever its behaviour waits for. Default 10,000. */
  timeMsMax?: number;
  /** Opens no more, and closes those that are open. */
  signal?: AbortSignal;
  /** The client of index n draws from seed + n; default 1. */
  seed?: number;
}

/** What became of the connections of a storm. */
export interface StormCounts {
  /** `ended` + `reset` + `left` + `failed` of them, by how they went. */
  connected: number;
  /** Nobody listened. */
  refused: number;
  /** The server ended the connection before the client did. */
  ended: number;
  /** The server reset it. */
  reset: number;
  /** The client closed it, or reset it, first. */
  left: number;
  /** It broke in another way. */
  failed: number;
  /** What broke, by code: connections that were neither made nor refused, those that failed, behaviours that rejected. */
  errors: Record<string, number>;
}

/** Opens connections, lets them misbehave and closes them, over and over, as clients do that all lost their server. */
export async function reconnectStorm(options: StormOptions): Promise<StormCounts> {
  const { connections, concurrency, behaviour, timeMsMax = 10_000, seed = 1, signal, ...where } = options;
  checkInteger('connections', connections, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('concurrency', concurrency, 1, Number.MAX_SAFE_INTEGER);
  const counts: StormCounts = {
    connected: 0,
    refused: 0,
    ended: 0,
    reset: 0,
    left: 0,
    failed: 0,
    errors: {},
  };
  let next = 0;

  const one = async (index: number) => {
    const client = await connected(index);
    if (client === undefined) return;
    counts.connected++;
    try {
      await atMost(timeMsMax, behaviour(client, index), signal);
    } catch (why) {
      count(counts.errors, why);
    }
    await client.close();
    const ending = await client.ended;
    counts[outcomes[ending]]++;
    if (ending === 'error') count(counts.errors, client.error);
  };

  const connected = async (index: number): Promise<FaultClient | undefined> => {
    try {
      return await FaultClient.connect({ ...where, seed: seed + index, ...(signal && { signal }) });
    } catch (why) {
      if (codeOf(why) === 'ECONNREFUSED') counts.refused++;
      else if (!signal?.aborted) count(counts.errors, why);
      return undefined;
    }
  };

  const lane = async () => {
    while (next < connections && !signal?.aborted) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, connections) }, lane));
  return counts;
}

const outcomes = { end: 'ended', reset: 'reset', left: 'left', error: 'failed' } as const;

function codeOf(why: unknown): string {
  const { code, name } = (why ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name ?? why);
}

function count(errors: Record<string, number>, why: unknown): void {
  const code = codeOf(why);
  errors[code] = (errors[code] ?? 0) + 1;
}
