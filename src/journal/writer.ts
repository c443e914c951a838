import { parentPort, workerData } from 'node:worker_threads';
import { monotonicNow } from '../shared/clock.js';
import type { OpenedStage, StageHandle } from '../stage/open-stage.js';
import { fileHeaderBytes, recordSeed } from './format.js';
import { controlWords, Word, writeFailure, writePersisted } from './memory.js';
import { RecordReader } from './record-reader.js';
import { type Recovered, type Recovery, recover } from './recover.js';
import { createSegment, SegmentWriter } from './segment-writer.js';
import { TurnLog } from './turn-log.js';

/** What the writer is started with. */
export interface WriterData {
  directory: string;
  memory: SharedArrayBuffer;
  segmentBytes: number;
  firstSequence: number;
  /** Handle of the stage whose primary cursor is to follow, if any. */
  cursor: StageHandle | undefined;
  /** Where to note turns, if anywhere. */
  turns: SharedArrayBuffer | undefined;
  /** Longest sleep. Only a bound: there is always a wake when there is something to do. */
  parkMs: number;
}

/** What the writer posts first. A `code` of null: not an error of ours but of the file system. */
export type OpeningMessage =
  | { type: 'opened'; recovered: Recovered; journalId: Uint8Array }
  | { type: 'refused'; code: string | null; message: string };
/** What it posts after that: the persisted position has moved, the writer has paused, or the journal has failed. */
export type MovedMessage = { type: 'moved' };

/** Takes what was appended, makes it durable, says so: all on this thread, so that the engine may be a busy loop. */
class Writer {
  readonly #data: WriterData;
  readonly #words: Int32Array;
  readonly #reader: RecordReader;
  readonly #journalId: Buffer;
  readonly #advanceStage: (sequence: number) => void;
  readonly #turns: TurnLog | null;
  #segment: SegmentWriter;
  #seed: number;
  #lastSequence: number;

  constructor(data: WriterData, recovery: Recovery, advanceStage: (sequence: number) => void) {
    this.#data = data;
    this.#words = controlWords(data.memory);
    this.#reader = new RecordReader(data.memory);
    this.#journalId = recovery.journalId;
    this.#advanceStage = advanceStage;
    this.#turns = data.turns === undefined ? null : new TurnLog(data.turns);
    this.#segment = new SegmentWriter(recovery.segment);
    this.#seed = recordSeed(recovery.segment.salt);
    this.#lastSequence = recovery.recovered.lastSequence;
    this.#persisted();
  }

  /** Until the journal is closed. Whatever is thrown is final: nothing is tried twice. */
  run(): void {
    for (;;) {
      this.#pause();
      // In this order: what was appended before closing is seen.
      const isClosing = Atomics.load(this.#words, Word.closing) !== 0;
      if (!this.#reader.isEmpty) this.#commit();
      else if (isClosing) return;
      else this.#park();
    }
  }

  /**
   * Writes an empty group: proof that the last records were durable, without which a damaged end of the file could
   * not be told from a torn one.
   */
  seal(): void {
    if (this.#segment.bytes === fileHeaderBytes) return;
    this.#segment.write({ sequence: this.#lastSequence + 1, bytes: 0, count: 0 }, []);
    this.#segment.sync();
  }

  #commit(): void {
    if (this.#segment.bytes >= this.#data.segmentBytes) this.#roll();
    const beganNs = this.#turns === null ? 0 : monotonicNow();
    const group = this.#reader.take(this.#lastSequence + 1, this.#seed);
    this.#segment.write(group, this.#reader.pieces());
    this.#reader.release();
    this.#segment.sync();
    this.#lastSequence += group.count;
    this.#turns?.note(beganNs, monotonicNow(), this.#lastSequence);
    this.#persisted();
  }

  /** The stage first: who sees a sequence persisted may rely on the stage having been told. */
  #persisted(): void {
    // Also with 0: a stage that is ahead of this journal belongs to another one, and would not wait for it.
    this.#advanceStage(this.#lastSequence);
    writePersisted(this.#words, this.#lastSequence);
    if (Atomics.exchange(this.#words, Word.waiting, 0) !== 0) post({ type: 'moved' });
  }

  #roll(): void {
    this.#segment.close();
    const segment = createSegment(this.#data.directory, this.#journalId, this.#lastSequence + 1);
    this.#segment = new SegmentWriter(segment);
    this.#seed = recordSeed(segment.salt);
  }

  /** Stops here, between two groups, for as long as that is wanted. Appends don't wake it. */
  #pause(): void {
    const words = this.#words;
    for (;;) {
      const wanted = Atomics.load(words, Word.pausing);
      if (wanted === 0) return;
      if (Atomics.exchange(words, Word.paused, wanted) !== wanted) post({ type: 'moved' });
      Atomics.wait(words, Word.pausing, wanted, this.#data.parkMs);
    }
  }

  #park(): void {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    const isWanted = Atomics.load(words, Word.closing) !== 0 || Atomics.load(words, Word.pausing) !== 0;
    if (this.#reader.isEmpty && !isWanted) {
      Atomics.wait(words, Word.parked, 1, this.#data.parkMs);
    }
    Atomics.store(words, Word.parked, 0);
  }
}

function post(message: OpeningMessage | MovedMessage): void {
  parentPort!.postMessage(message);
}

async function openCursor(handle: StageHandle | undefined): Promise<OpenedStage | null> {
  // Loaded only where it is wanted: it needs the native addon, a journal alone does not.
  return handle === undefined ? null : (await import('../stage/open-stage.js')).openStage(handle);
}

function open(data: WriterData, stage: OpenedStage | null): Writer {
  const recovery = recover(data.directory, data.firstSequence);
  const writer = new Writer(data, recovery, (sequence) => stage?.cursors.primary.advance(sequence));
  post({ type: 'opened', recovered: recovery.recovered, journalId: recovery.journalId });
  return writer;
}

function refuse(error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  post({ type: 'refused', code: code?.startsWith('ERR_ACKGATE_') === true ? code : null, message });
}

function main(data: WriterData, stage: OpenedStage | null): void {
  let writer: Writer;
  try {
    writer = open(data, stage);
  } catch (error) {
    refuse(error);
    return;
  }
  try {
    writer.run();
  } catch (error) {
    writeFailure(data.memory, (error as Error).message);
    post({ type: 'moved' });
    return;
  }
  try {
    writer.seal();
  } catch {
    // Everything that was appended is durable; the seal would only have helped to find damage done later.
  }
}

const data = workerData as WriterData;
try {
  const stage = await openCursor(data.cursor);
  main(data, stage);
  stage?.close();
} catch (error) {
  refuse(error);
}
