import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

function kibibytes(file, fields) {
  const text = readFileSync(file, 'utf8');
  return fields.map((name) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text);
    if (found === null) throw new Error(`${file} says nothing of ${name}`);
    return Number(found[1]) * 1024;
  });
}

/**
 * Bytes that this process has in memory, after a collection (needs --expose-gc): `rss` with shared memory, and apart from
 * it the page tables and the part of `rss` that is this thread's heap.
 */
export async function resident() {
  // Twice: what the first one finalizes is free only after the second.
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await sleep(20);
  }
  const [rss, anonymous, huge] = kibibytes('/proc/self/smaps_rollup', ['Rss', 'Anonymous', 'AnonHugePages']);
  const [pageTables] = kibibytes('/proc/self/status', ['VmPTE']);
  return { rss, anonymous, huge, pageTables, heap: process.memoryUsage().heapUsed };
}
