import type { Worker } from 'node:worker_threads';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { wrong } from '../shared/checks.js';
import { AppendBuffer, wakeWriter } from './append-buffer.js';
import { Driving, type WriterAnswer } from './driving.js';
import { recordBytes } from './format.js';
import {
  type DrivenStage,
  type Journal,
  type JournalBatch,
  type JournalRecord,
  journalFull,
} from './journal.js';
import { controlWords, readFailure, readPersisted, readSupersededBy, Word, writeFailure } from './memory.js';
import { checkSequence } from './options.js';
import { Pausing } from './pausing.js';
import { Waiters } from './waiters.js';

/** @internal What a journal is made of: a writer that runs on a thread of its own, and what it has found. */
export interface BufferedJournalParts {
  /** For messages, such as `journal /var/lib/journal`. */
  name: string;
  memory: SharedArrayBuffer;
  worker: Worker;
  /** Resolves when the writer's thread is gone, for whatever reason. */
  ended: Promise<void>;
  lastSequence: number;
  epoch: number;
  bufferBytes: number;
  recordBytesMax: number;
  /** Lets go of what else was held, once the writer is gone. */
  release(): Promise<void>;
}

/**
 * The engine's half of every journal: a buffer in shared memory that a writer on a thread of its own empties. What
 * the writer does with the records is the subclass's affair; what it says about them is the same for all of them.
 */
export abstract class BufferedJournal implements Journal {
  /** This primary's term of office, for `startStage({ epoch })`; 0: there are none, as of a `FileJournal`. */
  readonly epoch: number;
  /** Resolves with the error when the journal has failed; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;
  /** @internal */
  protected readonly parts: BufferedJournalParts;
  readonly #words: Int32Array;
  readonly #buffer: AppendBuffer;
  readonly #waiters = new Waiters();
  readonly #pausing: Pausing;
  readonly #driving: Driving;
  readonly #ended: Promise<void>;
  #lastSequence: number;
  #persistedSeen: number;
  #failure: AckgateError | null = null;
  #reportFailure!: (error: AckgateError) => void;
  #closed: Promise<void> | null = null;

  /** @internal */
  constructor(parts: BufferedJournalParts) {
    const { memory, worker, ended, lastSequence, epoch } = parts;
    this.parts = parts;
    this.epoch = epoch;
    this.#words = controlWords(memory);
    this.#buffer = new AppendBuffer(memory);
    this.#pausing = new Pausing(this.#words);
    this.#driving = new Driving(this.#words, worker, epoch);
    this.#lastSequence = lastSequence;
    this.#persistedSeen = lastSequence;
    this.failed = new Promise((report) => {
      this.#reportFailure = report;
    });
    this.#ended = ended.then(() => this.#onWriterEnd());
    worker.on('message', (message: WriterAnswer) => this.#onMessage(message));
    worker.unref();
  }

  /** @internal What it shares with its writer, for another thread that looks how far it is. */
  get memory(): SharedArrayBuffer {
    return this.parts.memory;
  }

  /** @internal */
  get bufferBytes(): number {
    return this.parts.bufferBytes;
  }

  /** Oldest sequence that is kept: where a complete replay starts. */
  abstract get firstSequence(): number;
  /** The durable records from `from` on (default: the oldest), as far as they are durable at the time of the call. */
  abstract replay(from?: number): Iterable<JournalRecord> | AsyncIterable<JournalRecord>;

  /** Highest sequence given out, 0 before the first. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Highest sequence that is persisted together with everything before it. Never goes back. */
  get primaryCursor(): number {
    this.#persistedSeen = readPersisted(this.#words, this.#persistedSeen);
    return this.#persistedSeen;
  }

  /** Why the journal has failed, or null. Seen at once, also by a thread that never yields. */
  get failure(): AckgateError | null {
    if (this.#failure === null && Atomics.load(this.#words, Word.failed) !== 0) {
      const reason = readFailure(this.parts.memory);
      const code =
        readSupersededBy(this.#words) > 0 ? 'ERR_ACKGATE_SUPERSEDED' : 'ERR_ACKGATE_JOURNAL_FAILED';
      this.#failure = new AckgateError(
        code,
        `${this.parts.name} has failed and takes nothing more: ${reason}`,
      );
    }
    return this.#failure;
  }

  /**
   * Takes a copy of the payload. Costs no system call, unless the writer sleeps.
   *
   * @param payload 0 … `recordBytesMax` bytes
   * @returns its sequence, or `journalFull` (-1) while the writer is a whole buffer behind
   * @throws ERR_ACKGATE_JOURNAL_FAILED, ERR_ACKGATE_SUPERSEDED, ERR_ACKGATE_JOURNAL_CLOSED,
   *   ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE, ERR_ACKGATE_INVALID_ARGUMENT
   */
  append(payload: Uint8Array): number {
    this.checkUsable();
    this.#checkPayload(payload);
    if (!this.#buffer.hasRoom(recordBytes(payload.length))) return journalFull;
    this.#lastSequence++;
    this.#buffer.put(this.#lastSequence, payload, false);
    this.#buffer.publish();
    return this.#lastSequence;
  }

  /**
   * The same for several records, which a crash leaves all or none of.
   *
   * @param batch at least one payload; with 16 bytes of header each, they must fit into the buffer together
   * @returns the first and the last of their sequences, or `'full'` while the writer is a whole buffer behind
   * @throws as `append`
   */
  appendBatch(batch: readonly Uint8Array[]): JournalBatch | 'full' {
    this.checkUsable();
    if (!Array.isArray(batch) || batch.length === 0)
      throw wrong('batch', 'an array of at least one payload', batch);
    let bytes = 0;
    for (const payload of batch) {
      this.#checkPayload(payload);
      bytes += recordBytes(payload.length);
    }
    const { bufferBytes } = this.parts;
    if (bytes > bufferBytes) throw tooLarge('batch', bytes, 'bufferBytes', bufferBytes);
    if (!this.#buffer.hasRoom(bytes)) return 'full';
    const first = this.#lastSequence + 1;
    for (const payload of batch) {
      this.#lastSequence++;
      this.#buffer.put(this.#lastSequence, payload, this.#lastSequence - first < batch.length - 1);
    }
    this.#buffer.publish();
    return { first, last: this.#lastSequence };
  }

  /**
   * From now on moves the primary's cursor of this stage, and those of replicas that the journal knows of. Resolves when
   * the primary's cursor is where the journal is. One stage for each journal.
   *
   * @throws (rejects with) ERR_ACKGATE_CURSOR_REGRESSED when the stage is ahead: it belongs to another journal.
   *   ERR_ACKGATE_STAGE_CLOSED; ERR_ACKGATE_INVALID_ARGUMENT for a stage that was not started with this journal's epoch
   */
  async drive(stage: DrivenStage): Promise<void> {
    this.checkUsable();
    this.parts.worker.ref();
    try {
      await this.#driving.begin(stage);
    } finally {
      this.#onMoved();
    }
  }

  /**
   * Resolves once `primaryCursor` has reached `sequence`, which must have been given out.
   *
   * @throws (rejects with) ERR_ACKGATE_SEQUENCE; ERR_ACKGATE_JOURNAL_FAILED or ERR_ACKGATE_SUPERSEDED when it never will
   */
  whenPersisted(sequence: number): Promise<void> {
    try {
      const hint = `0 … ${this.#lastSequence}, the last one given out`;
      checkSequence('sequence', sequence, 0, this.#lastSequence, hint);
      if (sequence <= this.primaryCursor) return Promise.resolve();
      if (this.failure !== null) throw this.failure;
    } catch (error) {
      return Promise.reject(error);
    }
    const persisted = this.#waiters.add(sequence);
    this.parts.worker.ref();
    this.#onMoved();
    return persisted;
  }

  /**
   * Resolves once everything that was appended before the call is persisted.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED or ERR_ACKGATE_SUPERSEDED when some of it never will be
   */
  flush(): Promise<void> {
    return this.whenPersisted(this.#lastSequence);
  }

  /**
   * Stops the writer behind the group that it is writing. Meanwhile nothing becomes durable, and `append` goes on
   * until the buffer is full.
   *
   * @returns true once nothing is written any more, until `resume` or `close` is called; false when one of them was
   *   called before that
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED, ERR_ACKGATE_SUPERSEDED, ERR_ACKGATE_JOURNAL_CLOSED
   */
  async pause(): Promise<boolean> {
    this.checkUsable();
    const { stopped, isOver } = this.#pausing.begin();
    this.parts.worker.ref();
    wakeWriter(this.#words);
    this.#onMoved();
    return (await stopped) && !isOver();
  }

  /** Lets the writer go on. Does nothing when it was not paused. */
  resume(): void {
    this.#pausing.end();
    this.#onMoved();
  }

  /**
   * Resumes if need be, persists what was appended, ends the writer and lets go of everything, in every case.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED or ERR_ACKGATE_SUPERSEDED when something that was appended is not
   *   durable
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Resolves when there is no pause: at once when there is none now. */
  protected get pauseOver(): Promise<void> {
    return this.#pausing.over;
  }

  /** @internal */
  protected checkUsable(): void {
    this.checkOpen();
    if (Atomics.load(this.#words, Word.failed) !== 0) throw this.failure!;
  }

  /** @internal */
  protected checkOpen(): void {
    if (this.#closed === null) return;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_CLOSED', `${this.parts.name} is closed`);
  }

  async #close(): Promise<void> {
    this.parts.worker.ref();
    this.#pausing.end();
    Atomics.store(this.#words, Word.closing, 1);
    wakeWriter(this.#words);
    await this.#ended;
    await this.parts.release();
    if (this.primaryCursor < this.#lastSequence) throw this.failure!;
  }

  #onMessage(message: WriterAnswer): void {
    this.#driving.hear(message);
    this.#onMoved();
  }

  /** The writer has moved the position, or stopped, or failed. */
  #onMoved(): void {
    this.#pausing.look(this.failure);
    for (;;) {
      this.#waiters.resolveUpTo(this.primaryCursor);
      if (this.failure !== null) this.#onFailure(this.failure);
      if (this.#waiters.isEmpty) break;
      // Ask to be told, then look once more: the writer moves the position first and looks at this word after it.
      const seen = this.#persistedSeen;
      Atomics.store(this.#words, Word.waiting, 1);
      if (this.primaryCursor === seen && this.failure === null) return;
    }
    if (this.#closed === null && !this.#pausing.isPending && !this.#driving.isPending)
      this.parts.worker.unref();
  }

  #onFailure(failure: AckgateError): void {
    // Its cursors stand still already, so nothing becomes durable; the fence takes what is still on its way.
    this.#driving.over(failure, readSupersededBy(this.#words));
    this.#waiters.rejectAll(failure);
    this.#reportFailure(failure);
  }

  #onWriterEnd(): void {
    if (this.#closed === null || this.primaryCursor < this.#lastSequence) {
      writeFailure(this.parts.memory, 'its writer has ended unexpectedly');
    }
    this.#onMoved();
  }

  #checkPayload(payload: Uint8Array): void {
    if (!(payload instanceof Uint8Array)) throw wrong('payload', 'a Uint8Array', payload);
    const { recordBytesMax } = this.parts;
    if (payload.length > recordBytesMax)
      throw tooLarge('payload', payload.length, 'recordBytesMax', recordBytesMax);
  }
}

function tooLarge(name: string, bytes: number, limit: string, most: number): AckgateRangeError {
  const message = `${name} takes ${bytes} bytes, ${limit} is ${most}`;
  return new AckgateRangeError('ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE', message);
}
