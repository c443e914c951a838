import { Worker } from 'node:worker_threads';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import { createMemory, readFailure, writeFailure } from '../journal/memory.js';
import type { Logger } from '../shared/logger.js';
import type { Opened, WriterData, WriterMessage } from './messages.js';
import type { CheckedJournalOptions } from './options.js';

/** Bounds what a lost wake could do. */
const parkMs = 100;

/** A writer that runs, and what it has taken. */
export interface Started {
  readonly memory: SharedArrayBuffer;
  readonly worker: Worker;
  /** Resolves when the writer's thread is gone, for whatever reason. */
  readonly ended: Promise<void>;
  readonly opened: Opened;
}

/** Starts the writer's thread, which takes the journal first. */
export async function startWriter(options: CheckedJournalOptions, logger: Logger): Promise<Started> {
  const memory = createMemory(options.bufferBytes);
  const worker = createWorker({ memory, options, parkMs });
  const ended = new Promise<void>((end) => {
    worker.once('exit', () => end());
  });
  // Also for later: without a listener, an error on that thread would end the process.
  worker.on('error', (error) => writeFailure(memory, `its writer has crashed: ${error}`));
  const answer = await Promise.race([firstMessage(worker), ended.then(() => undefined)]);
  if (answer?.type === 'opened') {
    worker.on('message', (message: WriterMessage) => {
      if (message.type === 'log') logger[message.level](message.fields, message.message);
    });
    return { memory, worker, ended, opened: answer };
  }
  await ended;
  if (answer?.type === 'refused' && answer.code !== null) {
    throw new AckgateError(answer.code as AckgateErrorCode, answer.message);
  }
  const reason = (answer as { message?: string } | undefined)?.message ?? readFailure(memory);
  throw new AckgateError(
    'ERR_ACKGATE_JOURNAL_FAILED',
    `the journal on PostgreSQL can't be opened: ${reason ?? 'its writer has ended'}`,
  );
}

function createWorker(workerData: WriterData): Worker {
  try {
    // None of the process's own flags: those of a script given with --eval would break the worker's module.
    return new Worker(new URL('./writer.js', import.meta.url), {
      workerData,
      execArgv: [],
      name: 'journal',
    });
  } catch {
    // Without `cause`: it may show what could not be posted.
    const message = 'tls must be plain data, for it is used on another thread';
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
  }
}

function firstMessage(worker: Worker): Promise<WriterMessage> {
  return new Promise((receive) => {
    const listener = (message: WriterMessage) => {
      if (message.type === 'log') return;
      worker.off('message', listener);
      receive(message);
    };
    worker.on('message', listener);
  });
}
