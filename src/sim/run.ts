import { type Invariant, SimulationFailure } from './failure.js';
import type { Fault } from './faults.js';
import type { Scenario } from './scenario.js';
import { World, type WorldOptions } from './world/world.js';

/** How one run went. */
export interface RunResult {
  scenario: Scenario;
  /** Null: every invariant held. */
  failure: { invariant: Invariant; message: string; atNs: number } | null;
  /** Of all that happened, in order: 64 bits in hexadecimal. */
  hash: string;
  /** Records published, and virtual nanoseconds that passed. */
  records: number;
  virtualNs: number;
  /** How often each fault has struck, clients were dropped for each reason, and each way out was taken. */
  fired: Partial<Record<Fault, number>>;
  drops: Record<string, number>;
  reached: Record<string, number>;
  /** What happened, line by line, when it was asked for. */
  trace: readonly string[] | null;
}

export interface RunOptions extends WorldOptions {
  /** Run it a second time, which must go the same way (default true). */
  twice?: boolean;
}

/** Runs a scenario to its end, or to the first invariant that is broken. */
export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
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
