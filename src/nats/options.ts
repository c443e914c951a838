import { AckgateError } from '../errors.js';
import { argument, boolean, checkLogger, integer, text } from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import { type CheckedServers, checkServers, type NatsServers, serverOptionNames } from './servers.js';

const KiB = 1024;

/** What the primary and its replicas have in common. */
export interface NatsClusterOptions extends NatsServers {
  /** Name of the cluster, 1 … 64 letters, digits, `-` or `_`: its messages go by subjects `ackgate.<cluster>.…`. */
  cluster: string;
  /** Name of this node, 1 … 64 characters; each of a cluster has its own. */
  node: string;
  /** Where this node's journal is; made when it isn't there. */
  directory: string;
  /** As of a `FileJournal` (default 64 MiB). */
  segmentBytes?: number;
  /** As of a `FileJournal` (default 8 MiB). A replica's must not be smaller than its primary's. */
  bufferBytes?: number;
  /** Where log lines go (default: nowhere). */
  logger?: Logger;
}

export interface NatsJournalOptions extends NatsClusterOptions {
  /** Depose a primary that is there (default false: refuse to open). */
  takeOver?: boolean;
  /** Names of replicas that must answer before this node takes office (default: none). */
  replicas?: readonly string[];
  /** Furthest that the clock of a replica may be from the primary's when it joins, 1 … 3,600,000 ms (default 5,000). */
  clockSkewMaxMs?: number;
  /** Largest payload, in bytes; a message of the server must have room for it (default 512 KiB). */
  recordBytesMax?: number;
  /** As of a `FileJournal`. */
  firstSequence?: number;
  turns?: SharedArrayBuffer;
}

export interface ReplicaOptions extends NatsClusterOptions {
  /** Its failure zone, for policies that count zones; fixed once given. */
  zone?: string;
}

const clusterNames = [
  ...serverOptionNames,
  'cluster',
  'node',
  'directory',
  'segmentBytes',
  'bufferBytes',
  'logger',
];
const journalNames = [
  ...clusterNames,
  'takeOver',
  'replicas',
  'clockSkewMaxMs',
  'recordBytesMax',
  'firstSequence',
  'turns',
];
const replicaNames = [...clusterNames, 'zone'];

export interface CheckedCluster {
  servers: CheckedServers;
  cluster: string;
  node: string;
  logger: Logger;
}

export interface CheckedNatsJournal extends CheckedCluster {
  takeOver: boolean;
  replicas: readonly string[];
  clockSkewMaxMs: number;
  recordBytesMax: number;
}

export async function checkNatsJournalOptions(options: NatsJournalOptions): Promise<CheckedNatsJournal> {
  checkNames(options, journalNames);
  const { takeOver = false, replicas = [], clockSkewMaxMs = 5_000, bufferBytes = 8192 * KiB } = options;
  const { recordBytesMax = Math.min(512 * KiB, bufferBytes / 2) } = options;
  if (!Array.isArray(replicas)) throw argument('replicas', 'a list of names');
  return {
    ...(await checkCluster(options)),
    takeOver: boolean('takeOver', takeOver),
    replicas: replicas.map((name, i) => text(`replicas[${i}]`, name, 64)),
    clockSkewMaxMs: integer('clockSkewMaxMs', clockSkewMaxMs, 1, 3_600_000),
    recordBytesMax: integer('recordBytesMax', recordBytesMax, 1, 128 * 1024 * KiB),
  };
}

export async function checkReplicaOptions(
  options: ReplicaOptions,
): Promise<CheckedCluster & { zone: string | null }> {
  checkNames(options, replicaNames);
  const { zone } = options;
  return { ...(await checkCluster(options)), zone: zone === undefined ? null : text('zone', zone, 64) };
}

/** For those who only look. */
export function checkClusterName(cluster: unknown): string {
  if (typeof cluster === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(cluster)) return cluster;
  throw argument('cluster', '1 to 64 letters, digits, - or _');
}

async function checkCluster(options: NatsClusterOptions): Promise<CheckedCluster> {
  const { logger } = options;
  return {
    servers: await checkServers(options),
    cluster: checkClusterName(options.cluster),
    node: text('node', options.node, 64),
    logger: logger === undefined ? silentLogger : safeLogger(checkLogger(logger)),
  };
}

function checkNames(options: object, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw argument('options', 'an object');
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const message = `there is no option ${JSON.stringify(unknown)}; the options are ${names.join(', ')}`;
  throw new AckgateError('ERR_ACKGATE_UNKNOWN_OPTION', message);
}
