import { parentPort, workerData } from 'node:worker_threads';
import { loadRedactor } from '../diagnosis/redactor.js';
import { loadEncoder } from '../encode/encoder.js';
import { lengthPrefixFraming, loadFraming } from '../encode/framing.js';
import { monotonicNow } from '../shared/clock.js';
import type { StageMemory } from '../shared/memory.js';
import { assembleStage } from './assemble.js';
import { idleStrategy } from './idle.js';
import { checkPolicy, type StageLimits } from './options.js';
import type { ResponseStage } from './response-stage.js';
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
  redactor: string | null;
  ringEntries: number;
  sqpoll: boolean;
  histograms: TimingHistograms;
}

/** What the stage's thread posts back. */
export type WorkerMessage = 'events' | 'ready' | { code: string | undefined; message: string };

/** Rounds that found nothing between two looks at the clock: reading it makes an object, some two microseconds apart is enough. */
const idleRoundsPerClock = 16;

const post = (message: WorkerMessage) => parentPort?.postMessage(message);

async function start(input: WorkerInput): Promise<ResponseStage> {
  const { memory, limits } = input;
  const encoder = input.encoder === null ? null : await loadEncoder(input.encoder);
  const framing = input.framing === null ? lengthPrefixFraming : await loadFraming(input.framing);
  const redactor = input.redactor === null ? null : await loadRedactor(input.redactor);
  return assembleStage({
    memory,
    backend: input.backend,
    wakeFd: input.wakeFd,
    ringEntries: input.ringEntries,
    sqpoll: input.sqpoll,
    clock: monotonicNow,
    policy: checkPolicy(input.policy),
    limits,
    ringBell: () => post('events'),
    encoder,
    framing,
    redactor,
    histograms: input.histograms,
  });
}

try {
  const input = workerData as WorkerInput;
  const stage = await start(input);
  post('ready');
  const idle = idleStrategy(input.idle);
  let nowNs = monotonicNow();
  for (let idleRounds = 0; !stage.ended; ) {
    const work = stage.doWork(nowNs);
    const slept = idle(work, stage);
    idleRounds = work > 0 || slept ? 0 : idleRounds + 1;
    if (idleRounds % idleRoundsPerClock === 0) nowNs = monotonicNow();
  }
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  post({ code, message });
}
