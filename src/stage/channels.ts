import { type Channel, channel } from 'node:diagnostics_channel';
import type { DegradationFields } from '../gate/degradation-logger.js';
import type { DurabilityMode } from '../policy/index.js';
import { Contained } from '../shared/contained.js';
import type { DroppedEvent, Stage } from './api.js';

/** The degradation log has changed its mind: once a state has held for a second, or at once after a change of mode. */
export interface DegradedEvent extends DegradationFields {
  /** Whether too few nodes are connected for the policy. */
  degraded: boolean;
}

/** Another policy was put in force by `setMode`, or whatever calls it. */
export interface ModeChangedEvent {
  /** The mode before. */
  from: DurabilityMode | 'custom';
  /** Text of the policy before. */
  fromPolicy: string;
  /** The mode in force from now on. */
  to: DurabilityMode | 'custom';
  /** Text of the policy in force from now on. */
  toPolicy: string;
}

/** A later primary has taken over. */
export interface FencedEvent {
  /** The stage's own. */
  epoch: number;
  /** Of the primary that has taken over. */
  newEpoch: number;
}

/**
 * What each of the `node:diagnostics_channel` channels carries, beside the `stage` that it is about. Published on the
 * thread that called `startStage`, or that runs the inline stage.
 */
export interface StageChannels {
  /** The stage has ended a connection on its own. */
  'ackgate:dropped': DroppedEvent;
  /**
   * The policy has become degraded, or is met again. While the thread is busy several changes can become one, that tells the last state. Long
   * texts are cut.
   */
  'ackgate:degraded': DegradedEvent;
  /** Another policy is in force. Several changes can become one as above: `from` is then what was told last. */
  'ackgate:mode': ModeChangedEvent;
  /** A later primary has taken over: nothing more can be submitted. */
  'ackgate:fenced': FencedEvent;
}

/** What a subscriber of a channel gets: the event, and the `stage` that it is about. */
export type StageChannelMessage<Name extends keyof StageChannels> = StageChannels[Name] & {
  /** The stage that it happened to. */
  stage: Stage;
};

/** Publishes on one channel what happens to any stage of this thread. */
class StageChannel<Name extends keyof StageChannels> {
  readonly #channel: Channel;
  readonly #contained: Contained;

  constructor(name: Name) {
    this.#channel = channel(name);
    this.#contained = new Contained(`a subscriber of ${name}`, 'ACKGATE_SUBSCRIBER');
  }

  publish(stage: Stage, event: StageChannels[Name]): void {
    if (this.#channel.hasSubscribers) this.#deliver({ ...event, stage });
  }

  // Node makes an uncaught exception of what a subscriber throws, which ends the process, and the stage with it. There is
  // no public way to keep it from that, so the subscribers are called from here, as Node itself calls them. Should they
  // be kept elsewhere one day, Node's way is left.
  #deliver(message: StageChannelMessage<Name>): void {
    const { name } = this.#channel;
    const { _subscribers: subscribers } = this.#channel as { _subscribers?: unknown };
    if (!Array.isArray(subscribers)) {
      this.#channel.publish(message);
      return;
    }
    // A copy: a subscriber may end its own subscription.
    for (const subscriber of [...subscribers]) this.#contained.run(() => subscriber(message, name));
  }
}

export const channels = {
  dropped: new StageChannel('ackgate:dropped'),
  degraded: new StageChannel('ackgate:degraded'),
  mode: new StageChannel('ackgate:mode'),
  fenced: new StageChannel('ackgate:fenced'),
} as const;
