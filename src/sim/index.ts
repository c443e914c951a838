/**
 * The simulator. It runs the shipped stage, or the shipped supervisor, in a simulated world of clients, kernel, disks and
 * replicas, where everything follows from a seed and an independent model checks every step: `simulate` for one run of
 * your choice, `runSwarm` for thousands of drawn ones, `shrinkScenario` for what one that failed comes down to. `whatIf`
 * uses the same world to answer what acknowledgement latency and loss would be on a cluster that need not exist yet.
 *
 * @module ackgate/sim
 */
export type { Breakage, ScenarioFailure } from './attempt.js';
export { type Invariant, invariants, SimulationFailure } from './failure.js';
export type { FaultChoice } from './fault-list.js';
export { type Fault, type FaultRates, faultNames, faults } from './faults.js';
export { type RunOptions, type RunResult, runScenario } from './run.js';
export {
  drawScenario,
  plainScenario,
  policiesFor,
  type Scenario,
  type ScenarioNode,
} from './scenario.js';
export { checkScenario, type ScenarioDifference, scenarioDifference } from './scenario-check.js';
export { type ShrinkOptions, type ShrunkScenario, shrinkScenario } from './shrink.js';
export { type SimulateOptions, scenarioOf, simulate } from './simulate.js';
export {
  type SupervisorFailure,
  type SupervisorInvariant,
  supervisorInvariants,
} from './supervisor/invariants.js';
export { type SimulateSupervisorOptions, type SupervisorRun, simulateSupervisor } from './supervisor/run.js';
export {
  drawSupervisorScenario,
  type ShutdownTrouble,
  type SupervisorScenario,
} from './supervisor/scenario.js';
export {
  type SupervisorSweep,
  type SupervisorSweepFailure,
  type SupervisorSweepOptions,
  sweepSupervisor,
} from './supervisor/sweep.js';
export {
  type Coverage,
  runSwarm,
  type SeedFailure,
  type SwarmOptions,
  type SwarmProgress,
  type SwarmResult,
} from './swarm/index.js';
export * from './whatif/index.js';
export { type Fallback, fallbacks } from './world/reached.js';
export type { WorldOptions } from './world/world.js';
