import { allocateArena } from '../egress/arena.js';
import { createSender } from '../egress/create-sender.js';
import { Word } from '../shared/memory.js';
import { ResponseStage, type ResponseStageParts } from './response-stage.js';

/** What decides which kernel interface a stage runs on; the rest goes to the stage as it is. */
export interface RealStageParts extends Omit<ResponseStageParts, 'sender' | 'arena' | 'fallback' | 'unixMs'> {
  backend: 'auto' | 'uring' | 'posix';
  wakeFd: number;
  ringEntries: number;
  sqpoll: boolean;
}

/** A stage over the real kernel, with send buffers of its own. */
export function assembleStage(parts: RealStageParts): ResponseStage {
  const { backend, wakeFd, ringEntries, sqpoll, ...rest } = parts;
  const { buffer, connections } = parts.memory;
  const arena = allocateArena(connections);
  const fence = new Int32Array(buffer, Word.fence * 4, 1);
  const made = createSender(backend, { arena, slots: connections, ringEntries, wakeFd, fence, sqpoll });
  return new ResponseStage({ ...rest, arena, unixMs: Date.now, ...made });
}
