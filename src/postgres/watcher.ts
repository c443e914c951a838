import { setTimeout as passed } from 'node:timers/promises';
import { type Claim, compareClaims } from './choose.js';
import type { ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { isMissingTable } from './fault.js';
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
  readonly mine: { readonly timeline: number; readonly generation: number };
  readonly seen: (rival: Rival) => void;
}

const betweenMs = 500;
const answerMs = 2000;

/** Looks whether one of the other servers was promoted and taken. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #servers: ServerSet;
  readonly #over = new AbortController();
  readonly #ended: Promise<void>;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#servers = new ServerSet(options.others, { applicationName: 'ackgate watcher', answerMs });
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
        if (value !== null && isRival(value, this.#options.mine)) {
          this.#options.seen({ server: server.label, generation: value.generation ?? 0 });
        }
      }
      await passed(betweenMs, null, { signal }).catch(() => {});
    }
  }
}

/**
 * Who took a promoted server may have counted up from a generation that is not the last one, which the standby had not
 * received: then both have the same, and the server that was promoted later is the primary.
 */
export function isRival(claim: Claim, mine: { timeline: number; generation: number }): boolean {
  const generation = claim.generation ?? 0;
  if (generation > mine.generation) return true;
  return generation === mine.generation && claim.timeline !== null && compareClaims(claim, mine) > 0;
}

/** What a server claims; null: it has no journal. */
export async function claimOf(connection: Connection, schema: string): Promise<Claim | null> {
  try {
    const { rows } = await connection.query(
      `select generation, case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_flush_lsn()) end as file
        from "${schema}".generation`,
    );
    const { generation, file } = rows[0] as { generation: string; file: string | null };
    return { generation: Number(generation), timeline: file === null ? null : timelineOf(file) };
  } catch (error) {
    if (isMissingTable(error)) return null;
    throw error;
  }
}
