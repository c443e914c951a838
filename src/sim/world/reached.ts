import { SenderState } from '../../egress/sender.js';
import type { World } from './world.js';

/** Ways through the stage that only trouble takes; over many runs each of them has to be taken. */
export const fallbacks = {
  'poll-armed': 'a refused send waits for the socket to be writable',
  'wrapped-buffer': 'a send ends at the end of its buffer, and another begins at its start',
  'short-send-finished': 'the rest of a short send goes out later',
  'submission-resumed': 'requests that the kernel did not take are handed over again',
  'results-left-over': 'results that found no place are collected by another call',
  'encoder-failed': 'an answer is lost, its end is not',
  'mode-kept': 'a mode byte that means nothing changes nothing',
  'torn-read': 'a cursor is read while it is written',
  'replica-refused': 'a replica with a tail of another history is refused',
  'frame-stale-epoch': 'a frame of an earlier life of its node is not taken',
  'frame-repeated': 'a frame that comes twice, or was overtaken, is not taken',
  'frame-ahead': 'a frame that names what was never issued is not taken',
  'node-void': 'such a frame, of a new life, takes its node out of the view',
  'node-reseeded': 'a node that is in the view begins a new life',
  'node-silent': 'the stage takes a node out of the view that says nothing',
  'node-back': 'a node that was out of the view goes on with the same life',
  'ring-full': 'the producer waits for room',
  'heartbeat-sent': 'a quiet client gets a heartbeat',
  'degraded-logged': 'a degraded policy is logged',
  'whole-logged': 'a policy that is met again is logged',
  'reminder-logged': 'a policy that is degraded for long is logged again',
  'backend-fallback': 'the stage runs on the second choice of backends, and says why',
  'attach-taken-back': 'a client that the stage never took is given back',
  drained: 'the stage has ended in order',
  abandoned: 'the stage has ended at once',
  failed: 'the stage has ended by an error',
  fenced: 'the stage was fenced',
} as const;

/** Name of such a way; `fallbacks` says what happens on it. */
export type Fallback = keyof typeof fallbacks;

/** What a run has reached, told by its own counters at its end. */
export function countReached(world: World, count: (name: Fallback, times?: number) => void): void {
  const { stage, server, sender, faults } = world;
  const { counters } = stage.egress;
  count('short-send-finished', counters.shortSends);
  count('encoder-failed', counters.encoderErrors);
  count('heartbeat-sent', counters.heartbeats);
  count('results-left-over', sender.state[SenderState.overflows]);
  count('ring-full', faults.fired['ring-full'] ?? 0);
  count('fenced', server.fenced ? 1 : 0);
  if (server.fatal !== null) count('failed');
  else if (server.exiting) count('abandoned');
  else count('drained');
}
