export type { CapturedRecord, LevelGrant, StageDiagnosis } from './diagnosis/api.js';
export type { Directive, DirectiveSnapshot, DirectiveStore } from './diagnosis/directive.js';
export { type DiagnosisLevel, diagnosisLevels } from './diagnosis/levels.js';
export type { Redactor } from './diagnosis/redactor.js';
export type { DropReason } from './egress/counters.js';
export type { Encoder } from './encode/encoder.js';
export { ControlTag, type Framing, lengthPrefixFraming } from './encode/framing.js';
export { AckgateError, type AckgateErrorCode, AckgateRangeError } from './errors.js';
export type { CursorFrame, IngestResult, NodeStatus } from './gate/cursor-frame.js';
export { ConnectionCursor, type Cursors, PrimaryCursor } from './gate/cursors.js';
export {
  type Clause,
  type DurabilityMode,
  type Level,
  MAX_CLUSTER_SIZE,
  modeFromByte,
  modeToByte,
  modeToPolicy,
  type NodeCursor,
  Policy,
  parseMode,
} from './policy/index.js';
export * from './ring/index.js';
export { type Clock, monotonicNow } from './shared/clock.js';
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
  DegradedChange,
  FencedChange,
  ModeChange,
  StageChannelMessage,
  StageChannels,
} from './stage/channels.js';
export { createInlineStage, type InlineStage, type InlineStageOptions } from './stage/inline-stage.js';
export { type OpenedStage, openStage, type StageHandle } from './stage/open-stage.js';
export { startStage } from './stage/start-stage.js';
export type { StageStatus } from './stage/status.js';
export type { TimingHistograms, TimingName } from './stage/timings.js';
