import { CursorLines } from '#ackgate/gate/cursor-lines.js';
import { Cursors } from '#ackgate/gate/cursors.js';
import { FrameLines } from '#ackgate/gate/frame-lines.js';
import { Gate } from '#ackgate/gate/gate.js';
import { NodeNames } from '#ackgate/gate/node-names.js';
import { resolvePolicy } from '#ackgate/policy/index.js';
import { RingObserver } from '#ackgate/ring/consumer.js';
import { Producer } from '#ackgate/ring/index.js';
import { createMemory, nodeLines, type StageMemory } from '#ackgate/shared/memory.js';

/** A small shared block as a stage would have it, with the primary on its line. */
export function createBlock(options: { zone?: string; connections?: number } = {}): StageMemory {
  const memory = createMemory({ connections: options.connections ?? 4, ringCapacity: 16, maxPayload: 64 });
  const lines = new CursorLines(memory.buffer, nodeLines + 1);
  new NodeNames(memory.buffer).findOrAdd('primary', options.zone, (line, id) => lines.assign(line, id));
  lines.activate(0, 0);
  return memory;
}

/** Cursors, and a gate, over such a block. */
export function createCluster(policy = 'persisted>=1', options: { zone?: string } = {}) {
  const time = { nowNs: 1e9 };
  const memory = createBlock(options);
  const lines = new CursorLines(memory.buffer, nodeLines + 1);
  const frames = new FrameLines(memory.buffer);
  const names = new NodeNames(memory.buffer);
  const observer = new RingObserver(memory.output);
  const woken = { count: 0 };
  const cursors = new Cursors({
    lines,
    frames,
    names,
    clock: () => time.nowNs,
    highestPublished: () => observer.highestSeq(),
    wake: () => {
      woken.count++;
    },
  });
  const gate = new Gate(lines, names, nodeLines, resolvePolicy(policy));
  return { memory, lines, frames, names, cursors, gate, woken, time, producer: new Producer(memory.output) };
}
