export { Connection, type ConnectionState, type DisconnectOptions, type PushOptions } from './connection.js';
export type { SupervisorStatus } from './counters.js';
export {
  applicationReasonMin,
  type ConnectionEnd,
  DisconnectReason,
  type EndOutcome,
  type EndReason,
  type RefusalReason,
} from './ends.js';
export { type FrameDecoder, type FrameFault, LengthPrefixDecoder } from './frame-decoder.js';
export type { HealthServer, Service, SupervisorLimits, SupervisorOptions } from './options.js';
export { type ClientProtocol, lengthPrefixProtocol, PushTag, type Reply } from './protocol.js';
export type { PushAwaiter } from './push-awaiter.js';
export { PushDisconnected, PushExpired, PushTimeout } from './push-errors.js';
export {
  FlushError,
  type FlushFailure,
  ShutdownError,
  type ShutdownFailure,
  type ShutdownStage,
} from './shutdown.js';
export { type SignalTarget, watchSignals } from './signals.js';
export { supervise } from './supervise.js';
export type { Supervisor } from './supervisor.js';
