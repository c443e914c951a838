import { sendBufferBytes } from '../../egress/sender.js';
import type { ResolvedPolicy } from '../../policy/index.js';
import { silentLogger } from '../../shared/logger.js';
import { createMemory } from '../../shared/memory.js';
import { ControlWriter } from '../../stage/control.js';
import { checkOptions } from '../../stage/options.js';
import { ResponseStage } from '../../stage/response-stage.js';
import { seatPrimary } from '../../stage/seat-primary.js';
import { StageView } from '../../stage/stage-view.js';
import type { Timeline } from '../timeline.js';
import type { PromptSender } from './prompt-sender.js';

export interface VirtualStageParts {
  timeline: Timeline;
  sender: PromptSender;
  policy: ResolvedPolicy;
  connections: number;
  payloadBytes: number;
  /** Zone of the primary. */
  zone: string;
}

/** The shipped stage with the shipped ring and cursors, on virtual time; the ids of its connections are 1, 2, 3 … */
export interface VirtualStage {
  readonly stage: ResponseStage;
  readonly view: StageView;
  /** One turn of the loop that a stage's thread runs: a round, and a sleep when there was nothing to do. */
  turn(): void;
}

const ringCapacity = 16_384;

export function createVirtualStage(parts: VirtualStageParts): VirtualStage {
  const { timeline, sender, policy, connections, payloadBytes, zone } = parts;
  const ring = { capacity: ringCapacity, maxPayload: payloadBytes };
  const { limits } = checkOptions({ ring, connections, heartbeatIntervalMs: 0 });
  const memory = createMemory({ connections, ringCapacity, maxPayload: payloadBytes });
  seatPrimary(memory, zone);
  const clock = () => timeline.nowNs;
  const view = new StageView(memory, () => sender.wake(), clock);
  const stage = new ResponseStage({
    memory,
    sender,
    arena: new Uint8Array(connections * sendBufferBytes),
    clock,
    unixMs: () => timeline.nowNs / 1e6,
    policy,
    limits,
    ringBell: () => {},
    logger: silentLogger,
  });
  const control = new ControlWriter(memory, () => view.waker.wake());
  for (let slot = 0; slot < connections; slot++) control.attach(slot + 1, slot, slot);
  return {
    stage,
    view,
    turn() {
      if (stage.doWork(timeline.nowNs) === 0) stage.park();
    },
  };
}
