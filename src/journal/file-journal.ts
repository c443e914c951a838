import { resolve } from 'node:path';
import { AckgateError } from '../errors.js';
import { BufferedJournal } from './buffered-journal.js';
import type { JournalRecord } from './journal.js';
import type { DirectoryLock } from './lock.js';
import { type CheckedOptions, checkOptions, checkSequence, type FileJournalOptions } from './options.js';
import { prune } from './prune.js';
import type { Recovered } from './recover.js';
import { replay } from './replay.js';
import { prepareDirectory, type Started, startWriter } from './start.js';

/**
 * A journal in segment files. A thread of its own writes whatever has been appended since its last turn with one
 * write and one `fdatasync` (group commit), and moves the cursors, also while the engine never yields.
 *
 * Everything here belongs to the thread that opened it. An open journal does not keep the process alive; a pending
 * `whenPersisted` or `close` does. See docs/JOURNAL.md.
 */
export class FileJournal extends BufferedJournal {
  /** What was found on opening. */
  readonly recovered: Readonly<Recovered>;
  readonly #directory: string;
  readonly #journalId: Buffer;
  readonly #pruning: { under: Promise<unknown> };
  #firstSequence: number;

  /**
   * Opens the journal of a directory, or makes one. What is on disk is checked completely; a torn tail is cut, and
   * what is left is durable before this resolves.
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

  /** Use `FileJournal.open`. */
  private constructor(options: CheckedOptions, lock: DirectoryLock, started: Started) {
    const { memory, worker, recovered, ended } = started;
    const { firstSequence, lastSequence } = recovered;
    const pruning = { under: Promise.resolve() as Promise<unknown> };
    super({
      name: `journal ${options.directory}`,
      memory,
      worker,
      ended,
      lastSequence,
      epoch: 0,
      bufferBytes: options.bufferBytes,
      recordBytesMax: options.recordBytesMax,
      release: async () => {
        await pruning.under;
        await lock.release();
      },
    });
    this.recovered = Object.freeze(recovered);
    this.#directory = options.directory;
    this.#journalId = Buffer.from(started.journalId);
    this.#pruning = pruning;
    this.#firstSequence = firstSequence;
  }

  /** Oldest sequence that is kept: where a complete replay starts. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  /**
   * Reads from the files, a segment at a time, and checks what it reads.
   *
   * @param from a sequence that is kept (default: the oldest); nothing comes when it is not durable yet
   * @throws ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_JOURNAL_CLOSED; while iterating: ERR_ACKGATE_JOURNAL_DAMAGED
   */
  replay(from: number = this.#firstSequence): IterableIterator<JournalRecord> {
    this.checkOpen();
    checkSequence(
      'from',
      from,
      this.#firstSequence,
      Number.MAX_SAFE_INTEGER,
      `${this.#firstSequence} (the oldest kept) or more`,
    );
    return replay(this.#directory, from, this.primaryCursor);
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
    const pruned = Promise.all([this.#pruning.under, this.pauseOver]).then(async () => {
      this.checkOpen();
      const max = this.primaryCursor + 1;
      checkSequence('sequence', sequence, 1, max, `1 … ${max}, up to what is persisted`);
      try {
        this.#firstSequence = await prune(this.#directory, this.#journalId, sequence);
        return this.#firstSequence;
      } catch (cause) {
        const message = `journal ${this.#directory} can't be pruned: ${(cause as Error).message}`;
        throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
      }
    });
    this.#pruning.under = pruned.catch(() => {});
    return pruned;
  }

  /**
   * As for every journal; the directory can be copied, or a snapshot of its file system made, with no write under way.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED, ERR_ACKGATE_JOURNAL_CLOSED
   */
  override async pause(): Promise<boolean> {
    const stopped = super.pause();
    await this.#pruning.under;
    return stopped;
  }
}
