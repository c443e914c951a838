import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { OpenedStage } from '../stage/open-stage.js';
import type { DriveMessage, ToldError, WriterAnswer } from './driving.js';
import { Word, writePersisted } from './memory.js';

export function told(error: unknown): ToldError {
  const { code, message } = error as NodeJS.ErrnoException;
  return { code: code?.startsWith('ERR_ACKGATE_') === true ? code : null, message };
}

/** Says how far records are persisted; the engine's side hears of it when it waits for that. */
export function tellPersisted(words: Int32Array, sequence: number): void {
  writePersisted(words, sequence);
  if (Atomics.exchange(words, Word.waiting, 0) !== 0) post({ type: 'moved' });
}

/** The number of the pause that is wanted, 0: none. The engine's side is told that the writer has stopped for it. */
export function pauseWanted(words: Int32Array): number {
  const wanted = Atomics.load(words, Word.pausing);
  if (wanted !== 0 && Atomics.exchange(words, Word.paused, wanted) !== wanted) post({ type: 'moved' });
  return wanted;
}

/** Whether the engine's side wants anything but records written: then a writer that has none must not sleep. */
export function isCalled(words: Int32Array): boolean {
  return (
    Atomics.load(words, Word.closing) !== 0 ||
    Atomics.load(words, Word.pausing) !== 0 ||
    Atomics.load(words, Word.driving) !== 0
  );
}

/**
 * Takes the stage that was posted before the word was set. When `begin` has set its cursors to where the journal is, the
 * engine's side is told that it is driven; when that can't be done, why.
 */
export async function takeStage(words: Int32Array, begin: (stage: OpenedStage) => void): Promise<void> {
  Atomics.store(words, Word.driving, 0);
  const { handle } = receiveMessageOnPort(parentPort!)!.message as DriveMessage;
  let stage: OpenedStage | null = null;
  try {
    // Loaded only where it is wanted: it needs the native addon, a journal alone does not.
    stage = (await import('../stage/open-stage.js')).openStage(handle);
    begin(stage);
  } catch (error) {
    stage?.close();
    post({ type: 'drive-refused', ...told(error) });
    return;
  }
  post({ type: 'driving' });
}

function post(message: WriterAnswer): void {
  parentPort!.postMessage(message);
}
