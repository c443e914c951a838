import { type DropReason, dropReasons } from '../egress/counters.js';
import { type EndReason, ownEndReasons, type RefusalReason, refusalReasons } from './ends.js';

/** How a supervisor stands, and what it has counted since its start. */
export interface SupervisorStatus {
  /** `shutting-down` from the beginning of a shutdown, `closed` from its end on. */
  state: 'running' | 'shutting-down' | 'closed';
  /** Connections that are tracked. */
  active: number;
  /** Connections that the stage has, those that only wait for their last answers included. */
  attached: number;
  /** What the cap counts: those, and sockets whose clients have not ended their side yet. */
  permits: number;
  /** Requests being handled. */
  handling: number;
  /** Pushes that wait for their reply. */
  pendingPushes: number;
  /** Sockets that became connections. */
  spawned: number;
  /** Requests given to the handler. */
  requests: number;
  /** Pushes that were handed over. */
  pushes: number;
  /** Replies that a push was waiting for. */
  replies: number;
  /** Replies that came too late, twice, or to nothing. */
  repliesIgnored: number;
  /** Disconnect frames sent before a shutdown to connections that stay open. */
  notices: number;
  /**
   * Connections that could not be accepted for want of descriptors, and the shortages themselves: the operating system
   * does not tell of all that it has turned away.
   */
  acceptErrors: number;
  /** Connections that have ended, by reason. */
  ended: Record<EndReason, number>;
  /** Sockets that were turned away, by reason. */
  refused: Record<RefusalReason, number>;
}

export type SupervisorCounters = Pick<
  SupervisorStatus,
  | 'spawned'
  | 'requests'
  | 'pushes'
  | 'replies'
  | 'repliesIgnored'
  | 'notices'
  | 'acceptErrors'
  | 'ended'
  | 'refused'
>;

export function newCounters(): SupervisorCounters {
  const zeros = <N extends string>(names: readonly N[]) =>
    Object.fromEntries(names.map((name) => [name, 0])) as Record<N, number>;
  return {
    spawned: 0,
    requests: 0,
    pushes: 0,
    replies: 0,
    repliesIgnored: 0,
    notices: 0,
    acceptErrors: 0,
    ended: zeros<EndReason>([...ownEndReasons, ...(dropReasons as readonly DropReason[])]),
    refused: zeros(refusalReasons),
  };
}
