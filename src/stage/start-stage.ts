import { Worker } from 'node:worker_threads';
import { nativeAddon } from '../egress/native.js';
import { AckgateError, type AckgateErrorCode, ackgateErrorCodes } from '../errors.js';
import { customModeByte } from '../policy/index.js';
import { createMemory, type StageMemory, setWakeFd, Word } from '../shared/memory.js';
import { explainNoThread } from '../shared/no-thread.js';
import type { Stage, StageOptions } from './api.js';
import { ControlledStage } from './controlled-stage.js';
import { guardExit } from './exit-guard.js';
import { type CheckedOptions, checkOptions } from './options.js';
import { seatPrimary } from './seat-primary.js';
import { StageState } from './state.js';
import { createTimingHistograms } from './timings.js';
import type { WorkerInput, WorkerMessage } from './worker.js';

/** Longest time that a stage takes to end after its drain time, with all that it waits for, and much to spare. */
const hangMs = 5000;

/**
 * Starts a stage on a thread of its own.
 *
 * @throws `AckgateError` for options that can't be meant, ERR_ACKGATE_ADDON_MISSING, ERR_ACKGATE_URING_UNAVAILABLE,
 *   ERR_ACKGATE_ENCODER_MODULE, ERR_ACKGATE_REDACTOR_MODULE; ERR_ACKGATE_STAGE_FAILED when there is no thread to be had,
 *   ERR_ACKGATE_TOO_MANY_FDS when no descriptors are left to start with
 */
export async function startStage(options: StageOptions = {}): Promise<Stage> {
  const checked = checkOptions(options);
  const { stage, memory, wakeFd } = createControlledStage(checked);
  const { policy } = checked;
  const input: WorkerInput = {
    memory,
    wakeFd,
    limits: checked.limits,
    policy: policy.byte === customModeByte ? policy.policy.toString() : policy.mode,
    backend: checked.backend,
    idle: checked.idle,
    encoder: checked.encoder,
    framing: checked.framing,
    redactor: checked.diagnosis.redactor,
    ringEntries: checked.ringEntries,
    sqpoll: checked.sqpoll,
    histograms: stage.timings,
  };
  let worker: Worker;
  try {
    worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: input,
      name: 'ackgate stage',
    });
  } catch (error) {
    // There was nobody yet who could have claimed anything.
    stage.finish();
    const message = `the stage's thread can't be started: ${explainNoThread(error)}`;
    throw new AckgateError('ERR_ACKGATE_STAGE_FAILED', message, { cause: error });
  }
  const unguard = guardExit(() => stage.abandon());
  let refused: Extract<WorkerMessage, object> | null = null;
  let ready = false;
  let watchdog: NodeJS.Timeout | undefined;
  stage.onClosing((drainMs) => {
    // A thread that hangs, in an encoder say, can't be asked to end.
    watchdog = setTimeout(() => {
      refused ??= {
        code: undefined,
        message: 'its thread did not end when it was to close, and was terminated',
      };
      worker.terminate();
    }, drainMs + hangMs);
    watchdog.unref();
  });

  return new Promise((resolve, reject) => {
    worker.on('message', (message: WorkerMessage) => {
      if (message === 'ready') {
        ready = true;
        stage.drainEvents();
        warnOfFewFds(checked);
        resolve(stage);
      }
      // Not at once: messages that come meanwhile would be handled right behind it, and while log lines pour in this
      // thread would get to nothing else.
      else if (message === 'events') setImmediate(() => stage.drainEvents());
      else refused = message;
    });
    worker.on('error', (error) => {
      refused = error as Error & { code: string | undefined };
    });
    worker.on('exit', () => {
      unguard();
      clearTimeout(watchdog);
      stage.finish(ready ? (refused ?? { code: undefined, message: 'its thread ended' }) : null);
      // Settles nothing when the stage had started: then its events have told.
      reject(refusal(refused));
    });
  });
}

/** Shared memory and the control side of a stage that is yet to run. */
export function createControlledStage(options: CheckedOptions): {
  stage: ControlledStage;
  memory: StageMemory;
  wakeFd: number;
} {
  const memory = createMemory({
    connections: options.connections,
    ringCapacity: options.ring.capacity,
    maxPayload: options.ring.maxPayload,
    captureRecords: options.diagnosis.captureRecords,
    captureBytes: options.diagnosis.captureBytes,
  });
  seatPrimary(memory, options.zone);
  // If this thread is terminated nobody else can say that the stage has ended, and other threads have to know before
  // the descriptor's number gets a new meaning.
  const state = new Int32Array(memory.buffer, Word.state * 4, 1);
  const wakeFd = nativeAddon().createWakeFd(state, StageState.failed);
  if (wakeFd < 0) {
    throw new AckgateError('ERR_ACKGATE_TOO_MANY_FDS', `no wake descriptor could be made (errno ${-wakeFd})`);
  }
  setWakeFd(memory, wakeFd);
  return { stage: new ControlledStage(memory, wakeFd, options, createTimingHistograms()), memory, wakeFd };
}

function warnOfFewFds({ connections, logger }: CheckedOptions): void {
  const { soft } = nativeAddon().fdLimits();
  const needed = connections * 2;
  if (soft < needed) {
    logger.warn(
      { limit: soft, needed },
      'fewer file descriptors are allowed than all connections would take',
    );
  }
}

function refusal(refused: { code: string | undefined; message: string } | null): AckgateError {
  const known = ackgateErrorCodes.find((code) => code === refused?.code) as AckgateErrorCode | undefined;
  const message = refused?.message ?? 'its thread ended before it was ready';
  // Of Node's loader: the thread opens its modules.
  if (refused?.code === 'EMFILE' || refused?.code === 'ENFILE') {
    return new AckgateError('ERR_ACKGATE_TOO_MANY_FDS', `the stage failed: ${message} (see ulimit -n)`);
  }
  return new AckgateError(
    known ?? 'ERR_ACKGATE_STAGE_FAILED',
    known ? message : `the stage failed: ${message}`,
  );
}
