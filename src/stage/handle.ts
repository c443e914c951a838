import { nativeAddon } from '../egress/native.js';
import { AckgateError } from '../errors.js';
import { CursorLines } from '../gate/cursor-lines.js';
import { Cursors } from '../gate/cursors.js';
import { NodeNames } from '../gate/node-names.js';
import { RingObserver } from '../ring/consumer.js';
import { Producer } from '../ring/producer.js';
import { type Clock, monotonicNow } from '../shared/clock.js';
import { checkMemory, nodeLines, type StageMemory, Word } from '../shared/memory.js';
import { StageState, stageStateNames } from './state.js';
import { type StageStatus, StatusReader, toStageStatus } from './status.js';
import { Waker } from './waker.js';

/** Names a running stage for other threads of this process. Plain data: post it anywhere. */
export interface StageHandle {
  readonly memory: StageMemory;
  /** The stage's eventfd; whoever opens the handle dups it. */
  readonly wakeFd: number;
}

/** A stage as another thread sees it. */
export interface OpenedStage {
  /** The writing end of the output ring; one thread at a time may publish. */
  readonly producer: Producer;
  readonly cursors: Cursors;
  status(): StageStatus;
  /** Gives the writing end and the descriptor back. Does nothing the second time. */
  close(): void;
}

/** The parts of a stage's memory that every thread looks at in the same way. */
export class StageView {
  readonly producer: Producer;
  readonly cursors: Cursors;
  readonly waker: Waker;
  readonly output: RingObserver;
  readonly words: Int32Array;
  readonly #status: StatusReader;
  readonly #clock: Clock;

  constructor(memory: StageMemory, wakeFd: number, clock: Clock = monotonicNow) {
    const addon = nativeAddon();
    this.#clock = clock;
    this.words = new Int32Array(memory.buffer);
    this.waker = new Waker(memory.buffer, clock, () => addon.wake(wakeFd));
    this.producer = new Producer(memory.output, this.waker);
    this.output = new RingObserver(memory.output);
    this.cursors = new Cursors({
      lines: new CursorLines(memory.buffer, nodeLines + 1),
      names: new NodeNames(memory.buffer),
      highestPublished: () => this.output.highestSeq(),
      wake: () => this.waker.wake(),
    });
    this.#status = new StatusReader(memory.buffer);
  }

  get state(): number {
    return Atomics.load(this.words, Word.state);
  }

  status(): StageStatus {
    return toStageStatus(this.#status.read(), stageStateNames[this.state], this.#clock());
  }
}

/**
 * Opens a stage on this thread by the handle from `stage.share()`.
 *
 * @throws ERR_ACKGATE_HANDLE_VERSION, ERR_ACKGATE_STAGE_CLOSED, ERR_ACKGATE_INVALID_ARGUMENT
 */
export function openStage(handle: StageHandle): OpenedStage {
  if (typeof handle !== 'object' || handle === null || !Number.isInteger(handle.wakeFd)) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'handle must come from stage.share()');
  }
  checkMemory(handle.memory);
  const words = new Int32Array(handle.memory.buffer);
  const addon = nativeAddon();
  const wakeFd = addon.dupFd(handle.wakeFd);
  // The descriptor is closed only after the state says so: if it does not, the dup is the right one.
  if (wakeFd < 0 || Atomics.load(words, Word.state) >= StageState.failed) {
    if (wakeFd >= 0) addon.closeFd(wakeFd);
    throw new AckgateError('ERR_ACKGATE_STAGE_CLOSED', 'the stage of this handle has ended');
  }
  const view = new StageView(handle.memory, wakeFd);
  let open = true;
  return {
    producer: view.producer,
    cursors: view.cursors,
    status: () => view.status(),
    close() {
      if (!open) return;
      open = false;
      view.producer.release();
      view.waker.mute();
      addon.closeFd(wakeFd);
    },
  };
}
