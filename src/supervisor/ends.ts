import type { DropReason } from '../egress/counters.js';
import { everyOf } from '../shared/every-of.js';

/**
 * Reasons in the disconnect frames of the supervisor: why a client is refused or sent away. Applications use numbers
 * from `applicationReasonMin` on for their own.
 */
export const DisconnectReason = {
  /** The server is shutting down. */
  shutdown: 1,
  /** It has as many connections as it takes. */
  tooManyConnections: 2,
  /** The client sent a frame that is none. */
  malformedFrame: 3,
  /** The client sent a frame above the limit for one. */
  oversizeFrame: 4,
  /** The client ended its stream in the middle of a frame. */
  truncatedFrame: 5,
  /** The client sent more than is handled, up to the limit of what is kept for it. */
  inboundFull: 6,
  /** The client has asked for more subscriptions than it may have. */
  tooManySubscriptions: 7,
  /** The client has left too many pushes without a reply. */
  tooManyPushes: 8,
  /** The application failed on one of its requests. */
  handlerFailed: 9,
} as const;
/** The first reason that is the application's own; the last one is 255. */
export const applicationReasonMin = 64;

/** How a connection ended: in order, by an error of its own, or because the stage dropped it. */
export type EndOutcome =
  /** In order. */
  | 'finished'
  /** By an error of its own, or of the application's about it. */
  | 'crashed'
  /** The stage has dropped it. */
  | 'dropped';

interface Ending {
  readonly outcome: EndOutcome;
  /** What the client is told; null: nothing, for it knows, or can't be told. */
  readonly told: number | null;
}

const endings = {
  'end-of-stream': { outcome: 'finished', told: null },
  'client-disconnect': { outcome: 'finished', told: null },
  'server-disconnect': { outcome: 'finished', told: null },
  shutdown: { outcome: 'finished', told: DisconnectReason.shutdown },
  'force-close': { outcome: 'finished', told: DisconnectReason.shutdown },
  'socket-closed': { outcome: 'finished', told: null },
  'read-error': { outcome: 'crashed', told: null },
  'malformed-frame': { outcome: 'crashed', told: DisconnectReason.malformedFrame },
  'oversize-frame': { outcome: 'crashed', told: DisconnectReason.oversizeFrame },
  'truncated-frame': { outcome: 'crashed', told: DisconnectReason.truncatedFrame },
  'inbound-full': { outcome: 'crashed', told: DisconnectReason.inboundFull },
  'too-many-subscriptions': { outcome: 'crashed', told: DisconnectReason.tooManySubscriptions },
  'too-many-pushes': { outcome: 'crashed', told: DisconnectReason.tooManyPushes },
  'handler-failed': { outcome: 'crashed', told: DisconnectReason.handlerFailed },
} as const satisfies Record<OwnEndReason, Ending>;

/** Why a connection ended, as far as the supervisor has decided it. */
export type OwnEndReason =
  /** The client ended its requests. */
  | 'end-of-stream'
  /** The client sent a disconnect frame. */
  | 'client-disconnect'
  /** The application ended it. */
  | 'server-disconnect'
  /** It had nothing under way any more when the server was shut down. */
  | 'shutdown'
  /** It was closed whatever it had under way. */
  | 'force-close'
  /** Its socket was destroyed here. */
  | 'socket-closed'
  /** Reading from it failed; most often the client reset it. */
  | 'read-error'
  /** The client sent a frame that is none. */
  | 'malformed-frame'
  /** The client sent a frame above the limit for one. */
  | 'oversize-frame'
  /** The stream ended in the middle of a frame. */
  | 'truncated-frame'
  /** The client sent more than is handled, up to `limits.inboundBytes`. */
  | 'inbound-full'
  /** The client has asked for more subscriptions than `limits.subscriptions`. */
  | 'too-many-subscriptions'
  /** The client has left more pushes without a reply than `limits.pendingPushes`. */
  | 'too-many-pushes'
  /** The application's handler threw or rejected. */
  | 'handler-failed';

/** Why a connection ended: the supervisor's reasons, and the stage's for dropping it. */
export type EndReason = OwnEndReason | DropReason;

export const ownEndReasons = Object.keys(endings) as OwnEndReason[];

/** How a connection ended, and why. */
export interface ConnectionEnd {
  /** How it ended. */
  readonly outcome: EndOutcome;
  /** Why. */
  readonly reason: EndReason;
  /** What the handler or the protocol threw, or the socket's error. */
  readonly error?: unknown;
}

export function endingOf(reason: OwnEndReason): Ending {
  return endings[reason];
}

/** Why a socket never became a connection. */
export type RefusalReason =
  /** There are as many connections as `limits.connections`. */
  | 'too-many-connections'
  /** The shutdown has begun. */
  | 'shutting-down'
  /** The process has no descriptor left for it. */
  | 'too-many-descriptors'
  /** Its connection id was used before. */
  | 'connection-id'
  /** The stage can't take it: it was gone already, is no stream socket, or the stage has ended. */
  | 'unattachable';

export const refusalReasons = everyOf<RefusalReason>()([
  'too-many-connections',
  'shutting-down',
  'too-many-descriptors',
  'connection-id',
  'unattachable',
]);
