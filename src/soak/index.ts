/**
 * The soak harness. It runs a server of yours under load and chaos for minutes or days and says, with figures and a
 * report, whether it leaks, slows down, loses or garbles anything: `soakScenario` or `checkSoakConfig` make the
 * configuration, a `SoakDriver` speaks your protocol, `runSoak` runs it, and `resumeSoak` goes on with a run whose runner
 * has crashed. Linux only.
 *
 * @module ackgate/soak
 */
export { type Checkpoint, type RunSource, readCheckpoint } from './checkpoint.js';
export type { ChaosConfig, ClosedLoad, ServerChaos, SizeClass, SoakConfig } from './config.js';
export { checkForDriver, checkSoakConfig, type FittedConfig, type SoakConfigInput } from './config-check.js';
export {
  batchSize,
  type ClientContext,
  type ClientEvents,
  type CreateDriver,
  expectedOutcome,
  type Operation,
  type Outcome,
  operations,
  type ServerCommand,
  type ServerContext,
  type ServerFault,
  type ServerHandle,
  type ServerStatus,
  type SoakClient,
  type SoakDriver,
  type SoakRequest,
  type ViolationKind,
} from './driver.js';
export { checkDriver } from './driver-check.js';
export {
  type Figure,
  type Finding,
  type FindingId,
  findingIds,
  type RunFinding,
  type Verdict,
} from './findings.js';
export { type JudgedRecord, judgeRun } from './judge-run.js';
export type { RunPhase, SoakProgress } from './progress.js';
export type { RunIdentity, RunProgress } from './run-book.js';
export type { ChaosEvent, Ended, FootprintRecord, PeakRecord, RunRecord, SoakResult } from './run-record.js';
export { type ResumeOptions, resumeSoak, runSoak, type SoakOptions } from './runner.js';
export type {
  LoadReading,
  LossCounts,
  OwnReading,
  Percentiles,
  Phase,
  ProcessReading,
  RequestCounts,
  Sample,
  WindowReading,
} from './samples.js';
export {
  fitDuration,
  requiredFindings,
  type ScenarioName,
  type ScenarioOptions,
  scenarioNames,
  soakScenario,
} from './scenarios.js';
export { defaultThresholds, type Thresholds } from './thresholds.js';
