export { checkPostgresPolicy } from './check-policy.js';
export type { PostgresJournalOptions, PostgresStandby } from './options.js';
export { PostgresJournal } from './postgres-journal.js';
export type { PostgresServers, PostgresTls } from './servers.js';
export { type AskedServer, postgresStandings, type ServerStanding } from './standing.js';
export { type PostgresText, postgresText } from './text-source.js';
