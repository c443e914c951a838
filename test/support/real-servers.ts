import { afterAll } from 'vitest';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { type NatsServer, type NatsServerOptions, startNatsServer } from '#ackgate/local-cluster/nats.js';
import {
  type PostgresCluster,
  type PostgresClusterOptions,
  startPostgresCluster,
} from '#ackgate/local-cluster/postgres.js';

/**
 * PostgreSQL servers for all tests of a file, gone after the last one; null after printing why there can be none:
 *
 *     const cluster = (await realPostgres())!;
 *     describe.skipIf(cluster === null)('…', () => { … });
 */
export async function realPostgres(options: PostgresClusterOptions = {}): Promise<PostgresCluster | null> {
  const programs = findPostgres();
  if (!programs.found) return skipped('PostgreSQL', programs.reason);
  const cluster = await startPostgresCluster(options);
  afterAll(() => cluster.close());
  return cluster;
}

/** The same for one NATS server. */
export async function realNats(options: NatsServerOptions = {}): Promise<NatsServer | null> {
  const programs = findNats();
  if (!programs.found) return skipped('NATS', programs.reason);
  const server = await startNatsServer(options);
  afterAll(() => server.close());
  return server;
}

function skipped(what: string, reason: string): null {
  console.warn(`skipped, the tests with real ${what} servers: ${reason}`);
  return null;
}
