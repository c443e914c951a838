import { setTimeout } from 'node:timers/promises';

/** Longer than a function takes to be compiled. */
const settleMs = 100;

/**
 * Lets V8's compiler threads finish. Node waits for them when its event loop has ended, and they may then wait for a
 * collection that only the event loop can do: a process that ends right after much work hangs now and then, for ever
 * (seen with Node 20 to 24).
 */
export async function settle(): Promise<void> {
  await setTimeout(settleMs);
}
