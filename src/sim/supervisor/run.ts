import { boolean, checkKeys, integer } from '../../shared/checks.js';
import type { SupervisorStatus } from '../../supervisor/counters.js';
import type { SupervisorFailure } from './invariants.js';
import { drawSupervisorScenario, type SupervisorScenario } from './scenario.js';
import { type SupervisedOptions, SupervisedWorld } from './world.js';

/** How one run of the supervisor's world went. */
export interface SupervisorRun {
  /** What was run, whole. */
  readonly scenario: SupervisorScenario;
  /** Null: every invariant held. */
  readonly failure: SupervisorFailure | null;
  /** Of all that happened, in order: 64 bits in hexadecimal. */
  readonly hash: string;
  /** Tasks of the control thread. */
  readonly tasks: number;
  /** Those of them before the shutdown began. */
  readonly tasksBefore: number;
  /** Virtual nanoseconds from the start to the end of the run. */
  readonly virtualNs: number;
  /** What the supervisor has counted, at the end. */
  readonly status: SupervisorStatus;
  /** What happened, line by line, when it was asked for. */
  readonly trace: readonly string[] | null;
}

export interface SupervisedRunOptions extends SupervisedOptions {
  /** Run it a second time, which must go the same way (default false). */
  twice?: boolean;
}

/** Runs one scenario to its end, or to the first invariant that is broken. */
export async function runSupervised(
  scenario: SupervisorScenario,
  options: SupervisedRunOptions = {},
): Promise<SupervisorRun> {
  const result = await runOnce(scenario, options);
  if (!options.twice || result.failure !== null) return result;
  const { hash } = await runOnce(scenario, {});
  if (hash === result.hash) return result;
  const message = `the second run of seed ${scenario.seed} went another way (${hash}, not ${result.hash})`;
  const { virtualNs: atNs, tasks: task } = result;
  return { ...result, failure: { invariant: 'S16', message, atNs, task } };
}

async function runOnce(scenario: SupervisorScenario, options: SupervisedOptions): Promise<SupervisorRun> {
  const world = new SupervisedWorld(scenario, options);
  await world.run();
  return {
    scenario,
    failure: world.failure,
    hash: world.trace.hash,
    tasks: world.thread.tasks,
    tasksBefore: world.tasksBefore,
    virtualNs: world.elapsedNs,
    status: world.supervisor.status(),
    trace: world.trace.lines,
  };
}

/** What `simulateSupervisor` can be told. */
export interface SimulateSupervisorOptions {
  /** Everything that is drawn comes from it: 0 … 2^53-1 (default 1). */
  readonly seed?: number;
  /** Begin the shutdown behind so many tasks of the control thread, from 1 on (default: when the seed says). */
  readonly shutdownAfterTask?: number;
  /** Keep what happens, line by line (default false). */
  readonly trace?: boolean;
  /** Run it a second time, which must go the same way (default true). */
  readonly twice?: boolean;
}

/**
 * Runs the shipped supervisor before the shipped stage in a simulated world, until it has shut down or the first invariant
 * is broken: see `failure` of the result. The same options give the same result, on every machine.
 *
 * @throws AckgateError that names the option for everything that can't be meant
 */
export async function simulateSupervisor(options: SimulateSupervisorOptions = {}): Promise<SupervisorRun> {
  checkKeys('options', options, ['seed', 'shutdownAfterTask', 'trace', 'twice']);
  const { seed = 1, shutdownAfterTask = null, trace = false, twice = true } = options;
  integer('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  if (shutdownAfterTask !== null) integer('shutdownAfterTask', shutdownAfterTask, 1, 2 ** 31 - 1);
  boolean('trace', trace);
  boolean('twice', twice);
  return runSupervised({ ...drawSupervisorScenario(seed), shutdownAfterTask }, { trace, twice });
}
