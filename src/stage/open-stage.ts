import type { CapturedRecord } from '../diagnosis/api.js';
import { nativeAddon } from '../egress/native.js';
import { AckgateError } from '../errors.js';
import type { Cursors } from '../gate/cursors.js';
import type { Producer } from '../ring/producer.js';
import { checkMemory, type StageMemory, Word, wakeFdOf } from '../shared/memory.js';
import { StageView } from './stage-view.js';
import { StageState } from './state.js';
import type { StageStatus } from './status.js';
import type { TimingHistograms } from './timings.js';

/** Names a running stage for other threads of this process. Plain data: post it anywhere. */
export interface StageHandle {
  /** @internal What the threads of the stage share. Its layout is no contract. */
  readonly memory: StageMemory;
  /** The latency histograms, shared with the stage. */
  readonly timings: TimingHistograms;
}

/** A stage as another thread sees it. */
export interface OpenedStage {
  /** The writing end of the output ring; one thread at a time may publish. */
  readonly producer: Producer;
  /** The cursors that the policy goes by. */
  readonly cursors: Cursors;
  /** One consistent copy of the status block. */
  status(): StageStatus;
  /** The latency histograms, shared with the stage. */
  readonly timings: TimingHistograms;
  /** As `StageDiagnosis.captured`. */
  captured(after?: number): CapturedRecord[];
  /** Gives the writing end and the descriptor back. Does nothing the second time. */
  close(): void;
}

/**
 * Opens a stage on this thread by the handle from `stage.share()`.
 *
 * @throws ERR_ACKGATE_HANDLE_VERSION, ERR_ACKGATE_STAGE_CLOSED, ERR_ACKGATE_INVALID_ARGUMENT
 */
export function openStage(handle: StageHandle): OpenedStage {
  if (typeof handle !== 'object' || handle === null || typeof handle.timings !== 'object') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'handle must come from stage.share()');
  }
  checkMemory(handle.memory);
  const words = new Int32Array(handle.memory.buffer);
  const addon = nativeAddon();
  const wakeFd = addon.dupFd(wakeFdOf(handle.memory));
  // The descriptor is closed only after the state says so: if it does not, the dup is the right one.
  if (wakeFd < 0 || Atomics.load(words, Word.state) >= StageState.failed) {
    if (wakeFd >= 0) addon.closeFd(wakeFd);
    throw new AckgateError('ERR_ACKGATE_STAGE_CLOSED', 'the stage of this handle has ended');
  }
  const view = new StageView(handle.memory, () => addon.wake(wakeFd));
  let open = true;
  return {
    producer: view.producer,
    cursors: view.cursors,
    status: () => view.status(),
    timings: handle.timings,
    captured: (after) => view.captured(after),
    close() {
      if (!open) return;
      open = false;
      view.producer.release();
      view.waker.mute();
      addon.closeFd(wakeFd);
    },
  };
}
