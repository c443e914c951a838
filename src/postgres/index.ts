/**
 * A journal in a table of PostgreSQL 15 or later, whose standbys are the replicas; how far each server is; and texts that
 * instances share. Needs the package `pg`.
 *
 * ```js
 * const journal = await PostgresJournal.open({ servers, node: 'matching-1', standbys: ['db2', 'db3'] });
 * for await (const { sequence, payload } of journal.replay()) book.apply(sequence, payload);
 * const stage = await startStage({ policy: 'hybrid', epoch: journal.epoch });
 * await journal.drive(stage);
 * ```
 *
 * @module ackgate/postgres
 */

export { checkPostgresPolicy } from './check-policy.js';
export type { PostgresJournalOptions, PostgresStandby } from './options.js';
export { PostgresJournal } from './postgres-journal.js';
export type { PostgresServers, PostgresTls } from './servers.js';
export { type AskedServer, type PostgresStanding, postgresStandings } from './standing.js';
export { type PostgresText, postgresText } from './text-source.js';
