import { AckgateError, hasCode } from '../errors.js';
import { describe } from '../shared/describe.js';
import type { Logger } from '../shared/logger.js';

/** The stages of a shutdown, in order. Each runs, whatever became of those before it. */
export const shutdownStages = [
  'readiness',
  'accepting',
  'notify',
  'drain',
  'force-close',
  'flush',
  'stage',
  'health',
] as const;
export type ShutdownStage = (typeof shutdownStages)[number];

export interface ShutdownFailure {
  readonly stage: ShutdownStage;
  readonly error: unknown;
}

/** Parts of a shutdown have failed; all the others were done. */
export class ShutdownError extends AckgateError {
  readonly failures: readonly ShutdownFailure[];

  constructor(failures: readonly ShutdownFailure[]) {
    const list = failures.map(({ stage, error }) => `${stage}: ${messageOf(error)}`).join('; ');
    super('ERR_ACKGATE_SHUTDOWN_FAILED', `the shutdown was not in order: ${list}`, {
      cause: failures[0].error,
    });
    this.failures = failures;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_SHUTDOWN_FAILED');
  }
}

export interface FlushFailure {
  /** Name of the service. */
  readonly service: string;
  readonly error: unknown;
}

/** Services could not flush; all were asked. */
export class FlushError extends AckgateError {
  readonly failures: readonly FlushFailure[];

  constructor(failures: readonly FlushFailure[]) {
    const list = failures.map(({ service, error }) => `${service}: ${messageOf(error)}`).join('; ');
    super('ERR_ACKGATE_FLUSH_FAILED', `not everything could be flushed: ${list}`, {
      cause: failures[0].error,
    });
    this.failures = failures;
  }

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
