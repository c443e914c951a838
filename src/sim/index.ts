/** The shipped stage in a simulated world; see docs/SIMULATION.md. */
export type { Breakage } from './attempt.js';
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
export { drawSupervisorScenario, type SupervisorScenario } from './supervisor/scenario.js';
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
