import { AckgateError, AckgateRangeError } from '../errors.js';
import { MAX_CLUSTER_SIZE } from '../policy/index.js';
import { argument, boolean, checkKeys, checkLogger, integer, text } from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import { type CheckedServers, checkServers, type PostgresServers, serverOptionNames } from './servers.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** A standby whose cursors count: its `application_name` in `primary_conninfo`, which becomes the node's name. */
export interface PostgresStandby {
  /** The `application_name`, 1 … 63 characters. */
  readonly name: string;
  /** Its failure zone, for policies that count zones (default: it stands alone). */
  readonly zone?: string;
}

/** What `PostgresJournal.open` is told. `servers` and `node` must be given. */
export interface PostgresJournalOptions extends PostgresServers {
  /** Name of this instance, 1 … 63 characters: who holds the journal, in messages and in the table `generation`. */
  readonly node: string;
  /** The standbys that count, at most 15 (default: none). Others may follow too; they don't. */
  readonly standbys?: readonly (string | PostgresStandby)[];
  /** Take the journal from another instance that has it open on this server (default false). */
  readonly takeOver?: boolean;
  /** Most that a server's clock may differ from ours, in milliseconds, 0 … 3,600,000 (default 5000). */
  readonly clockSkewMsMax?: number;
  /**
   * Longest that one commit may take, 1,000 … 600,000 milliseconds (default 30,000). A server that does not answer for
   * longer has the journal fail; `close` waits for 5 seconds at most.
   */
  readonly commitTimeoutMs?: number;
  /** Buffer between the engine's thread and the writer, a power of two, 64 KiB … 64 MiB (default 8 MiB). */
  readonly bufferBytes?: number;
  /** Largest payload, 1 byte … half of the buffer (default 1 MiB, or half of the buffer). */
  readonly recordBytesMax?: number;
  /** Sequence of the first record of a journal that is new, 1 … 2^52 (default 1). */
  readonly firstSequence?: number;
  /**
   * Of `createTurnLog`: the writer notes there when each commit began and was answered, for `recordDistributions` (default:
   * it notes nothing).
   */
  readonly turns?: SharedArrayBuffer;
  /** Where log lines go (default: nowhere). */
  readonly logger?: Logger;
}

export interface CheckedJournalOptions {
  readonly servers: CheckedServers;
  readonly node: string;
  readonly standbys: readonly PostgresStandby[];
  readonly takeOver: boolean;
  readonly clockSkewMsMax: number;
  readonly commitTimeoutMs: number;
  readonly bufferBytes: number;
  readonly recordBytesMax: number;
  readonly firstSequence: number;
  readonly turns: SharedArrayBuffer | undefined;
}

const names = [
  ...serverOptionNames,
  'node',
  'standbys',
  'takeOver',
  'clockSkewMsMax',
  'commitTimeoutMs',
  'bufferBytes',
  'recordBytesMax',
  'firstSequence',
  'turns',
  'logger',
];
const nameCharsMax = 63;

export async function checkJournalOptions(options: PostgresJournalOptions): Promise<CheckedJournalOptions> {
  checkKeys('options', options, names);
  const { takeOver = false, clockSkewMsMax = 5000, bufferBytes = 8 * MiB, firstSequence = 1 } = options;
  const node = text('node', options.node, nameCharsMax);
  const standbys = checkStandbys(options.standbys ?? [], node);
  boolean('takeOver', takeOver);
  integer('clockSkewMsMax', clockSkewMsMax, 0, 3_600_000);
  const { commitTimeoutMs = 30_000 } = options;
  integer('commitTimeoutMs', commitTimeoutMs, 1000, 600_000);
  integer('bufferBytes', bufferBytes, 64 * KiB, 64 * MiB);
  if ((bufferBytes & (bufferBytes - 1)) !== 0) {
    const message = `bufferBytes must be a power of two, got ${bufferBytes}`;
    throw new AckgateRangeError('ERR_ACKGATE_NOT_POWER_OF_TWO', message);
  }
  const recordBytesMax = options.recordBytesMax ?? Math.min(MiB, bufferBytes / 2);
  integer('recordBytesMax', recordBytesMax, 1, bufferBytes / 2);
  integer('firstSequence', firstSequence, 1, 2 ** 52);
  const { turns } = options;
  if (turns !== undefined && !(turns instanceof SharedArrayBuffer)) {
    throw argument('turns', 'what createTurnLog() gives');
  }
  const servers = await checkServers(options);
  return {
    servers,
    node,
    standbys,
    takeOver,
    clockSkewMsMax,
    commitTimeoutMs,
    bufferBytes,
    recordBytesMax,
    firstSequence,
    turns,
  };
}

export function loggerOf(logger: Logger | undefined): Logger {
  return logger === undefined ? silentLogger : safeLogger(checkLogger(logger));
}

function checkStandbys(given: readonly (string | PostgresStandby)[], node: string): PostgresStandby[] {
  if (!Array.isArray(given) || given.length >= MAX_CLUSTER_SIZE) {
    throw argument('standbys', `an array of at most ${MAX_CLUSTER_SIZE - 1} names`);
  }
  const standbys = given.map((one, i): PostgresStandby => {
    if (typeof one === 'string') return { name: text(`standbys[${i}]`, one, nameCharsMax) };
    checkKeys(`standbys[${i}]`, one, ['name', 'zone']);
    const name = text(`standbys[${i}].name`, one.name, nameCharsMax);
    return one.zone === undefined ? { name } : { name, zone: text(`standbys[${i}].zone`, one.zone, 63) };
  });
  const all = [node, ...standbys.map(({ name }) => name)];
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice === undefined) return standbys;
  throw new AckgateError(
    'ERR_ACKGATE_NODE_TWICE',
    `two nodes are named "${twice}": node and standbys must all have different names`,
  );
}
