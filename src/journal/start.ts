import { Worker } from 'node:worker_threads';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import { explainNoThread } from '../shared/no-thread.js';
import { ensureDirectory } from './files.js';
import { type DirectoryLock, lockDirectory } from './lock.js';
import { createMemory, readFailure, writeFailure } from './memory.js';
import type { CheckedOptions } from './options.js';
import type { Recovered } from './recover.js';
import type { OpeningMessage, WriterData } from './writer.js';

/** Bounds what a lost wake could do. */
const parkMs = 100;

/** A writer that runs, and what it has found. */
export interface Started {
  memory: SharedArrayBuffer;
  worker: Worker;
  /** Resolves when the writer's thread is gone, for whatever reason. */
  ended: Promise<void>;
  recovered: Recovered;
  journalId: Uint8Array;
}

/** Makes the directory and locks it. */
export async function prepareDirectory(directory: string): Promise<DirectoryLock> {
  try {
    ensureDirectory(directory);
    return await lockDirectory(directory);
  } catch (error) {
    if (error instanceof AckgateError) throw error;
    const message = `journal ${directory} can't be opened: ${(error as Error).message}`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause: error });
  }
}

/** Starts the writer's thread, which recovers the journal first. */
export async function startWriter(options: CheckedOptions): Promise<Started> {
  const memory = createMemory(options.bufferBytes);
  const worker = createWorker(options, memory);
  const ended = new Promise<void>((end) => {
    worker.once('exit', () => end());
  });
  // Also for later: without a listener, an error on that thread would end the process.
  worker.on('error', (error) => writeFailure(memory, `its writer has crashed: ${error}`));
  const answer = await Promise.race([firstMessage(worker), ended.then(() => undefined)]);
  if (answer?.type === 'opened') {
    const { recovered, journalId } = answer;
    return { memory, worker, ended, recovered, journalId };
  }
  await ended;
  if (answer !== undefined && answer.code !== null) {
    throw new AckgateError(answer.code as AckgateErrorCode, answer.message);
  }
  const reason = answer?.message ?? readFailure(memory) ?? 'its writer has ended';
  throw new AckgateError(
    'ERR_ACKGATE_JOURNAL_FAILED',
    `journal ${options.directory} can't be opened: ${reason}`,
  );
}

function createWorker(options: CheckedOptions, memory: SharedArrayBuffer): Worker {
  const { directory, segmentBytes, firstSequence, turns } = options;
  const workerData: WriterData = { directory, memory, segmentBytes, firstSequence, turns, parkMs };
  // None of the process's own flags: those of a script given with --eval would break the worker's module.
  try {
    return new Worker(new URL('./writer.js', import.meta.url), { workerData, execArgv: [], name: 'journal' });
  } catch (error) {
    const message = `journal ${directory} can't be opened: its thread can't be started: ${explainNoThread(error)}`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause: error });
  }
}

function firstMessage(worker: Worker): Promise<OpeningMessage> {
  return new Promise((receive) => worker.once('message', receive));
}
