import { resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { AppendBuffer, wakeWriter } from './append-buffer.js';
import { recordBytes } from './format.js';
import { type Journal, type JournalRecord, journalFull } from './journal.js';
import type { DirectoryLock } from './lock.js';
import { controlWords, readFailure, readPersisted, Word, writeFailure } from './memory.js';
import {
  type CheckedOptions,
  checkOptions,
  checkSequence,
  type FileJournalOptions,
  invalid,
} from './options.js';
import { Pausing } from './pausing.js';
import { prune } from './prune.js';
import type { Recovered } from './recover.js';
import { replay } from './replay.js';
import { prepareDirectory, type Started, startWriter } from './start.js';
import { Waiters } from './waiters.js';

/**
 * A journal in segment files. A thread of its own writes whatever has been appended since its last turn with one
 * write and one `fdatasync` (group commit), and moves the cursors, also while the engine never yields.
 *
 * Everything here belongs to the thread that opened it. An open journal does not keep the process alive; a pending
 * `whenPersisted` or `close` does. See docs/JOURNAL.md.
 */
export class FileJournal implements Journal {
  /** What was found on opening. */
  readonly recovered: Readonly<Recovered>;
  /** Resolves with the error when the journal has failed; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;

  readonly #options: CheckedOptions;
  readonly #memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #buffer: AppendBuffer;
  readonly #journalId: Buffer;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #lock: DirectoryLock;
  readonly #waiters = new Waiters();
  readonly #pausing: Pausing;
  #lastSequence: number;
  #firstSequence: number;
  #persistedSeen: number;
  #failure: AckgateError | null = null;
  #reportFailure!: (error: AckgateError) => void;
  #pruning: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  /**
   * Opens the journal of a directory, or makes one. What is on disk is checked completely; a torn tail is cut, and
   * what is left is durable, and the stage's cursor there, before this resolves.
   *
   * @throws ERR_ACKGATE_JOURNAL_LOCKED when it is open elsewhere; ERR_ACKGATE_JOURNAL_DAMAGED, with file and offset,
   *   when records that had been durable can't be read; ERR_ACKGATE_JOURNAL_FAILED when the file system refuses;
   *   ERR_ACKGATE_INVALID_ARGUMENT, _OUT_OF_RANGE, _NOT_POWER_OF_TWO, _UNKNOWN_OPTION
   */
  static async open(options: FileJournalOptions): Promise<FileJournal> {
    const checked = checkOptions(options);
    const directory = resolve(checked.directory);
    const lock = await prepareDirectory(directory);
    try {
      const withPath = { ...checked, directory };
      return new FileJournal(withPath, lock, await startWriter(withPath));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** @internal Use `FileJournal.open`. */
  constructor(options: CheckedOptions, lock: DirectoryLock, started: Started) {
    const { memory, worker, recovered, ended } = started;
    this.recovered = Object.freeze(recovered);
    this.#options = options;
    this.#memory = memory;
    this.#words = controlWords(memory);
    this.#buffer = new AppendBuffer(memory);
    this.#pausing = new Pausing(this.#words);
    this.#journalId = Buffer.from(started.journalId);
    this.#worker = worker;
    this.#lock = lock;
    this.#firstSequence = recovered.firstSequence;
    this.#lastSequence = recovered.lastSequence;
    this.#persistedSeen = recovered.lastSequence;
    this.failed = new Promise((report) => {
      this.#reportFailure = report;
    });
    this.#ended = ended.then(() => this.#onWriterEnd());
    worker.on('message', () => this.#onMoved());
    worker.unref();
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Oldest sequence that is kept: where a complete replay starts. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  get primaryCursor(): number {
    this.#persistedSeen = readPersisted(this.#words, this.#persistedSeen);
    return this.#persistedSeen;
  }

  /** Why the journal has failed, or null. Seen at once, also by a thread that never yields. */
  get failure(): AckgateError | null {
    if (this.#failure === null && Atomics.load(this.#words, Word.failed) !== 0) {
      const reason = readFailure(this.#memory);
      const message = `journal ${this.#options.directory} has failed and takes nothing more: ${reason}`;
      this.#failure = new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message);
    }
    return this.#failure;
  }

  /**
   * Takes a copy of the payload. Costs no system call, unless the writer sleeps.
   *
   * @param payload 0 … `recordBytesMax` bytes
   * @returns its sequence, or `journalFull` (0) while the writer is a whole buffer behind
   * @throws ERR_ACKGATE_JOURNAL_FAILED, _CLOSED, _RECORD_TOO_LARGE, ERR_ACKGATE_INVALID_ARGUMENT
   */
  append(payload: Uint8Array): number {
    this.#checkUsable();
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
   * @throws as `append`
   */
  appendBatch(batch: readonly Uint8Array[]): { first: number; last: number } | 'full' {
    this.#checkUsable();
    if (!Array.isArray(batch) || batch.length === 0)
      throw invalid('batch', 'an array of at least one payload', batch);
    let bytes = 0;
    for (const payload of batch) {
      this.#checkPayload(payload);
      bytes += recordBytes(payload.length);
    }
    if (bytes > this.#options.bufferBytes)
      throw tooLarge('batch', bytes, 'bufferBytes', this.#options.bufferBytes);
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
   * Reads from the files, a segment at a time, and checks what it reads.
   *
   * @param from a sequence that is kept (default: the oldest); nothing comes when it is not durable yet
   * @throws ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_JOURNAL_CLOSED; while iterating: ERR_ACKGATE_JOURNAL_DAMAGED
   */
  replay(from: number = this.#firstSequence): IterableIterator<JournalRecord> {
    this.#checkOpen();
    checkSequence(
      'from',
      from,
      this.#firstSequence,
      Number.MAX_SAFE_INTEGER,
      `${this.#firstSequence} (the oldest kept) or more`,
    );
    return replay(this.#options.directory, from, this.primaryCursor);
  }

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
    this.#worker.ref();
    this.#onMoved();
    return persisted;
  }

  /**
   * Resolves once everything that was appended before the call is persisted. During a pause nothing is: `resume` first.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when some of it never will be
   */
  flush(): Promise<void> {
    return this.whenPersisted(this.#lastSequence);
  }

  /**
   * Removes the segment files in which everything is older than `sequence`: call it with a sequence from which on
   * the rest can be rebuilt. Resolves with the oldest sequence that is kept. Not for records that a replay under
   * way still needs.
   *
   * @throws (rejects with) ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_JOURNAL_CLOSED, ERR_ACKGATE_JOURNAL_FAILED
   */
  truncateBefore(sequence: number): Promise<number> {
    // Not while a pause lasts: a copy of the directory would lack files that it names.
    const pruned = Promise.all([this.#pruning, this.#pausing.over]).then(async () => {
      this.#checkOpen();
      const max = this.primaryCursor + 1;
      checkSequence('sequence', sequence, 1, max, `1 … ${max}, up to what is persisted`);
      try {
        this.#firstSequence = await prune(this.#options.directory, this.#journalId, sequence);
        return this.#firstSequence;
      } catch (cause) {
        const message = `journal ${this.#options.directory} can't be pruned: ${(cause as Error).message}`;
        throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
      }
    });
    this.#pruning = pruned.catch(() => {});
    return pruned;
  }

  /**
   * Stops the writer behind the group that it is writing, so that the directory can be copied, or a snapshot of its
   * file system made, with no write under way. Meanwhile nothing becomes durable, and `append` goes on until the
   * buffer is full.
   *
   * @returns true once no file is written any more, until `resume` or `close` is called; false when one of them was
   *   called before that
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED, ERR_ACKGATE_JOURNAL_CLOSED
   */
  async pause(): Promise<boolean> {
    this.#checkUsable();
    const { stopped, isOver } = this.#pausing.begin();
    this.#worker.ref();
    wakeWriter(this.#words);
    this.#onMoved();
    const [hasStopped] = await Promise.all([stopped, this.#pruning]);
    return hasStopped && !isOver();
  }

  /** Lets the writer go on. Does nothing when it was not paused. */
  resume(): void {
    this.#pausing.end();
    this.#onMoved();
  }

  /**
   * Resumes if need be, persists what was appended, ends the writer and gives back the lock, in every case.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when something that was appended is not durable
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#worker.ref();
    this.#pausing.end();
    Atomics.store(this.#words, Word.closing, 1);
    wakeWriter(this.#words);
    await this.#pruning;
    await this.#ended;
    await this.#lock.release();
    if (this.primaryCursor < this.#lastSequence) throw this.failure!;
  }

  /** The writer has moved the position, or failed. */
  #onMoved(): void {
    this.#pausing.look(this.failure);
    for (;;) {
      this.#waiters.resolveUpTo(this.primaryCursor);
      if (this.failure !== null) {
        this.#waiters.rejectAll(this.failure);
        this.#reportFailure(this.failure);
      }
      if (this.#waiters.isEmpty) break;
      // Ask to be told, then look once more: the writer moves the position first and looks at this word after it.
      const seen = this.#persistedSeen;
      Atomics.store(this.#words, Word.waiting, 1);
      if (this.primaryCursor === seen && this.failure === null) return;
    }
    if (this.#closed === null && !this.#pausing.isPending) this.#worker.unref();
  }

  #onWriterEnd(): void {
    if (this.#closed === null || this.primaryCursor < this.#lastSequence) {
      writeFailure(this.#memory, 'its writer has ended unexpectedly');
    }
    this.#onMoved();
  }

  #checkUsable(): void {
    this.#checkOpen();
    if (Atomics.load(this.#words, Word.failed) !== 0) throw this.failure!;
  }

  #checkOpen(): void {
    if (this.#closed === null) return;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_CLOSED', `journal ${this.#options.directory} is closed`);
  }

  #checkPayload(payload: Uint8Array): void {
    if (!(payload instanceof Uint8Array)) throw invalid('payload', 'a Uint8Array', payload);
    const { recordBytesMax } = this.#options;
    if (payload.length > recordBytesMax)
      throw tooLarge('payload', payload.length, 'recordBytesMax', recordBytesMax);
  }
}

function tooLarge(name: string, bytes: number, limit: string, most: number): AckgateRangeError {
  const message = `${name} takes ${bytes} bytes, ${limit} is ${most}`;
  return new AckgateRangeError('ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE', message);
}
