export { NatsJournal } from './nats-journal.js';
export type { NatsClusterOptions, NatsJournalOptions, ReplicaOptions } from './options.js';
export type { Replica, ReplicaStatus } from './replica-api.js';
export type { NatsServers, NatsTls } from './servers.js';
export { type NatsStanding, type NatsStandings, natsStandings } from './standings.js';
export { startReplica } from './start-replica.js';
export { type NatsText, type NatsTextOptions, natsText } from './text.js';
