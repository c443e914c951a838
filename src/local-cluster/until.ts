import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from './fail.js';

/** Long, because a machine may be several times slower than the one that this was written on. */
export const boundMs = 60_000;

/** Asks until it is so. Fails with `what` after `withinMs`. */
export async function until(
  what: () => string,
  holds: () => boolean | Promise<boolean>,
  { everyMs = 10, withinMs = boundMs } = {},
): Promise<void> {
  const end = performance.now() + withinMs;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > end) throw fail(`${what()} (waited ${withinMs / 1000} s)`);
    await sleep(everyMs);
  }
}
