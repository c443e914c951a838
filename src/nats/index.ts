/**
 * A journal in files whose records are replicated over NATS, its replicas, how far each of them is, and texts that instances
 * share. Needs the package `@nats-io/transport-node`, and for texts `@nats-io/kv`.
 *
 * ```js
 * const options = { servers: 'nats://10.0.0.5:4222', cluster: 'exchange', directory: '/var/lib/ackgate' };
 * const journal = await NatsJournal.open({ ...options, node: 'p1' }); // on the primary
 * const replica = await startReplica({ ...options, node: 'r1' }); // on every other machine
 * ```
 *
 * @module ackgate/nats
 */

export { NatsJournal } from './nats-journal.js';
export type { NatsClusterOptions, NatsJournalOptions, ReplicaOptions } from './options.js';
export type { Replica, ReplicaStatus } from './replica-api.js';
export type { NatsServers, NatsTls } from './servers.js';
export { type NatsStanding, type NatsStandings, natsStandings } from './standings.js';
export { startReplica } from './start-replica.js';
export { type NatsText, type NatsTextOptions, natsText } from './text.js';
