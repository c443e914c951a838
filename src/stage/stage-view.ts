import type { CapturedRecord } from '../diagnosis/api.js';
import { CaptureReader } from '../diagnosis/capture-ring.js';
import { AckgateRangeError } from '../errors.js';
import { CursorLines } from '../gate/cursor-lines.js';
import { Cursors } from '../gate/cursors.js';
import { FrameLines } from '../gate/frame-lines.js';
import { NodeNames } from '../gate/node-names.js';
import { RingObserver } from '../ring/consumer.js';
import { Producer } from '../ring/producer.js';
import { type Clock, monotonicNow } from '../shared/clock.js';
import { nodeLines, type StageMemory, Word } from '../shared/memory.js';
import { stageStateNames } from './state.js';
import { type StageStatus, StatusReader, toStageStatus } from './status.js';
import { Waker } from './waker.js';

/** The parts of a stage's memory that every thread looks at in the same way. */
export class StageView {
  readonly producer: Producer;
  readonly cursors: Cursors;
  readonly waker: Waker;
  readonly output: RingObserver;
  readonly words: Int32Array;
  readonly #status: StatusReader;
  readonly #capture: CaptureReader;
  readonly #clock: Clock;

  /** `wake` makes the stage's wake descriptor readable. */
  constructor(memory: StageMemory, wake: () => void, clock: Clock = monotonicNow) {
    this.#clock = clock;
    this.words = new Int32Array(memory.buffer);
    this.waker = new Waker(memory.buffer, clock, wake);
    this.producer = new Producer(memory.output, this.waker);
    this.output = new RingObserver(memory.output);
    this.cursors = new Cursors({
      lines: new CursorLines(memory.buffer, nodeLines + 1),
      frames: new FrameLines(memory.buffer),
      names: new NodeNames(memory.buffer),
      clock,
      highestPublished: () => this.output.highestSeq(),
      wake: () => this.waker.wake(),
    });
    this.#status = new StatusReader(memory.buffer);
    this.#capture = new CaptureReader(memory.buffer, memory.capture);
  }

  get state(): number {
    return Atomics.load(this.words, Word.state);
  }

  /** What is still in the capture ring with a number above `after` (default 0), oldest first. */
  captured(after = 0): CapturedRecord[] {
    if (typeof after !== 'number' || !(after >= 0)) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `after must be 0 or more, got ${String(after)}`,
      );
    }
    return this.#capture.read(after);
  }

  status(): StageStatus {
    return toStageStatus(this.#status.read(), stageStateNames[this.state], this.#clock());
  }
}
