import { resolve } from 'node:path';
import { argument } from '../shared/checks.js';
import { connectNats } from './connect.js';
import { Copy } from './copy.js';
import { checkReplicaOptions, type ReplicaOptions } from './options.js';
import { RunningReplica } from './replica.js';
import type { Replica } from './replica-api.js';

/**
 * Starts a replica on this thread.
 *
 * @returns as soon as it is connected to the server; whether it follows a primary says `status`
 * @throws ERR_ACKGATE_JOURNAL_LOCKED, _DAMAGED, _FAILED; ERR_ACKGATE_NATS_UNREACHABLE, ERR_ACKGATE_NATS_CREDENTIALS,
 *   ERR_ACKGATE_PEER_MISSING, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
 */
export function startReplica(options: ReplicaOptions): Promise<Replica> {
  return startReplicaWith(options, Date.now);
}

/** The same with a clock of the caller's. */
export async function startReplicaWith(options: ReplicaOptions, wallClock: () => number): Promise<Replica> {
  const { servers, ...checked } = await checkReplicaOptions(options);
  const { directory: given, segmentBytes, bufferBytes } = options;
  if (typeof given !== 'string' || given === '') throw argument('directory', 'the path of a directory');
  const directory = resolve(given);
  const copy = await Copy.open({ directory, segmentBytes, bufferBytes, wallClock });
  try {
    const nats = await connectNats(servers, `ackgate ${checked.cluster} replica ${checked.node}`);
    return new RunningReplica({ ...checked, directory, wallClock, nats, copy });
  } catch (error) {
    await copy.close();
    throw error;
  }
}
