import { argument, boolean, checkKeys, checkLogger, integer, text } from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import { type CheckedServers, checkServers, type NatsServers, serverOptionNames } from './servers.js';

const KiB = 1024;

/** What the primary and its replicas have in common. */
export interface NatsClusterOptions extends NatsServers {
  /** Name of the cluster, 1 … 64 letters, digits, `-` or `_`: its messages go by subjects `ackgate.<cluster>.…`. */
  readonly cluster: string;
  /** Name of this node, 1 … 64 characters; each of a cluster has its own. */
  readonly node: string;
  /** Where this node's journal is; made when it isn't there. */
  readonly directory: string;
  /** As of a `FileJournal`, 4 KiB … 1 GiB (default 64 MiB). */
  readonly segmentBytes?: number;
  /** As of a `FileJournal`, a power of two, 64 KiB … 256 MiB (default 8 MiB). A replica's must not be smaller than its primary's. */
  readonly bufferBytes?: number;
  /** Where log lines go (default: nowhere). */
  readonly logger?: Logger;
}

/** What `NatsJournal.open` is told. `servers`, `cluster`, `node` and `directory` must be given. */
export interface NatsJournalOptions extends NatsClusterOptions {
  /** Depose a primary that is there (default false: refuse to open). */
  readonly takeOver?: boolean;
  /** Names of replicas that must answer before this node takes office (default: none). */
  readonly replicas?: readonly string[];
  /** Furthest that the clock of a replica may be from the primary's when it joins, 1 … 3,600,000 ms (default 5,000). */
  readonly clockSkewMsMax?: number;
  /**
   * Largest payload, 1 byte … half of the buffer (default 512 KiB, or half of the buffer); a message of the server must
   * have room for it.
   */
  readonly recordBytesMax?: number;
  /** Sequence of the first record of a journal that is new, 1 … 2^52 (default 1). */
  readonly firstSequence?: number;
  /** Of `createTurnLog`: the writer notes there when its turns begin and end (default: it notes nothing). */
  readonly turns?: SharedArrayBuffer;
}

/** What `startReplica` is told. `servers`, `cluster`, `node` and `directory` must be given. */
export interface ReplicaOptions extends NatsClusterOptions {
  /** Its failure zone, 1 … 64 characters, for policies that count zones (default: it stands alone); fixed once given. */
  readonly zone?: string;
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
  'clockSkewMsMax',
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
  clockSkewMsMax: number;
  recordBytesMax: number;
}

export async function checkNatsJournalOptions(options: NatsJournalOptions): Promise<CheckedNatsJournal> {
  checkKeys('options', options, journalNames);
  const { takeOver = false, replicas = [], clockSkewMsMax = 5_000, bufferBytes = 8192 * KiB } = options;
  const { recordBytesMax = Math.min(512 * KiB, bufferBytes / 2) } = options;
  if (!Array.isArray(replicas)) throw argument('replicas', 'a list of names');
  return {
    ...(await checkCluster(options)),
    takeOver: boolean('takeOver', takeOver),
    replicas: replicas.map((name, i) => text(`replicas[${i}]`, name, 64)),
    clockSkewMsMax: integer('clockSkewMsMax', clockSkewMsMax, 1, 3_600_000),
    recordBytesMax: integer('recordBytesMax', recordBytesMax, 1, 128 * 1024 * KiB),
  };
}

export async function checkReplicaOptions(
  options: ReplicaOptions,
): Promise<CheckedCluster & { zone: string | null }> {
  checkKeys('options', options, replicaNames);
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
