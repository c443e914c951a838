import { setTimeout as passed } from 'node:timers/promises';
import type { AckgateError } from '../errors.js';
import { checkKeys } from '../shared/checks.js';
import type { ServerSettings } from './client.js';
import { Connection } from './connection.js';
import { connectError } from './fault.js';
import { identityText } from './identity.js';
import { parseLsn } from './lsn-map.js';
import { isMade, noGeneration } from './schema.js';
import { checkServers, type PostgresServers, serverOptionNames } from './servers.js';

/** What a server says of itself. */
export interface PostgresStanding {
  /** `host:port/database` */
  readonly server: string;
  /** Tells servers apart, whatever their addresses: the cluster, and when this server was started. */
  readonly identity: string;
  /** Whether it takes writes. */
  readonly isPrimary: boolean;
  /** Its version as a number, such as 150008 for 15.8. */
  readonly version: number;
  /** History of the write-ahead log, one more with each promotion; null on a standby. */
  readonly timeline: number | null;
  /** How far it has the log: on its disk if it takes writes, received if it is a standby. */
  readonly logPosition: string;
  /** The same as a number of bytes, to be compared. */
  readonly logBytes: number;
  /** Generation of the journal: one more each time that somebody took it; null: it has no journal. */
  readonly generation: number | null;
  /** Name of the node that took the journal last; null: it has no journal. */
  readonly holder: string | null;
  /** Last record of the journal that can be read there; 0: none. */
  readonly lastSequence: number;
  /** Whether it runs with `fsync`: without, what it calls durable is not, and no journal is opened there. */
  readonly fsync: boolean;
  /** Its clock minus ours, in milliseconds, as far as the way there and back allows. */
  readonly clockSkewMs: number;
}

/** A server that could not be asked, or what it said. */
export type AskedServer =
  | {
      /** `host:port/database` */
      readonly server: string;
      /** Why it could not be asked. */
      readonly error: AckgateError;
    }
  | {
      /** `host:port/database` */
      readonly server: string;
      /** What it said. */
      readonly standing: PostgresStanding;
    };

/** A standby has what it received only once it has replayed it; it is waited for so long. */
const replayWaitMs = 2000;
const replayLookMs = 20;
/** Standbys may still be writing what they have received: two readings that agree, so long apart. */
const stillMs = 250;
const readingsMax = 8;

/** Asks every server, all at once. Never rejects. */
export function askServers(settings: readonly ServerSettings[], schema: string): Promise<AskedServer[]> {
  return Promise.all(
    settings.map(async (server): Promise<AskedServer> => {
      try {
        return { server: server.label, standing: await askServer(server, schema) };
      } catch (error) {
        return { server: server.label, error: connectError(error, server) };
      }
    }),
  );
}

/**
 * What every server says of itself: for choosing the one to promote, which is the standby with the highest `logBytes`
 * of all that have not been lost. One that does not answer has an `error`. Asks again, for about two seconds at most,
 * until the positions of the standbys stand still.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_PEER_MISSING
 */
export async function postgresStandings(servers: PostgresServers): Promise<AskedServer[]> {
  checkKeys('servers', servers, serverOptionNames);
  const { settings, schema } = await checkServers(servers);
  const asked = await askUntilStill(settings, schema);
  for (const one of asked) {
    if ('error' in one && one.error.code === 'ERR_ACKGATE_PEER_MISSING') throw one.error;
  }
  return asked;
}

async function askUntilStill(settings: readonly ServerSettings[], schema: string): Promise<AskedServer[]> {
  let asked = await askServers(settings, schema);
  for (let reading = 1; reading < readingsMax; reading++) {
    if (asked.every((one) => !('standing' in one) || one.standing.isPrimary)) break;
    const before = standbyPositions(asked);
    await passed(stillMs);
    asked = await askServers(settings, schema);
    if (standbyPositions(asked) === before) break;
  }
  return asked;
}

const standbyPositions = (asked: readonly AskedServer[]): string =>
  JSON.stringify(
    asked.map((one) => ('standing' in one && !one.standing.isPrimary ? one.standing.logPosition : '')),
  );

async function askServer(server: ServerSettings, schema: string): Promise<PostgresStanding> {
  const connection = await Connection.open(server, { applicationName: 'ackgate' });
  try {
    const began = Date.now();
    const { rows } = await connection.query(`select
      not pg_is_in_recovery() as primary, current_setting('server_version_num')::int as version,
      ${identityText} as identity,
      current_setting('fsync') = 'on' as fsync, (extract(epoch from clock_timestamp()) * 1000)::float8 as clock,
      case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_flush_lsn()) end as file,
      coalesce(case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        else pg_current_wal_flush_lsn() end, '0/0')::text as position`);
    const clockSkewMs = (rows[0].clock as number) - (began + Date.now()) / 2;
    const { identity, primary, version, fsync, file, position } = rows[0] as {
      identity: string;
      primary: boolean;
      version: number;
      fsync: boolean;
      file: string | null;
      position: string;
    };
    if (!primary) await replayed(connection, position);
    return {
      server: server.label,
      identity,
      isPrimary: primary,
      version,
      timeline: file === null ? null : timelineOf(file),
      logPosition: position,
      logBytes: parseLsn(position),
      ...(await journalOf(connection, schema)),
      fsync,
      clockSkewMs,
    };
  } finally {
    await connection.end();
  }
}

/** The timeline begins the name of a file of the log. */
export const timelineOf = (file: string): number => Number.parseInt(file.slice(0, 8), 16);

async function journalOf(connection: Connection, schema: string) {
  if (!(await isMade(connection, schema))) return { generation: null, holder: null, lastSequence: 0 };
  const { rows } = await connection.query(
    `select generation, node, (select last from "${schema}".journal order by first desc limit 1) as last
      from "${schema}".generation`,
  );
  if (rows.length === 0) throw noGeneration(connection, schema);
  const [{ generation, node, last }] = rows as { generation: string; node: string; last: string | null }[];
  return { generation: Number(generation), holder: node, lastSequence: Number(last ?? 0) };
}

async function replayed(connection: Connection, position: string): Promise<void> {
  const giveUpAt = performance.now() + replayWaitMs;
  while (performance.now() < giveUpAt) {
    const { rows } = await connection.query('select coalesce(pg_last_wal_replay_lsn() >= $1, true) as done', [
      position,
    ]);
    if (rows[0].done === true) return;
    await passed(replayLookMs);
  }
}
