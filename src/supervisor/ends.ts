import type { DropReason } from '../egress/counters.js';

/**
 * Reasons in the disconnect frames of the supervisor: why a client is refused or sent away. Applications use numbers
 * from `applicationReasonMin` on for their own.
 */
export const DisconnectReason = {
  shutdown: 1,
  tooManyConnections: 2,
  malformedFrame: 3,
  oversizeFrame: 4,
  truncatedFrame: 5,
  inboundFull: 6,
  tooManySubscriptions: 7,
  tooManyPushes: 8,
  handlerFailed: 9,
} as const;
/** The first reason that is the application's own; the last one is 255. */
export const applicationReasonMin = 64;

/** How a connection ended: in order, by an error of its own, or because the stage dropped it. */
export type EndOutcome = 'finished' | 'crashed' | 'dropped';

interface Ending {
  readonly outcome: EndOutcome;
  /** What the client is told; null: nothing, for it knows, or can't be told. */
  readonly told: number | null;
}

const endings = {
  /** The client ended its requests. */
  'end-of-stream': { outcome: 'finished', told: null },
  /** The client sent a disconnect frame. */
  'client-disconnect': { outcome: 'finished', told: null },
  /** The application ended it. */
  'server-disconnect': { outcome: 'finished', told: null },
  /** It had nothing under way any more when the server was shut down. */
  shutdown: { outcome: 'finished', told: DisconnectReason.shutdown },
  /** It was closed whatever it had under way. */
  'force-close': { outcome: 'finished', told: DisconnectReason.shutdown },
  /** Its socket was destroyed here. */
  'socket-closed': { outcome: 'finished', told: null },
  /** Reading from it failed; most often the client reset it. */
  'read-error': { outcome: 'crashed', told: null },
  'malformed-frame': { outcome: 'crashed', told: DisconnectReason.malformedFrame },
  'oversize-frame': { outcome: 'crashed', told: DisconnectReason.oversizeFrame },
  /** The stream ended in the middle of a frame. */
  'truncated-frame': { outcome: 'crashed', told: DisconnectReason.truncatedFrame },
  'inbound-full': { outcome: 'crashed', told: DisconnectReason.inboundFull },
  'too-many-subscriptions': { outcome: 'crashed', told: DisconnectReason.tooManySubscriptions },
  'too-many-pushes': { outcome: 'crashed', told: DisconnectReason.tooManyPushes },
  /** The application's handler threw or rejected. */
  'handler-failed': { outcome: 'crashed', told: DisconnectReason.handlerFailed },
} as const satisfies Record<string, Ending>;

export type OwnEndReason = keyof typeof endings;
/** Why a connection ended: the supervisor's reasons, and the stage's for dropping it. */
export type EndReason = OwnEndReason | DropReason;

export const ownEndReasons = Object.keys(endings) as OwnEndReason[];

/** How a connection ended, and why. */
export interface ConnectionEnd {
  readonly outcome: EndOutcome;
  readonly reason: EndReason;
  /** What the handler or the protocol threw, or the socket's error. */
  readonly error?: unknown;
}

export function endingOf(reason: OwnEndReason): Ending {
  return endings[reason];
}

/** Why a socket never became a connection. */
export const refusalReasons = [
  'too-many-connections',
  'shutting-down',
  /** The process has no descriptor left for it. */
  'too-many-descriptors',
  /** Its connection id was used before. */
  'connection-id',
  /** The stage can't take it: it was gone already, is no stream socket, or the stage has ended. */
  'unattachable',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];
