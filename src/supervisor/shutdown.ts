import { AckgateError, hasCode } from '../errors.js';
import { describe } from '../shared/describe.js';
import { everyOf } from '../shared/every-of.js';
import type { Logger } from '../shared/logger.js';

/** Name of a stage of a shutdown. */
export type ShutdownStage =
  /** `/ready` says no from now on. */
  | 'readiness'
  /** No new connections. */
  | 'accepting'
  /** Clients with subscriptions are told. */
  | 'notify'
  /** Work under way ends, at most for the drain time. */
  | 'drain'
  /** What is left is closed. */
  | 'force-close'
  /** Services make durable what they hold. */
  | 'flush'
  /** The stage is closed. */
  | 'stage'
  /** The health server is closed. */
  | 'health';

/** In order. Each runs, whatever became of those before it. */
const shutdownStages = everyOf<ShutdownStage>()([
  'readiness',
  'accepting',
  'notify',
  'drain',
  'force-close',
  'flush',
  'stage',
  'health',
]);

/** A stage of a shutdown that has failed. */
export interface ShutdownFailure {
  /** Which one. */
  readonly stage: ShutdownStage;
  /** What it threw. */
  readonly error: unknown;
}

/** Parts of a shutdown have failed; all the others were done. */
export class ShutdownError extends AckgateError {
  /** The stages that have failed, in their order, one or more. */
  readonly failures: readonly ShutdownFailure[];

  constructor(failures: readonly ShutdownFailure[]) {
    const list = failures.map(({ stage, error }) => `${stage}: ${messageOf(error)}`).join('; ');
    super('ERR_ACKGATE_SHUTDOWN_FAILED', `the shutdown was not in order: ${list}`, {
      cause: failures[0].error,
    });
    this.failures = failures;
  }

  /** By its code, so that it also holds for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_SHUTDOWN_FAILED');
  }
}

/** A service that could not flush. */
export interface FlushFailure {
  /** Name of the service. */
  readonly service: string;
  /** What its `flush` threw, or that it was not done in time. */
  readonly error: unknown;
}

/** Services could not flush; all were asked. */
export class FlushError extends AckgateError {
  /** The services that could not flush, in their order, one or more. */
  readonly failures: readonly FlushFailure[];

  constructor(failures: readonly FlushFailure[]) {
    const list = failures.map(({ service, error }) => `${service}: ${messageOf(error)}`).join('; ');
    super('ERR_ACKGATE_FLUSH_FAILED', `not everything could be flushed: ${list}`, {
      cause: failures[0].error,
    });
    this.failures = failures;
  }

  /** By its code, so that it also holds for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_FLUSH_FAILED');
  }
}

/** Runs every stage in order. @throws ShutdownError */
export async function runStages(
  stages: Record<ShutdownStage, () => unknown>,
  logger: Logger,
  now: () => number,
): Promise<void> {
  const failures: ShutdownFailure[] = [];
  for (const stage of shutdownStages) {
    const start = now();
    try {
      await stages[stage]();
      logger.debug({ stage, ms: Math.round(now() - start) }, 'shutdown stage done');
    } catch (error) {
      failures.push({ stage, error });
      logger.error({ stage, err: error }, 'shutdown stage failed');
    }
  }
  if (failures.length > 0) throw new ShutdownError(failures);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : describe(error);
}
