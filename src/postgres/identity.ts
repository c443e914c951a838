import { AckgateError } from '../errors.js';
import type { ServerSettings } from './client.js';
import { Connection, type ConnectionOptions } from './connection.js';

/**
 * Which server it is, whatever the address that led there: its cluster, and when it was started. As long as both are the
 * same, a server that takes writes has the same log: to get onto another timeline it would have to be started again.
 */
export const identityText =
  "(select system_identifier::text from pg_control_system()) || '/' || extract(epoch from pg_postmaster_start_time())::text";

/** @throws ERR_ACKGATE_SUPERSEDED when this is another server: positions of its log mean nothing in the one that was opened */
async function checkSame(connection: Connection, identity: string): Promise<void> {
  const { rows } = await connection.query(`select ${identityText} as identity`);
  if (rows[0].identity === identity) return;
  throw new AckgateError(
    'ERR_ACKGATE_SUPERSEDED',
    `another server answers at ${connection.server.label} than the one that was opened, or it was restarted`,
  );
}

/** Opens another connection to a server that was found before. */
export async function openSame(
  server: ServerSettings,
  identity: string,
  options: ConnectionOptions,
): Promise<Connection> {
  const connection = await Connection.open(server, options);
  try {
    await checkSame(connection, identity);
    return connection;
  } catch (error) {
    await connection.end();
    throw error;
  }
}
