import { CursorLines } from '#ackgate/gate/cursor-lines.js';
import { Cursors } from '#ackgate/gate/cursors.js';
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
  new NodeNames(memory.buffer).findOrAdd('primary', options.zone, (line, id) => lines.setZone(line, id));
  lines.activate(0, 0);
  return memory;
}

/** Cursors, and a gate, over such a block. */
export function createCluster(policy = 'persisted>=1', options: { zone?: string } = {}) {
  const memory = createBlock(options);
  const lines = new CursorLines(memory.buffer, nodeLines + 1);
  const names = new NodeNames(memory.buffer);
  const observer = new RingObserver(memory.output);
  const woken = { count: 0 };
  const cursors = new Cursors({
    lines,
    names,
    highestPublished: () => observer.highestSeq(),
    wake: () => {
      woken.count++;
    },
  });
  const gate = new Gate(lines, names, nodeLines, resolvePolicy(policy));
  return { memory, lines, names, cursors, gate, woken, producer: new Producer(memory.output) };
}
