import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../errors.js';
import { cutJournal } from '../journal/cut.js';
import { FileJournal } from '../journal/file-journal.js';
import { journalFile } from '../journal/files.js';
import { journalFull } from '../journal/journal.js';
import type { DirectoryLock } from '../journal/lock.js';
import { prepareDirectory } from '../journal/start.js';
import { checkCut, cutPoint } from './cut-point.js';
import { tooFarBehind } from './fetch-server.js';
import { follow, type History, highestTerm, type Log, type LogEnd, logEnd } from './history.js';
import { readHistory, writeHistory } from './history-file.js';
import { readPromise, writePromise } from './promise-file.js';

export interface CopyOptions {
  directory: string;
  segmentBytes: number | undefined;
  bufferBytes: number | undefined;
  /** Unix milliseconds. */
  wallClock(): number;
}

/** What a primary says of itself when a replica joins. */
export interface PrimaryLog {
  history: History;
  first: number;
  last: number;
  bufferBytes: number;
}

const defaultBufferBytes = 8 * 1024 * 1024;

/** A replica's own journal and its history. */
export class Copy {
  readonly #options: CopyOptions;
  #journal: FileJournal | null = null;
  #history: History | null = null;
  /** While there is no journal that has it. */
  #lock: DirectoryLock | null = null;
  #last = 0;

  private constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** @throws as `FileJournal.open`; ERR_ACKGATE_JOURNAL_DAMAGED for a history that is none, or another journal's */
  static async open(options: CopyOptions): Promise<Copy> {
    const { directory } = options;
    const copy = new Copy(options);
    // Where a new journal starts, a primary will say. Nobody else may make one there before that.
    if (existsSync(join(directory, journalFile))) await copy.#open(1);
    else copy.#lock = await prepareDirectory(directory);
    try {
      copy.#history = readHistory(directory);
    } catch (error) {
      await copy.close();
      throw error;
    }
    return copy;
  }

  /** Null: it has never followed anybody, or is being cut. */
  get journal(): FileJournal | null {
    return this.#journal;
  }

  get history(): History | null {
    return this.#history;
  }

  get last(): number {
    return this.#journal?.lastSequence ?? this.#last;
  }

  get end(): LogEnd {
    return logEnd({ history: this.#history, last: this.last });
  }

  /** Highest term after which no earlier primary is followed. */
  get term(): number {
    return Math.max(highestTerm(this.#history), readPromise(this.#options.directory));
  }

  /** True when there was room. */
  append(payloads: readonly Uint8Array[]): boolean {
    const journal = this.#journal!;
    return payloads.length === 1
      ? journal.append(payloads[0]!) !== journalFull
      : journal.appendBatch(payloads) !== 'full';
  }

  /**
   * Makes this a beginning of the primary's journal: cuts what is not in it.
   *
   * @param epochAbove the incarnation must be higher
   * @returns how many records were cut
   * @throws ERR_ACKGATE_JOURNAL_LINEAGE, ERR_ACKGATE_REPLICA_AHEAD, ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_OUT_OF_RANGE
   */
  async adopt(primary: PrimaryLog, epochAbove: number): Promise<number> {
    const { directory, bufferBytes = defaultBufferBytes } = this.#options;
    if (bufferBytes < primary.bufferBytes) {
      const message = `bufferBytes is ${bufferBytes}, but the primary's is ${primary.bufferBytes}: a replica needs as much`;
      throw new AckgateError('ERR_ACKGATE_OUT_OF_RANGE', message);
    }
    if (this.#journal === null) {
      await this.#unlock();
      await this.#open(primary.first);
    }
    const before = this.last;
    // Kept also when the cut is refused: whoever takes office with this directory has to come after that primary.
    const term = highestTerm(primary.history);
    if (term > this.term) writePromise(directory, term);
    const point = this.#checkedCutPoint(primary);
    if (point < before) {
      await this.close();
      this.#last = await cutJournal(directory, point);
      await this.#open(1);
    }
    const followed = follow(this.#history, primary.history, this.#options.wallClock());
    const incarnation = Math.max(followed.incarnation, epochAbove + 1);
    this.#history = { ...followed, incarnation };
    writeHistory(directory, this.#history);
    return before - this.last;
  }

  async close(): Promise<void> {
    const journal = this.#journal;
    this.#last = this.last;
    this.#journal = null;
    await this.#unlock();
    await journal?.close();
  }

  async #unlock(): Promise<void> {
    const lock = this.#lock;
    this.#lock = null;
    await lock?.release();
  }

  #checkedCutPoint({ history, first, last }: PrimaryLog): number {
    const own: Log = { history: this.#history, last: this.last, firstKept: this.#journal!.firstSequence };
    const primary: Log = { history, last, firstKept: first };
    const point = cutPoint(own, primary);
    if (point + 1 < first) {
      const { message } = tooFarBehind(point + 1, first);
      throw new AckgateError('ERR_ACKGATE_SEQUENCE', message);
    }
    checkCut(own, primary, point);
    return point;
  }

  async #open(firstSequence: number): Promise<void> {
    const { directory, segmentBytes, bufferBytes = defaultBufferBytes } = this.#options;
    this.#journal = await FileJournal.open({
      directory,
      bufferBytes,
      // Whatever its primary takes.
      recordBytesMax: bufferBytes / 2,
      firstSequence,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    });
  }
}
