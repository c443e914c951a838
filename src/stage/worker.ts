import { parentPort, workerData } from 'node:worker_threads';
import { allocateArena } from '../egress/arena.js';
import { createSender } from '../egress/create-sender.js';
import { loadEncoder } from '../encode/encoder.js';
import { lengthPrefixFraming, loadFraming } from '../encode/framing.js';
import { monotonicNow } from '../shared/clock.js';
import { type StageMemory, Word } from '../shared/memory.js';
import { idleStrategy } from './idle.js';
import { checkPolicy, type StageLimits } from './options.js';
import { ResponseStage } from './response-stage.js';
import type { TimingHistograms } from './timings.js';

/** What the control thread posts to the stage's thread. */
export interface WorkerInput {
  memory: StageMemory;
  wakeFd: number;
  limits: StageLimits;
  policy: string;
  backend: 'auto' | 'uring' | 'posix';
  idle: 'spin' | 'backoff' | 'park';
  encoder: string | null;
  framing: string | null;
  ringEntries: number;
  sqpoll: boolean;
  histograms: TimingHistograms;
}

/** What the stage's thread posts back. */
export type WorkerMessage = 'events' | 'ready' | { code: string | undefined; message: string };

const post = (message: WorkerMessage) => parentPort?.postMessage(message);

async function start(input: WorkerInput): Promise<ResponseStage> {
  const { memory, limits } = input;
  const encoder = input.encoder === null ? null : await loadEncoder(input.encoder);
  const framing = input.framing === null ? lengthPrefixFraming : await loadFraming(input.framing);
  const arena = allocateArena(memory.connections);
  const { sender, fallback } = createSender(input.backend, {
    arena,
    slots: memory.connections,
    ringEntries: input.ringEntries,
    wakeFd: input.wakeFd,
    fence: new Int32Array(memory.buffer, Word.fence * 4, 1),
    sqpoll: input.sqpoll,
  });
  const stage = new ResponseStage({
    memory,
    sender,
    arena,
    clock: monotonicNow,
    policy: checkPolicy(input.policy),
    limits,
    ringBell: () => post('events'),
    encoder,
    framing,
    histograms: input.histograms,
    fallback,
  });
  return stage;
}

try {
  const input = workerData as WorkerInput;
  const stage = await start(input);
  post('ready');
  const idle = idleStrategy(input.idle);
  while (!stage.ended) idle(stage.doWork(monotonicNow()), stage);
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  post({ code, message });
}
