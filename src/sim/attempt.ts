import type { Invariant } from './failure.js';
import { type RunOptions, type RunResult, runScenario } from './run.js';
import type { Scenario } from './scenario.js';

/** What can be wrong with a run: an invariant was broken, or the code under test, or the world, threw. */
export type Breakage = Invariant | 'crash';

export interface Attempt {
  failure: { invariant: Breakage; message: string } | null;
  /** Null after a crash. */
  result: RunResult | null;
}

/** Runs a scenario; also an exception that nobody expects is a way to fail. */
export function attempt(scenario: Scenario, options: RunOptions = {}): Attempt {
  try {
    const result = runScenario(scenario, options);
    return { failure: result.failure, result };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { failure: { invariant: 'crash', message }, result: null };
  }
}
