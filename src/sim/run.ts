import { checkKeys } from '../shared/checks.js';
import { type Invariant, SimulationFailure } from './failure.js';
import type { Fault } from './faults.js';
import type { Scenario } from './scenario.js';
import { World, type WorldOptions } from './world/world.js';

/** How one run went. */
export interface RunResult {
  /** What was run, whole: it is all that is needed to run it again. */
  scenario: Scenario;
  /** Null: every invariant held. */
  failure: {
    /** The first one that was broken. */
    invariant: Invariant;
    /** What was seen, in a sentence. */
    message: string;
    /** When, in virtual nanoseconds since the start. */
    atNs: number;
  } | null;
  /** Of all that happened, in order: 64 bits in hexadecimal. */
  hash: string;
  /** Records published. */
  records: number;
  /** Virtual nanoseconds from the start to the end of the run. */
  virtualNs: number;
  /** How often each fault has struck; one that never did is missing. */
  fired: Partial<Record<Fault, number>>;
  /** Clients dropped, by reason; a reason that never came up is missing. */
  drops: Record<string, number>;
  /** How often each of `fallbacks` was taken; one that never was is missing. */
  reached: Record<string, number>;
  /** What happened, line by line, when it was asked for. */
  trace: readonly string[] | null;
}

/** How a scenario is run. */
export interface RunOptions extends WorldOptions {
  /** Run it a second time, which must go the same way (default true). */
  readonly twice?: boolean;
}

/**
 * Runs a scenario to its end, or to the first invariant that is broken.
 *
 * @throws AckgateError ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT for options
 */
export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
  checkKeys('options', options, ['trace', 'writesBeside', 'twice']);
  const result = runOnce(scenario, options);
  if (options.twice === false || result.failure !== null) return result;
  const { hash } = runOnce(scenario, { ...options, trace: false });
  if (hash === result.hash) return result;
  const message = `the second run of seed ${scenario.seed} went another way (${hash}, not ${result.hash})`;
  return { ...result, failure: { invariant: 'I12', message, atNs: result.virtualNs } };
}

function runOnce(scenario: Scenario, options: WorldOptions): RunResult {
  const world = new World(scenario, options);
  let failure: RunResult['failure'] = null;
  try {
    world.run();
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    failure = { invariant: error.invariant, message: error.message, atNs: world.elapsedNs };
  }
  return {
    scenario,
    failure,
    hash: world.trace.hash,
    records: world.records.count,
    virtualNs: world.elapsedNs,
    fired: world.faults.fired,
    drops: world.server.drops,
    reached: world.reached,
    trace: world.trace.lines,
  };
}
