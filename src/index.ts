/**
 * The stage: answers are published to a ring, wait until the policy calls their sequence durable, and are sent to their
 * connections, in one kernel call for many, on a thread of its own.
 *
 * ```js
 * const journal = await FileJournal.open({ directory: 'journal' });
 * const stage = await startStage({ policy: 'local', epoch: journal.epoch });
 * await journal.drive(stage);
 * const connectionId = stage.attach(socket);
 * const wireSeq = journal.append(request);
 * stage.producer.tryPublish({
 *   connectionId, wireSeq, payload: answer, lastInRequest: true,
 * });
 * ```
 *
 * @module ackgate
 */

export type { CapturedRecord, LevelGrant, StageDiagnosis } from './diagnosis/api.js';
export type { Directive, DirectiveSnapshot, DirectiveStore } from './diagnosis/directive.js';
export { type DiagnosisLevel, diagnosisLevels } from './diagnosis/levels.js';
export type { Redactor } from './diagnosis/redactor.js';
export type { DropReason } from './egress/counters.js';
export type { Backend } from './egress/sender.js';
export type { Encoder } from './encode/encoder.js';
export { applicationTagMin, ControlTag, type Framing, lengthPrefixFraming } from './encode/framing.js';
export { AckgateError, type AckgateErrorCode, AckgateRangeError } from './errors.js';
export type { CursorFrame, IngestResult, NodeStatus } from './gate/cursor-frame.js';
export { ConnectionCursor, type Cursors, PrimaryCursor } from './gate/cursors.js';
export type { DegradationFields } from './gate/degradation-logger.js';
export {
  type Across,
  type Clause,
  type DurabilityMode,
  type Level,
  MAX_CLUSTER_SIZE,
  modeToPolicy,
  type NodeCursor,
  Policy,
  type PolicyEvaluation,
  type PolicyInput,
  parseMode,
} from './policy/index.js';
export * from './ring/index.js';
export { type Clock, monotonicNow } from './shared/clock.js';
export type { ControlOutcome } from './shared/control-outcome.js';
export { type Logger, silentLogger } from './shared/logger.js';
export type {
  ClosedEvent,
  DiagnosisOptions,
  DroppedEvent,
  Stage,
  StageEvents,
  StageOptions,
} from './stage/api.js';
export type {
  DegradedEvent,
  FencedEvent,
  ModeChangedEvent,
  StageChannelMessage,
  StageChannels,
} from './stage/channels.js';
export { createInlineStage, type InlineStage, type InlineStageOptions } from './stage/inline-stage.js';
export { type OpenedStage, openStage, type StageHandle } from './stage/open-stage.js';
export { startStage } from './stage/start-stage.js';
export type { StageStateName } from './stage/state.js';
export type { StageBlocker, StageStatus, StatusField, StatusText } from './stage/status.js';
export type { StatusNumbers } from './stage/status-numbers.js';
export type { TimingHistograms, TimingName } from './stage/timings.js';
