/**
 * Owns the life of every client connection around a stage: admission, one client's faults kept from the others, pushes that
 * are answered, notice, drain and shutdown in order.
 *
 * ```js
 * const server = createServer(); // of node:net
 * const supervisor = supervise(server, { stage, onFrame: (connection, body) => handle(connection.id, body) });
 * server.listen(4000);
 * await supervisor.closed; // after SIGTERM, or supervisor.shutdown()
 * ```
 *
 * @module ackgate/supervisor
 */

export { Connection, type ConnectionState, type DisconnectOptions, type PushOptions } from './connection.js';
export type { SupervisorStatus } from './counters.js';
export {
  applicationReasonMin,
  type ConnectionEnd,
  DisconnectReason,
  type EndOutcome,
  type EndReason,
  type OwnEndReason,
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
