/** Runs a server under load for minutes or days, and says whether it leaks, slows down or loses anything. */
export { type Checkpoint, readCheckpoint } from './checkpoint.js';
export type { ChaosConfig, ClosedLoad, ServerChaos, SizeClass, SoakConfig } from './config.js';
export { checkForDriver, checkSoakConfig, type SoakConfigInput } from './config-check.js';
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
export { judgeRun } from './judge-run.js';
export type { RunPhase, SoakProgress } from './progress.js';
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
  scenarioNames,
  soakScenario,
} from './scenarios.js';
export { type Thresholds, thresholdsDefault } from './thresholds.js';
