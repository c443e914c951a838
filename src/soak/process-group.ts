import { setTimeout as wait } from 'node:timers/promises';
import { groupLives } from './samplers/process.js';

const pollMs = 20;

/** Whether there was anybody to get it. Signal 0 only asks. */
export function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  // 0 and 1 would be our own group and everybody.
  if (!(leader > 1)) return false;
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

/**
 * Ends what a leader that has just been reaped left behind in its group, at the latest after `graceMs`.
 *
 * The leader's number is safe to use here although it was reaped: the kernel does not give it to a new process as long as
 * the group has a member, and when it has none the call finds nobody. To hit a stranger, all numbers would have to be used
 * up and this one become the leader of a new group within one turn of the loop, or from one look at the group to the next.
 */
export async function endGroup(leader: number, graceMs: number): Promise<void> {
  const until = performance.now() + graceMs;
  // A member that has ended gets signals until it is waited for, which in a container may be never.
  while (performance.now() < until && signalGroup(leader, 0) && groupLives(leader)) await wait(pollMs);
  signalGroup(leader, 'SIGKILL');
}
