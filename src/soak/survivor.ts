import { readFileSync } from 'node:fs';
import { AckgateError } from '../errors.js';
import { type ProcessStat, processStat } from '../shared/process-stat.js';
import { systemClock } from './clock.js';
import { endGroup } from './process-group.js';

const graceMsDefault = 5000;
const killedMsMax = 5000;
const pollMs = 50;

/** Null: there is no such process any more, or it has ended and waits for its parent to see it. */
function liveStat(pid: number): ProcessStat | null {
  const stat = processStat(pid);
  return stat === null || stat.ended ? null : stat;
}

/** When a process was started, in clock ticks since the machine was; null when there is none. */
export const startTicksOf = (pid: number): number | null => liveStat(pid)?.startTicks ?? null;

/** Another one each time the machine is started; empty where the kernel does not say. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** Whether this very process is still there. */
export const isAlive = (pid: number, startTicks: number): boolean => startTicksOf(pid) === startTicks;

/**
 * Stops a server that has outlived its runner, with its process group when it leads one: asks it to end, and kills it when
 * it has not after `graceMs`. A process that has merely got the same number is left alone.
 *
 * @returns whether there was anything to stop
 * @throws ERR_ACKGATE_SOAK_CHECKPOINT when it can't be stopped
 */
export async function stopSurvivor(
  pid: number,
  startTicks: number,
  { graceMs = graceMsDefault, clock = systemClock } = {},
): Promise<boolean> {
  const stat = liveStat(pid);
  if (stat?.startTicks !== startTicks) return false;
  const leads = stat.group === pid;
  for (const [signal, waitMs] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', killedMsMax],
  ] as const) {
    // Looked at right before, as the number may be another process's by now.
    if (isAlive(pid, startTicks)) signalIt(leads ? -pid : pid, signal);
    const until = clock.nowMs() + waitMs;
    while (isAlive(pid, startTicks) && clock.nowMs() < until) await clock.sleep(pollMs);
    if (isAlive(pid, startTicks)) continue;
    if (leads) await endGroup(pid, graceMs);
    return true;
  }
  throw new AckgateError(
    'ERR_ACKGATE_SOAK_CHECKPOINT',
    `the server of the interrupted run, process ${pid}, can't be stopped: end it by hand, then resume again`,
  );
}

function signalIt(target: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(target, signal);
  } catch {
    // It has just ended, or it is not ours to end: whoever waits for it sees that.
  }
}
