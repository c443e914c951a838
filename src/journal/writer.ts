import { parentPort, workerData } from 'node:worker_threads';
import { monotonicNow } from '../shared/clock.js';
import type { OpenedStage } from '../stage/open-stage.js';
import type { ToldError, WriterAnswer } from './driving.js';
import { fileHeaderBytes, recordSeed } from './format.js';
import { controlWords, Word, writeFailure } from './memory.js';
import { RecordReader } from './record-reader.js';
import { type Recovered, type Recovery, recover } from './recover.js';
import { createSegment, SegmentWriter } from './segment-writer.js';
import { TurnLog } from './turn-log.js';
import { isCalled, pauseWanted, takeStage, tellPersisted, told } from './writer-thread.js';

/** What the writer is started with. */
export interface WriterData {
  directory: string;
  memory: SharedArrayBuffer;
  segmentBytes: number;
  firstSequence: number;
  /** Where to note turns, if anywhere. */
  turns: SharedArrayBuffer | undefined;
  /** Longest sleep. Only a bound: there is always a wake when there is something to do. */
  parkMs: number;
}

/** What the writer posts first. A `code` of null: not an error of ours but of the file system. */
export type OpeningMessage =
  | { type: 'opened'; recovered: Recovered; journalId: Uint8Array }
  | ({ type: 'refused' } & ToldError);

/** Takes what was appended, makes it durable, says so: all on this thread, so that the engine may be a busy loop. */
class Writer {
  readonly #data: WriterData;
  readonly #words: Int32Array;
  readonly #reader: RecordReader;
  readonly #journalId: Buffer;
  readonly #turns: TurnLog | null;
  #segment: SegmentWriter;
  #seed: number;
  #lastSequence: number;
  #stage: OpenedStage | null = null;

  constructor(data: WriterData, recovery: Recovery) {
    this.#data = data;
    this.#words = controlWords(data.memory);
    this.#reader = new RecordReader(data.memory);
    this.#journalId = recovery.journalId;
    this.#turns = data.turns === undefined ? null : new TurnLog(data.turns);
    this.#segment = new SegmentWriter(recovery.segment);
    this.#seed = recordSeed(recovery.segment.salt);
    this.#lastSequence = recovery.recovered.lastSequence;
    this.#persisted();
  }

  /** Until the journal is closed. Whatever is thrown is final: nothing is tried twice. */
  async run(): Promise<void> {
    for (;;) {
      if (Atomics.load(this.#words, Word.driving) !== 0) await this.#drive();
      if (this.#pause()) continue;
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
    this.#stage?.cursors.primary.advance(this.#lastSequence);
    tellPersisted(this.#words, this.#lastSequence);
  }

  #roll(): void {
    this.#segment.close();
    const segment = createSegment(this.#data.directory, this.#journalId, this.#lastSequence + 1);
    this.#segment = new SegmentWriter(segment);
    this.#seed = recordSeed(segment.salt);
  }

  /** Stops for a while, between two groups, when that is wanted. Appends don't wake it. */
  #pause(): boolean {
    const words = this.#words;
    const wanted = pauseWanted(words);
    if (wanted === 0) return false;
    if (Atomics.load(words, Word.driving) === 0) {
      Atomics.wait(words, Word.pausing, wanted, this.#data.parkMs);
    }
    return true;
  }

  #drive(): Promise<void> {
    return takeStage(this.#words, (stage) => {
      // Also with 0: a stage that is ahead of this journal belongs to another one, and would not wait for it.
      stage.cursors.primary.advance(this.#lastSequence);
      this.#stage = stage;
    });
  }

  /** Gives the stage back. */
  end(): void {
    this.#stage?.close();
  }

  #park(): void {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    if (this.#reader.isEmpty && !isCalled(words)) Atomics.wait(words, Word.parked, 1, this.#data.parkMs);
    Atomics.store(words, Word.parked, 0);
  }
}

function post(message: OpeningMessage | WriterAnswer): void {
  parentPort!.postMessage(message);
}

function open(data: WriterData): Writer | null {
  try {
    const recovery = recover(data.directory, data.firstSequence);
    const writer = new Writer(data, recovery);
    post({ type: 'opened', recovered: recovery.recovered, journalId: recovery.journalId });
    return writer;
  } catch (error) {
    post({ type: 'refused', ...told(error) });
    return null;
  }
}

async function write(data: WriterData, writer: Writer): Promise<void> {
  try {
    await writer.run();
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
const writer = open(data);
if (writer !== null) {
  await write(data, writer);
  writer.end();
}
