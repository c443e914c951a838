import { parentPort, workerData } from 'node:worker_threads';
import { fileHeaderBytes, recordSeed } from './format.js';
import { controlWords, Word, writeFailure, writePersisted } from './memory.js';
import { RecordReader } from './record-reader.js';
import { type Recovered, type Recovery, recover } from './recover.js';
import { createSegment, SegmentWriter } from './segment-writer.js';

/** What the writer is started with. */
export interface WriterData {
  directory: string;
  memory: SharedArrayBuffer;
  segmentBytes: number;
  firstSequence: number;
  /** Handle of the stage whose primary cursor is to follow, if any. */
  cursor: object | undefined;
}

/** What the writer posts first. A `code` of null: not an error of ours but of the file system. */
export type OpeningMessage =
  | { type: 'opened'; recovered: Recovered; journalId: Uint8Array }
  | { type: 'refused'; code: string | null; message: string };
/** What it posts after that: the persisted position has moved, or the journal has failed. */
export type MovedMessage = { type: 'moved' };

/** Bound of a sleep, for the case that somebody else's bug loses a wake; ours don't. */
const parkMs = 100;

/** Takes what was appended, makes it durable, says so: all on this thread, so that the engine may be a busy loop. */
class Writer {
  readonly #data: WriterData;
  readonly #words: Int32Array;
  readonly #reader: RecordReader;
  readonly #journalId: Buffer;
  readonly #advanceStage: (sequence: number) => void;
  #segment: SegmentWriter;
  #seed: number;
  #lastSequence: number;

  constructor(data: WriterData, recovery: Recovery, advanceStage: (sequence: number) => void) {
    this.#data = data;
    this.#words = controlWords(data.memory);
    this.#reader = new RecordReader(data.memory);
    this.#journalId = recovery.journalId;
    this.#advanceStage = advanceStage;
    this.#segment = new SegmentWriter(recovery.segment);
    this.#seed = recordSeed(recovery.segment.salt);
    this.#lastSequence = recovery.recovered.lastSequence;
    this.#persisted();
  }

  /** Until the journal is closed. Whatever is thrown is final: nothing is tried twice. */
  run(): void {
    for (;;) {
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
    const group = this.#reader.take(this.#lastSequence + 1, this.#seed);
    this.#segment.write(group, this.#reader.pieces());
    this.#reader.release();
    this.#segment.sync();
    this.#lastSequence += group.count;
    this.#persisted();
  }

  /** The stage first: who sees a sequence persisted may rely on the stage having been told. */
  #persisted(): void {
    if (this.#lastSequence > 0) this.#advanceStage(this.#lastSequence);
    writePersisted(this.#words, this.#lastSequence);
    if (Atomics.exchange(this.#words, Word.waiting, 0) !== 0) post({ type: 'moved' });
  }

  #roll(): void {
    this.#segment.close();
    const segment = createSegment(this.#data.directory, this.#journalId, this.#lastSequence + 1);
    this.#segment = new SegmentWriter(segment);
    this.#seed = recordSeed(segment.salt);
  }

  #park(): void {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    if (this.#reader.isEmpty && Atomics.load(words, Word.closing) === 0) {
      Atomics.wait(words, Word.parked, 1, parkMs);
    }
    Atomics.store(words, Word.parked, 0);
  }
}

function post(message: OpeningMessage | MovedMessage): void {
  parentPort!.postMessage(message);
}

/** What is used of it; a journal without a stage doesn't load it. */
interface StageModule {
  openStage(handle: object): { cursors: { primary: { advance(sequence: number): void } } };
}
const stageModule: string = '../stage/open-stage.js';

async function stageCursor(handle: object | undefined): Promise<(sequence: number) => void> {
  if (handle === undefined) return () => {};
  const { openStage } = (await import(stageModule)) as StageModule;
  const { primary } = openStage(handle).cursors;
  return (sequence) => primary.advance(sequence);
}

async function open(data: WriterData): Promise<Writer | null> {
  try {
    const advanceStage = await stageCursor(data.cursor);
    const recovery = recover(data.directory, data.firstSequence);
    const writer = new Writer(data, recovery, advanceStage);
    post({ type: 'opened', recovered: recovery.recovered, journalId: recovery.journalId });
    return writer;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    post({ type: 'refused', code: code?.startsWith('ERR_ACKGATE_') === true ? code : null, message });
    return null;
  }
}

async function main(data: WriterData): Promise<void> {
  const writer = await open(data);
  if (writer === null) return;
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

await main(workerData as WriterData);
