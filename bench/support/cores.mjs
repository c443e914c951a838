import { execFileSync } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { reference } from './reference.mjs';

/** Puts a thread, or with `all` every thread of a process, on one core. False where that can't be done. */
export function place(id, core, { all = false } = {}) {
  try {
    execFileSync('taskset', [all ? '-apc' : '-pc', String(core), String(id)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export const lastCore = cpus().length - 1;

/** Nanoseconds that a line of the cache takes from the first core to the last and back; null with one core. */
export function coreDistanceNs() {
  if (lastCore === 0) return null;
  const answer = execFileSync(reference('cores'), ['0', String(lastCore)], { encoding: 'utf8' });
  return JSON.parse(answer).thereAndBackNs;
}

/**
 * Keeps idle cores from going to sleep until this process ends: what latency is measured with, and tuned hosts run with.
 * False where that is not allowed.
 */
export function keepCoresAwake() {
  try {
    // No latency is tolerated for as long as the file is open.
    writeSync(openSync('/dev/cpu_dma_latency', 'w'), new Uint8Array(4));
    return true;
  } catch {
    return false;
  }
}
