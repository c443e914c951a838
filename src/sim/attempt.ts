import type { Invariant } from './failure.js';
import { type RunOptions, type RunResult, runScenario } from './run.js';
import type { Scenario } from './scenario.js';

/** What can be wrong with a run: an invariant was broken, or the code under test, or the world, threw. */
export type Breakage = Invariant | 'crash';

/** What was wrong with a run of a scenario. */
export interface ScenarioFailure {
  /** The first invariant that was broken, or that something threw. */
  invariant: Breakage;
  /** What was seen, in a sentence; of a crash, its stack. */
  message: string;
}

export interface Attempt {
  failure: ScenarioFailure | null;
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
