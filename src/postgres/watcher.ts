import { setTimeout as passed } from 'node:timers/promises';
import { type Claim, compareClaims } from './choose.js';
import type { ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { isMissingTable } from './fault.js';
import { identityText } from './identity.js';
import { noGeneration } from './schema.js';
import { ServerSet } from './server-set.js';
import { timelineOf } from './standing.js';

/** Where another primary was seen, and in which generation. */
export interface Rival {
  readonly server: string;
  readonly generation: number;
}

export interface WatcherOptions {
  /** All servers but our own. */
  readonly others: readonly ServerSettings[];
  readonly schema: string;
  readonly mine: { readonly timeline: number; readonly generation: number; readonly identity: string };
  readonly seen: (rival: Rival) => void;
}

const betweenMs = 500;
const answerTimeoutMs = 2000;

/** Looks whether one of the other servers was promoted and taken. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #servers: ServerSet;
  readonly #over = new AbortController();
  readonly #ended: Promise<void>;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#servers = new ServerSet(options.others, { applicationName: 'ackgate watcher', answerTimeoutMs });
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#servers.close();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      const answers = await this.#servers.ask((connection) => claimOf(connection, this.#options.schema));
      if (signal.aborted) return;
      for (const { server, value } of answers) {
        const { mine } = this.#options;
        // An address may lead to our own server by now.
        if (value !== null && value.identity !== mine.identity && isRival(value, mine)) {
          this.#options.seen({ server: server.label, generation: value.generation ?? 0 });
        }
      }
      await passed(betweenMs, null, { signal }).catch(() => {});
    }
  }
}

/**
 * Of two servers that take writes the one that was promoted last is the primary, whatever their generations: who took it
 * may have counted up from one that is not the last, which it had not received. When neither comes after the other, both
 * are rivals: two primaries are worse than none. A standby only tells that somebody has taken office, wherever that was.
 */
export function isRival(claim: Claim, mine: { timeline: number; generation: number }): boolean {
  if (claim.timeline === null) return (claim.generation ?? 0) > mine.generation;
  return compareClaims(claim, mine) >= 0;
}

/** What a server claims; null: it has no journal. */
async function claimOf(
  connection: Connection,
  schema: string,
): Promise<(Claim & { identity: string }) | null> {
  try {
    const { rows } = await connection.query(
      `select generation, ${identityText} as identity, case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_flush_lsn()) end as file
        from "${schema}".generation`,
    );
    if (rows.length === 0) throw noGeneration(connection, schema);
    const { generation, identity, file } = rows[0] as {
      generation: string;
      identity: string;
      file: string | null;
    };
    return { generation: Number(generation), identity, timeline: file === null ? null : timelineOf(file) };
  } catch (error) {
    if (isMissingTable(error)) return null;
    throw error;
  }
}
