import { checkRedactor, type Redactor } from '../diagnosis/redactor.js';
import { checkEncoder, type Encoder } from '../encode/encoder.js';
import { checkFraming, type Framing, lengthPrefixFraming } from '../encode/framing.js';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { monotonicNow } from '../shared/clock.js';
import { describe } from '../shared/describe.js';
import type { DiagnosisOptions, Stage, StageOptions } from './api.js';
import { assembleStage } from './assemble.js';
import type { ControlledStage } from './controlled-stage.js';
import { guardExit } from './exit-guard.js';
import { checkOptions } from './options.js';
import type { ResponseStage } from './response-stage.js';
import { createControlledStage } from './start-stage.js';

/**
 * As for `startStage`; but encoder, framing and redactor are objects, and what to do when idle is up to the caller's
 * loop.
 */
export interface InlineStageOptions extends Omit<StageOptions, 'encoder' | 'framing' | 'idle' | 'diagnosis'> {
  encoder?: Encoder;
  framing?: Framing;
  diagnosis?: Omit<DiagnosisOptions, 'redactor'> & { redactor?: Redactor };
}

/** A stage that runs in the caller's own loop, on the caller's thread. */
export interface InlineStage extends Stage {
  /**
   * One round; never blocks. Returns how much was done, 0 when there was nothing to do. Events are emitted from here.
   *
   * @param nowNs monotonic nanoseconds (default: read from `monotonicNow`); a lower one than before counts as that
   * @throws ERR_ACKGATE_OUT_OF_RANGE
   */
  doWork(nowNs?: number): number;
  /** Sleeps, and blocks this thread, until there may be something to do; 50 ms at most. */
  park(): void;
}

/** Makes a stage that does nothing until its `doWork` is called, again and again. Errors as for `startStage`. */
export function createInlineStage(options: InlineStageOptions = {}): InlineStage {
  const { encoder = null, framing = lengthPrefixFraming, diagnosis = {}, ...rest } = options;
  const { redactor = null, ...levels } = diagnosis;
  checkFraming(framing, 'framing');
  if (encoder !== null) checkEncoder(encoder, 'encoder');
  if (redactor !== null) checkRedactor(redactor, 'diagnosis.redactor');
  if ('idle' in rest) {
    throw new AckgateError(
      'ERR_ACKGATE_UNKNOWN_OPTION',
      'an inline stage has no option "idle": its loop decides',
    );
  }
  const checked = checkOptions({ ...rest, diagnosis: levels });
  const { stage, memory, wakeFd } = createControlledStage(checked);
  let inner: ResponseStage;
  try {
    inner = assembleStage({
      memory,
      backend: checked.backend,
      wakeFd,
      ringEntries: checked.ringEntries,
      sqpoll: checked.sqpoll,
      clock: monotonicNow,
      policy: checked.policy,
      limits: checked.limits,
      ringBell: () => {},
      encoder,
      framing,
      redactor,
      histograms: stage.timings,
    });
  } catch (error) {
    stage.finish();
    throw error;
  }
  return runInline(stage, inner);
}

function runInline(stage: ControlledStage, inner: ResponseStage): InlineStage {
  const unguard = guardExit(() => inner.abandon());
  let finished = false;
  let lastNs = 0;
  return Object.assign(stage, {
    doWork(nowNs = monotonicNow()): number {
      if (typeof nowNs !== 'number' || !Number.isFinite(nowNs) || nowNs < 0) {
        throw new AckgateRangeError(
          'ERR_ACKGATE_OUT_OF_RANGE',
          `nowNs must be monotonic nanoseconds as a number, got ${describe(nowNs)}`,
        );
      }
      if (finished) return 0;
      lastNs = Math.max(lastNs, nowNs);
      try {
        return inner.doWork(lastNs);
      } finally {
        stage.drainEvents();
        if (inner.ended) {
          finished = true;
          unguard();
          stage.finish();
        }
      }
    },
    park(): void {
      if (!finished) inner.park();
    },
  });
}
