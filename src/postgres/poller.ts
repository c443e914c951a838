import { setTimeout as passed } from 'node:timers/promises';
import type { Connection } from './connection.js';
import { reasonOf } from './fault.js';
import { parseLsn } from './lsn-map.js';
import type { StandbyRow } from './standby-tracker.js';

/** What a poll has found: the generation that is in force here, and all standbys. */
export interface Polled {
  readonly generation: number;
  readonly rows: readonly StandbyRow[];
}

export interface PollerOptions {
  readonly schema: string;
  readonly connect: () => Promise<Connection>;
  /** Returns whether to poll again at once. */
  readonly polled: (polled: Polled) => boolean;
  /** The connection was lost, or could not be made; it is tried again. */
  readonly failed: (error: unknown, reason: string) => void;
}

/** With nothing to wait for. */
const idleMs = 25;
const retryMs = 250;

/**
 * Asks the primary how far its standbys are, on a connection of its own: again and again while one of them lacks
 * something, now and then otherwise. One question at a time, so that no answer overtakes another.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #text: string;
  readonly #ended: Promise<void>;
  #connection: Connection | null = null;
  readonly #over = new AbortController();
  #isWanted = false;
  #wake: (() => void) | null = null;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#text = pollText(options.schema);
    this.#ended = this.#run();
  }

  /** Something was committed: the next answer is wanted soon. */
  wake(): void {
    this.#isWanted = true;
    this.#wake?.();
  }

  async end(): Promise<void> {
    this.#over.abort();
    this.wake();
    await this.#connection?.end();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.#connection = await this.#options.connect();
        if (!this.#isOver) await this.#poll(this.#connection);
      } catch (error) {
        const server = this.#connection?.server ?? { password: undefined };
        if (!this.#isOver) this.#options.failed(error, reasonOf(error, server));
      }
      await this.#connection?.end();
      this.#connection = null;
      // Not cut short by commits: a server that refuses is not to be asked at their rate.
      await passed(retryMs, null, { signal: this.#over.signal }).catch(() => {});
    }
  }

  async #poll(connection: Connection): Promise<void> {
    while (!this.#isOver) {
      this.#isWanted = false;
      const { rows } = await connection.prepared('poll', this.#text);
      if (this.#isOver) return;
      const again = this.#options.polled({
        generation: Number(rows[0]?.generation ?? 0),
        rows: rows.filter(({ name }) => name !== null).map(standbyRow),
      });
      if (!again && !this.#isWanted) await this.#idle();
    }
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  #idle(): Promise<unknown> {
    const control = new AbortController();
    this.#wake = () => control.abort();
    return passed(idleMs, null, { signal: control.signal })
      .catch(() => {})
      .finally(() => {
        this.#wake = null;
      });
  }
}

/** Standbys that receive the log itself; a logical subscriber of the same name is none. */
export const standbysFrom = `pg_catalog.pg_stat_replication r
  where r.state in ('streaming', 'catchup')
    and not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`;

/** One row at least, so that the generation is told also when there is no standby. */
function pollText(schema: string): string {
  return `select g.generation::text, r.* from "${schema}".generation g left join (
    select r.application_name as name, r.pid::text || ' ' || r.backend_start::text as connection,
      r.write_lsn::text as written, r.flush_lsn::text as flushed, r.reply_time::text as replied
    from ${standbysFrom}) r on true`;
}

function standbyRow(row: Record<string, unknown>): StandbyRow {
  const { name, connection, written, flushed, replied } = row as Record<string, string> & {
    written: string | null;
    flushed: string | null;
    replied: string | null;
  };
  const position = (text: string | null) => (text === null ? null : parseLsn(text));
  return { name, connection, written: position(written), flushed: position(flushed), replied };
}
