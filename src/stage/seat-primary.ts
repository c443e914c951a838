import { CursorLines } from '../gate/cursor-lines.js';
import { NodeNames } from '../gate/node-names.js';
import { nodeLines, type StageMemory } from '../shared/memory.js';

/** Name of the primary among the nodes. */
const primaryName = 'primary';

/** The primary is part of every view, from the start, on line 0. */
export function seatPrimary(memory: StageMemory, zone: string | undefined): void {
  const lines = new CursorLines(memory.buffer, nodeLines + 1);
  new NodeNames(memory.buffer).findOrAdd(primaryName, zone, (line, zoneId) => lines.assign(line, zoneId));
  lines.activate(0, 0);
}
