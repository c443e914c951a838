// Started by guard.ts: reads what to guard from standard input, and takes it away when that ends.
import { createInterface } from 'node:readline';
import type { Guarded } from './guard.js';
import { isRunning, killTree } from './process-table.js';
import { removeFolder } from './remove-folder.js';
import { until } from './until.js';

const guarded = new Set<string>();
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('+')) guarded.add(line.slice(1));
  else guarded.delete(line.slice(1));
}

const all = [...guarded].map((text) => JSON.parse(text) as Guarded);
const killed = all.flatMap((one) => (one.kind === 'process' ? killTree(one.id) : []));
await until(
  () => 'servers did not end',
  () => !killed.some(isRunning),
);
for (const one of all) if (one.kind === 'folder') removeFolder(one.path);
