import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import { AppendBuffer, wakeWriter } from '../journal/append-buffer.js';
import { Driving } from '../journal/driving.js';
import { FileJournal } from '../journal/file-journal.js';
import { recordBytes } from '../journal/format.js';
import {
  type DrivenStage,
  type Journal,
  type JournalBatch,
  type JournalRecord,
  journalFull,
} from '../journal/journal.js';
import {
  controlWords,
  createMemory,
  readFailure,
  readSupersededBy,
  Word,
  writeFailure,
} from '../journal/memory.js';
import type { Recovered } from '../journal/recover.js';
import type { Logger } from '../shared/logger.js';
import { readHistory } from './history-file.js';
import { type CheckedNatsJournal, checkNatsJournalOptions, type NatsJournalOptions } from './options.js';
import type { PublisherData, PublisherMessage } from './publisher.js';

/**
 * A journal in files of its own whose records are also published on NATS, to replicas that tell how far they have them.
 * A thread of its own publishes, and takes what the replicas tell to the stage. Publishing never holds up `append`: with
 * the server away or slow, replicas fetch later what they missed.
 *
 * Opening it takes office as the cluster's primary. See docs/NATS.md.
 */
export class NatsJournal implements Journal {
  /** This primary's term of office. */
  readonly epoch: number;
  /** Resolves with the error when the journal has failed; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;
  readonly #file: FileJournal;
  readonly #memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #buffer: AppendBuffer;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #driving: Driving;
  readonly #name: string;
  #reportFailure!: (error: AckgateError) => void;
  #failure: AckgateError | null = null;
  #closed: Promise<void> | null = null;

  /**
   * Opens the journal of a directory as `FileJournal` does, and takes office: asks who is primary and how far the
   * replicas are, which takes about half a second.
   *
   * @throws what `FileJournal.open` throws; ERR_ACKGATE_SUPERSEDED when a primary is running; ERR_ACKGATE_REPLICA_AHEAD
   *   when a replica has more, and is named; ERR_ACKGATE_NODE_TWICE, ERR_ACKGATE_JOURNAL_LINEAGE,
   *   ERR_ACKGATE_NATS_UNREACHABLE, ERR_ACKGATE_NATS_CREDENTIALS, ERR_ACKGATE_NATS_SERVER, ERR_ACKGATE_PEER_MISSING,
   *   ERR_ACKGATE_CLOCK_SKEW when a term more than a year ahead of the clock is known
   */
  static async open(options: NatsJournalOptions): Promise<NatsJournal> {
    const checked = await checkNatsJournalOptions(options);
    const { segmentBytes, bufferBytes, firstSequence, turns } = options;
    const directory = typeof options.directory === 'string' ? resolve(options.directory) : options.directory;
    const file = await FileJournal.open({
      directory,
      recordBytesMax: checked.recordBytesMax,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      ...(bufferBytes === undefined ? {} : { bufferBytes }),
      ...(firstSequence === undefined ? {} : { firstSequence }),
      ...(turns === undefined ? {} : { turns }),
    });
    try {
      return new NatsJournal(file, await startPublisher(file, directory, checked));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Use `NatsJournal.open`. */
  private constructor(file: FileJournal, { memory, worker, ended, term, name }: Started) {
    this.epoch = term;
    this.#file = file;
    this.#memory = memory;
    this.#words = controlWords(memory);
    this.#buffer = new AppendBuffer(memory);
    this.#worker = worker;
    this.#driving = new Driving(this.#words, worker, term);
    this.#name = name;
    this.failed = new Promise((report) => {
      this.#reportFailure = report;
    });
    void file.failed.then((error) => this.#reportFailure(error));
    worker.on('message', (message: PublisherMessage) => this.#onMessage(message));
    this.#ended = ended.then(() => {
      if (this.#closed === null) writeFailure(memory, 'its publisher has ended unexpectedly');
      this.#look();
    });
    worker.unref();
  }

  /** What was found in the files on opening. */
  get recovered(): Readonly<Recovered> {
    return this.#file.recovered;
  }

  /** Oldest sequence that is kept here: where a complete replay starts. */
  get firstSequence(): number {
    return this.#file.firstSequence;
  }

  /** Highest sequence given out, 0 before the first. */
  get lastSequence(): number {
    return this.#file.lastSequence;
  }

  /** Highest sequence that is on this node's disk together with everything before it. Never goes back. */
  get primaryCursor(): number {
    return this.#file.primaryCursor;
  }

  /** Why the journal has failed, or null. Seen at once, also by a thread that never yields. */
  get failure(): AckgateError | null {
    if (this.#failure === null && Atomics.load(this.#words, Word.failed) !== 0) {
      const isSuperseded = readSupersededBy(this.#words) > 0;
      const code = isSuperseded ? 'ERR_ACKGATE_SUPERSEDED' : 'ERR_ACKGATE_JOURNAL_FAILED';
      const message = `${this.#name} takes nothing more: ${readFailure(this.#memory)}`;
      this.#failure = new AckgateError(code, message);
    }
    return this.#failure ?? this.#file.failure;
  }

  /** As `FileJournal.append`; the record is published to the replicas too. */
  append(payload: Uint8Array): number {
    this.#checkUsable();
    const sequence = this.#file.append(payload);
    // Without room there, replicas fetch it.
    if (sequence !== journalFull && this.#buffer.hasRoom(recordBytes(payload.length))) {
      this.#buffer.put(sequence, payload, false);
      this.#buffer.publish();
    }
    return sequence;
  }

  /** As `FileJournal.appendBatch`; replicas, too, have all of the records or none of them. */
  appendBatch(batch: readonly Uint8Array[]): JournalBatch | 'full' {
    this.#checkUsable();
    const appended = this.#file.appendBatch(batch);
    if (appended === 'full') return appended;
    let bytes = 0;
    for (const payload of batch) bytes += recordBytes(payload.length);
    if (this.#buffer.hasRoom(bytes)) {
      for (let i = 0; i < batch.length; i++) {
        this.#buffer.put(appended.first + i, batch[i]!, i < batch.length - 1);
      }
      this.#buffer.publish();
    }
    return appended;
  }

  /** As `FileJournal.replay`: from this node's own files. */
  replay(from?: number): IterableIterator<JournalRecord> {
    return this.#file.replay(from);
  }

  /** Resolves once `sequence` is on this node's disk; what replicas have does not count. As `FileJournal.whenPersisted`. */
  whenPersisted(sequence: number): Promise<void> {
    return this.#file.whenPersisted(sequence);
  }

  /** Resolves once everything that was appended before the call is on this node's disk. As `FileJournal.flush`. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** As `FileJournal.pause`: nothing becomes durable here; replicas go on. */
  pause(): Promise<boolean> {
    return this.#file.pause();
  }

  /** Lets the writer go on. Does nothing when it was not paused. */
  resume(): void {
    this.#file.resume();
  }

  /** As `FileJournal.truncateBefore`. A replica that lacks what is removed has to begin anew, with an empty directory. */
  truncateBefore(sequence: number): Promise<number> {
    return this.#file.truncateBefore(sequence);
  }

  /**
   * As for every journal; the replicas' cursors move too, and once another primary has taken over the stage is fenced.
   *
   * @throws (rejects with) as `Journal.drive`
   */
  async drive(stage: DrivenStage): Promise<void> {
    this.#checkUsable();
    this.#worker.ref();
    const driving = this.#driving.begin(stage);
    try {
      await driving;
    } finally {
      this.#worker.unref();
    }
    // After the publisher: it tells the stage what was issued, which its frames are compared with.
    await this.#file.drive(stage);
  }

  /**
   * Ends the publishing, persists what was appended, and lets go of everything.
   *
   * @throws (rejects with) as `FileJournal.close`
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#worker.ref();
    Atomics.store(this.#words, Word.closing, 1);
    wakeWriter(this.#words);
    await this.#ended;
    await this.#file.close();
  }

  #onMessage(message: PublisherMessage): void {
    if (message.type === 'driving' || message.type === 'drive-refused') this.#driving.hear(message);
    this.#look();
  }

  /** Whether the publisher has ended the journal. */
  #look(): void {
    const { failure } = this;
    if (failure === null) return;
    this.#driving.over(failure, readSupersededBy(this.#words));
    this.#reportFailure(failure);
  }

  #checkUsable(): void {
    if (this.#closed !== null)
      throw new AckgateError('ERR_ACKGATE_JOURNAL_CLOSED', `${this.#name} is closed`);
    if (Atomics.load(this.#words, Word.failed) !== 0) throw this.failure!;
  }
}

interface Started {
  memory: SharedArrayBuffer;
  worker: Worker;
  ended: Promise<void>;
  term: number;
  name: string;
}

async function startPublisher(
  file: FileJournal,
  directory: string,
  { logger, ...options }: CheckedNatsJournal,
): Promise<Started> {
  const { memory: fileMemory, bufferBytes, firstSequence: firstKept, lastSequence: last } = file;
  const memory = createMemory(bufferBytes);
  const log = { history: readHistory(directory), last, firstKept };
  const workerData: PublisherData = {
    ...options,
    memory,
    fileMemory,
    directory,
    primaryId: randomUUID(),
    log,
    bufferBytes,
  };
  const url = new URL('./publisher-worker.js', import.meta.url);
  const worker = new Worker(url, { workerData, execArgv: [], name: 'nats publisher' });
  const ended = new Promise<void>((end) => {
    worker.once('exit', () => end());
  });
  // Also for later: without a listener, an error on that thread would end the process.
  worker.on('error', (error) => writeFailure(memory, `its publisher has crashed: ${error}`));
  const name = `journal ${directory} of cluster ${options.cluster}`;
  const answer = await Promise.race([firstAnswer(worker, logger), ended.then(() => null)]);
  if (answer?.type === 'opened') return { memory, worker, ended, term: answer.term, name };
  await ended;
  const why = answer?.message ?? readFailure(memory) ?? 'its publisher has ended';
  const code = (answer?.code ?? 'ERR_ACKGATE_JOURNAL_FAILED') as AckgateErrorCode;
  throw new AckgateError(code, answer?.code == null ? `${name} can't be opened: ${why}` : why);
}

type OpeningAnswer = Extract<PublisherMessage, { type: 'opened' | 'refused' }>;

function firstAnswer(worker: Worker, logger: Logger): Promise<OpeningAnswer> {
  return new Promise((receive) => {
    worker.on('message', (message: PublisherMessage) => {
      if (message.type === 'log') logger[message.level](message.fields, message.message);
      else if (message.type === 'opened' || message.type === 'refused') receive(message);
    });
  });
}
