import type { Worker } from 'node:worker_threads';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { StageHandle } from '../stage/open-stage.js';
import { wakeWriter } from './append-buffer.js';
import type { DrivenStage } from './journal.js';
import { Word } from './memory.js';

/** What the engine's side posts to a writer: the stage whose cursors it is to move. `Word.driving` is 1 then. */
export interface DriveMessage {
  type: 'drive';
  handle: StageHandle;
}

/** An error as a writer posts it. */
export interface ToldError {
  /** Null: it is not one of ours. */
  readonly code: string | null;
  readonly message: string;
}

/**
 * What every writer posts once it is open: the persisted position has moved, the writer has paused, or the journal has
 * failed; the stage's cursor is where the journal is; the stage can't be driven, and why.
 */
export type WriterAnswer = { type: 'moved' } | { type: 'driving' } | ({ type: 'drive-refused' } & ToldError);

interface Beginning {
  settle(): void;
  fail(error: Error): void;
}

/** The engine's side of driving a stage: one stage, asked for once. */
export class Driving {
  readonly #words: Int32Array;
  readonly #worker: Worker;
  readonly #epoch: number;
  #stage: DrivenStage | null = null;
  #beginning: Beginning | null = null;

  constructor(words: Int32Array, worker: Worker, epoch: number) {
    this.#words = words;
    this.#worker = worker;
    this.#epoch = epoch;
  }

  /** Whether somebody waits for the writer to begin. */
  get isPending(): boolean {
    return this.#beginning !== null;
  }

  begin(stage: DrivenStage): Promise<void> {
    if (typeof stage?.share !== 'function' || typeof stage.fence !== 'function') {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'stage must be what startStage() gives');
    }
    // A stage of a later epoch would refuse the fence that a journal of this one calls for.
    if (this.#epoch > 0 && stage.epoch !== this.#epoch) {
      const message = `the stage's epoch is ${stage.epoch}: start it with { epoch: journal.epoch }, ${this.#epoch}`;
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
    }
    if (this.#stage !== null) {
      const message = 'a journal drives one stage: open another journal for another stage';
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
    }
    this.#post({ type: 'drive', handle: stage.share() });
    this.#stage = stage;
    return new Promise((settle, fail) => {
      this.#beginning = { settle, fail };
      Atomics.store(this.#words, Word.driving, 1);
      wakeWriter(this.#words);
      Atomics.notify(this.#words, Word.pausing);
    });
  }

  hear(message: WriterAnswer): void {
    if (message.type === 'driving') this.#take()?.settle();
    if (message.type !== 'drive-refused') return;
    this.#stage = null;
    const code = (message.code ?? 'ERR_ACKGATE_INVALID_ARGUMENT') as AckgateErrorCode;
    this.#take()?.fail(new AckgateError(code, message.message));
  }

  /** The journal has failed; with `supersededBy` above 0, because another primary took over in that epoch. */
  over(failure: AckgateError, supersededBy: number): void {
    this.#take()?.fail(failure);
    const stage = this.#stage;
    this.#stage = null;
    if (stage === null || supersededBy === 0) return;
    void fence(stage, supersededBy);
  }

  #post(message: DriveMessage): void {
    try {
      this.#worker.postMessage(message);
    } catch (cause) {
      const why = `stage.share() gives what can't be posted: ${(cause as Error).message}`;
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', why, { cause });
    }
  }

  #take(): Beginning | null {
    const beginning = this.#beginning;
    this.#beginning = null;
    return beginning;
  }
}

async function fence(stage: DrivenStage, epoch: number): Promise<void> {
  try {
    await stage.fence(epoch);
  } catch {
    // Refused by a stage that has ended: it sends nothing more.
  }
}
