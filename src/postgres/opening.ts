import { setTimeout as passed } from 'node:timers/promises';
import { AckgateError } from '../errors.js';
import { checkNoneAhead, checkStandings, choosePrimary, highestGeneration } from './choose.js';
import type { ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { connectError } from './fault.js';
import { openSame } from './identity.js';
import { parseLsn } from './lsn-map.js';
import { type Office, takeOffice } from './office.js';
import type { CheckedJournalOptions } from './options.js';
import { standbysFrom } from './poller.js';
import { ensureSchema } from './schema.js';
import { askServers } from './standing.js';

/** A journal that was taken, and the connection that holds it. */
export interface Opening {
  readonly server: ServerSettings;
  readonly others: readonly ServerSettings[];
  readonly connection: Connection;
  readonly office: Office;
  readonly timeline: number;
  /** Which server it is: further connections must lead to the same one. */
  readonly identity: string;
  /** Whoever has the log up to here has the journal as it was taken. */
  readonly position: number;
}

/** The row of a connection that broke stays until the server notices; a standby that is back is there twice for so long. */
const doubledWaitMs = 2000;
const doubledLookMs = 100;

/** Finds the primary, looks whether all is as it should be, and takes the journal. Nothing is written before that. */
export async function openJournal(options: CheckedJournalOptions): Promise<Opening> {
  const { settings, schema } = options.servers;
  const { asked, chosen } = await findPrimary(settings, schema);
  checkStandings(chosen, asked, options.clockSkewMsMax);
  const server = settings.find(({ label }) => label === chosen.server)!;
  const connection = await connect(server, chosen.identity, options.node);
  try {
    await checkStandbys(connection, options);
    await ensureSchema(connection, schema);
    const { node, takeOver, firstSequence } = options;
    const check = (last: number) => checkNoneAhead(chosen, last, asked);
    const above = highestGeneration(asked);
    const office = await takeOffice(connection, { schema, node, takeOver, firstSequence, above, check });
    const others = settings.filter((other) => other !== server);
    const { rows } = await connection.query('select pg_current_wal_flush_lsn()::text as position');
    const position = parseLsn(rows[0].position as string);
    const { identity, timeline } = chosen;
    return { server, others, connection, office, timeline: timeline ?? 0, identity, position };
  } catch (error) {
    await connection.end();
    throw error instanceof AckgateError ? error : connectError(error, server);
  }
}

async function findPrimary(settings: readonly ServerSettings[], schema: string) {
  const asked = await askServers(settings, schema);
  const chosen = choosePrimary(asked);
  if (highestGeneration(asked) <= (chosen.generation ?? 0)) return { asked, chosen };
  // All were asked at once: what another instance has just written can have been seen on a standby, and not yet where it
  // was written. Whoever is behind now is.
  const [again] = await askServers(
    settings.filter(({ label }) => label === chosen.server),
    schema,
  );
  const anew = asked.map((one) => (one.server === again.server ? again : one));
  return { asked: anew, chosen: choosePrimary(anew) };
}

async function connect(server: ServerSettings, identity: string, node: string): Promise<Connection> {
  try {
    const connection = await openSame(server, identity, { applicationName: `ackgate ${node}` });
    await prepare(connection);
    return connection;
  } catch (error) {
    throw connectError(error, server);
  }
}

/** For writing, whatever the server's or the role's defaults are. */
export async function prepare(connection: Connection): Promise<void> {
  await connection.query('set synchronous_commit = local');
  await connection.query(
    'set session characteristics as transaction isolation level read committed, read write',
  );
}

/**
 * @throws ERR_ACKGATE_NODE_TWICE when two standbys have one name; ERR_ACKGATE_POSTGRES_CREDENTIALS when the role may not
 *   see how far they are
 */
async function checkStandbys(connection: Connection, { standbys }: CheckedJournalOptions): Promise<void> {
  if (standbys.length === 0) return;
  const { rows } = await connection.query(
    "select pg_has_role('pg_read_all_stats', 'usage') as may, current_user as who",
  );
  if (rows[0].may !== true) {
    throw new AckgateError(
      'ERR_ACKGATE_POSTGRES_CREDENTIALS',
      `the role ${rows[0].who} may not see the standbys of ${connection.server.label}: ` +
        `grant pg_read_all_stats to "${rows[0].who}"`,
    );
  }
  const names = standbys.map(({ name }) => name);
  const giveUpAt = performance.now() + doubledWaitMs;
  for (;;) {
    const twice = await doubled(connection, names);
    if (twice === null) return;
    if (performance.now() >= giveUpAt) {
      throw new AckgateError(
        'ERR_ACKGATE_NODE_TWICE',
        `two standbys of ${connection.server.label} have the name "${twice}": give each its own application_name in ` +
          'primary_conninfo',
      );
    }
    await passed(doubledLookMs);
  }
}

async function doubled(connection: Connection, names: readonly string[]): Promise<string | null> {
  const { rows } = await connection.query(
    `select r.application_name as name from ${standbysFrom} and r.application_name = any($1)
      group by 1 having count(*) > 1 limit 1`,
    [names],
  );
  return (rows[0]?.name as string | undefined) ?? null;
}
