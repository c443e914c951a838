import { checkRedactor, type Redactor } from '../diagnosis/redactor.js';
import { checkEncoder, type Encoder } from '../encode/encoder.js';
import { checkFraming, type Framing, lengthPrefixFraming } from '../encode/framing.js';
import { AckgateError } from '../errors.js';
import { outOfRange } from '../shared/checks.js';
import { monotonicNow } from '../shared/clock.js';
import type { DiagnosisOptions, Stage, StageOptions } from './api.js';
import { assembleStage } from './assemble.js';
import type { ControlledStage } from './controlled-stage.js';
import { guardExit } from './exit-guard.js';
import { checkNames, checkOptions } from './options.js';
import type { ResponseStage } from './response-stage.js';
import { createControlledStage } from './start-stage.js';

/**
 * As for `startStage`; but encoder, framing and redactor are objects, and what to do when idle is up to the caller's
 * loop.
 */
export interface InlineStageOptions extends Omit<StageOptions, 'encoder' | 'framing' | 'idle' | 'diagnosis'> {
  /** Makes bodies of payloads. Default: payloads are already encoded and are sent as they are, in a frame. */
  readonly encoder?: Encoder;
  /** How bodies become frames (default `lengthPrefixFraming`). */
  readonly framing?: Framing;
  /** As for `startStage`. */
  readonly diagnosis?: Omit<DiagnosisOptions, 'redactor'> & {
    /** Overwrites what must not be seen in captured bodies. Default: they are captured as they are. */
    readonly redactor?: Redactor;
  };
}

/** A stage that runs in the caller's own loop, on the caller's thread. */
export interface InlineStage extends Stage {
  /**
   * One round; never blocks. Returns how much was done, 0 when there was nothing to do. Events are emitted from here.
   *
   * @param nowNs monotonic nanoseconds (default: read from `monotonicNow`); a lower one than before counts as that
   * @throws ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_INVALID_ARGUMENT
   */
  doWork(nowNs?: number): number;
  /** Sleeps, and blocks this thread, until there may be something to do; 50 ms at most. */
  park(): void;
}

/** Makes a stage that does nothing until its `doWork` is called, again and again. Errors as for `startStage`. */
export function createInlineStage(options: InlineStageOptions = {}): InlineStage {
  checkNames(options);
  const { encoder, framing = lengthPrefixFraming, diagnosis = {}, ...rest } = options;
  const { redactor, ...levels } = diagnosis;
  checkFraming(framing, 'framing');
  if (encoder !== undefined) checkEncoder(encoder, 'encoder');
  if (redactor !== undefined) checkRedactor(redactor, 'diagnosis.redactor');
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
      encoder: encoder ?? null,
      framing,
      redactor: redactor ?? null,
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
        throw outOfRange('nowNs', 'monotonic nanoseconds as a number', nowNs);
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
