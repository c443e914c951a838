import { AckgateError } from '../errors.js';
import { checkKeys, text } from '../shared/checks.js';
import type { KeptText, TextSource } from '../shared/text-source.js';
import { compareClaims } from './choose.js';
import { loadClient, type ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { connectError, isMissingTable, reasonOf } from './fault.js';
import { identityText, openSame } from './identity.js';
import { channelOf, ensureSchema, noGeneration } from './schema.js';
import { ServerSet } from './server-set.js';
import { type CheckedServers, checkServers, type PostgresServers, serverOptionNames } from './servers.js';
import { timelineOf } from './standing.js';

/** What a server keeps under the name, and what it claims to be. */
interface Kept {
  readonly timeline: number | null;
  readonly generation: number | null;
  readonly identity: string;
  readonly text: KeptText | null;
}

const answerTimeoutMs = 2000;

/**
 * A text that is kept in a row of the table `kept_text`, for `WatchedStore` and `WatchedMode`: give these `refreshMs:
 * 1000`, so that a change that was told to nobody, such as during a failover, is seen after a second.
 *
 * Every reading asks all servers, so that one that is not the primary any more is not believed.
 *
 * @param name of the row, 1 … 63 characters, such as `directives` or `mode`
 * @throws nothing but what the arguments are wrong in: ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
 */
export function postgresText(servers: PostgresServers, name: string): PostgresText {
  checkKeys('servers', servers, serverOptionNames);
  return new PostgresText(servers, text('name', name, 63));
}

/** A row of the table `kept_text`, as `postgresText` gives it: for `WatchedStore`, `WatchedMode`. */
export class PostgresText implements TextSource {
  readonly #given: PostgresServers;
  readonly #name: string;
  #checked: Promise<CheckedServers> | null = null;
  #set: ServerSet | null = null;
  /** The server that was read last, and the one that is listened to. */
  #primary: ServerSettings | null = null;
  #listening: { server: ServerSettings; failed: (error: unknown) => void } | null = null;

  /** @internal Use `postgresText`. */
  constructor(servers: PostgresServers, name: string) {
    this.#given = servers;
    this.#name = name;
  }

  /** What the primary keeps now; null: nothing. Rejects while none of the servers can be believed to be the primary. */
  async read(): Promise<KeptText | null> {
    const { kept } = await this.#ask();
    return kept.text;
  }

  /** As `TextSource.write`. */
  async write(text: string, ifRevision: number | undefined): Promise<number | null> {
    const { server, kept } = await this.#ask();
    const { schema } = await this.#servers();
    return this.#on(server, kept.identity, async (connection) => {
      await ensureSchema(connection, schema);
      const { rows } = await connection.query(...writeQuestion(schema, this.#name, text, ifRevision));
      return rows.length === 0 ? null : Number(rows[0].revision);
    });
  }

  /** As `TextSource.watch`. */
  async watch(changed: () => void, failed: (error: unknown) => void): Promise<() => Promise<void>> {
    const { server, kept } = await this.#ask();
    const { schema } = await this.#servers();
    const connection = await this.#open(server, kept.identity);
    const listening = { server, failed };
    void connection.lost.then((error) => {
      if (this.#listening === listening) this.#listening = null;
      failed(new Error(`${server.label}: ${reasonOf(error, server)}`));
    });
    connection.onNotification((payload) => {
      if (payload === this.#name) changed();
    });
    try {
      await connection.query(`listen "${channelOf(schema)}"`);
    } catch (error) {
      await connection.end();
      throw connectError(error, server);
    }
    this.#listening = listening;
    return async () => {
      if (this.#listening === listening) this.#listening = null;
      await connection.end();
    };
  }

  /** Lets go of the connections. What was read stays what it was. */
  async close(): Promise<void> {
    await this.#set?.close();
    this.#set = null;
  }

  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The server that is the primary now, and what it keeps. */
  async #ask(): Promise<{ server: ServerSettings; kept: Kept }> {
    const { settings, schema } = await this.#servers();
    this.#set ??= new ServerSet(settings, {
      applicationName: 'ackgate text',
      answerTimeoutMs,
      isUnref: true,
    });
    const set = this.#set;
    const answers = await set.ask((connection) => keptOf(connection, schema, this.#name));
    const primaries = answers
      .filter(({ value }) => value.timeline !== null)
      .sort((a, b) => compareClaims(b.value, a.value));
    if (primaries.length === 0) throw set.refusal ?? nobody(set.reasons, answers.length);
    const [{ server, value }] = primaries;
    this.#follow(server);
    return { server, kept: value };
  }

  /** Changes are told where they are made: on another server by now, perhaps. */
  #follow(server: ServerSettings): void {
    this.#primary = server;
    const listening = this.#listening;
    if (listening === null || listening.server === this.#primary) return;
    this.#listening = null;
    listening.failed(new Error(`${server.label} is the primary now, not ${listening.server.label}`));
  }

  async #on<T>(
    server: ServerSettings,
    identity: string,
    use: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const connection = await this.#open(server, identity);
    try {
      return await use(connection);
    } catch (error) {
      throw error instanceof AckgateError ? error : connectError(error, server);
    } finally {
      await connection.end();
    }
  }

  async #open(server: ServerSettings, identity: string): Promise<Connection> {
    try {
      return await openSame(server, identity, { applicationName: 'ackgate text', isUnref: true });
    } catch (error) {
      throw connectError(error, server);
    }
  }

  async #servers(): Promise<CheckedServers> {
    await loadClient();
    this.#checked ??= checkServers(this.#given);
    try {
      return await this.#checked;
    } catch (error) {
      // The password's function may have failed: it is asked again the next time.
      this.#checked = null;
      throw error;
    }
  }
}

async function keptOf(connection: Connection, schema: string, name: string): Promise<Kept> {
  const s = `"${schema}"`;
  const which = `${identityText} as identity,
    case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_flush_lsn()) end as file`;
  try {
    const { rows } = await connection.query(
      `select ${which}, g.generation, k.revision, k.text from ${s}.generation g left join ${s}.kept_text k on k.name = $1`,
      [name],
    );
    if (rows.length === 0) throw noGeneration(connection, schema);
    const row = rows[0] as {
      identity: string;
      file: string | null;
      generation: string;
      revision: string | null;
      text: string;
    };
    const kept = row.revision === null ? null : { revision: Number(row.revision), text: row.text };
    return {
      timeline: row.file === null ? null : timelineOf(row.file),
      generation: Number(row.generation),
      identity: row.identity,
      text: kept,
    };
  } catch (error) {
    if (!isMissingTable(error)) throw error;
    const { rows } = await connection.query(`select ${which}`);
    const { identity, file } = rows[0] as { identity: string; file: string | null };
    return { timeline: file === null ? null : timelineOf(file), generation: null, identity, text: null };
  }
}

function writeQuestion(
  schema: string,
  name: string,
  text: string,
  ifRevision: number | undefined,
): [string, unknown[]] {
  const table = `"${schema}".kept_text`;
  if (ifRevision === undefined) {
    const insert = `insert into ${table} as kept (name, revision, text) values ($1, 1, $2)
      on conflict (name) do update set revision = kept.revision + 1, text = excluded.text returning revision`;
    return [insert, [name, text]];
  }
  if (ifRevision === 0) {
    const insert = `insert into ${table} (name, revision, text) values ($1, 1, $2) on conflict do nothing returning revision`;
    return [insert, [name, text]];
  }
  const update = `update ${table} set revision = revision + 1, text = $2 where name = $1 and revision = $3 returning revision`;
  return [update, [name, text, ifRevision]];
}

function nobody(reasons: readonly string[], standbys: number): AckgateError {
  if (standbys > 0) {
    const also = reasons.length === 0 ? '' : `; ${reasons.join('; ')}`;
    const message = `none of the servers takes writes, only standbys answer${also}`;
    return new AckgateError('ERR_ACKGATE_POSTGRES_STANDBY', message);
  }
  return new AckgateError('ERR_ACKGATE_POSTGRES_UNREACHABLE', `no server answers: ${reasons.join('; ')}`);
}
