import { setTimeout as sleep } from 'node:timers/promises';
import type { ResolvedPolicy } from '../policy/index.js';
import type { Stage } from '../stage/api.js';
import type { StageStatus } from '../stage/status.js';

/** How long the stage has to take a policy, and how often to look. */
const takeMs = 1000;
const lookMs = 5;

/** Waits until the policy is in force. The status is written after every change, so what it shows is in force. */
export async function modeTaken(
  stage: Stage,
  { byte, policy }: ResolvedPolicy,
  closing: AbortSignal,
): Promise<boolean> {
  const text = policy.toString();
  const deadline = performance.now() + takeMs;
  for (;;) {
    const status = stage.status();
    if (status.policy === text && status.modeByte === byte) return true;
    if (performance.now() > deadline || closing.aborted) return false;
    await sleep(lookMs);
  }
}

/** A mode by its name, a policy of one's own by its text. */
export function modeInForce({ mode, policy }: StageStatus): string {
  return mode === 'custom' ? policy : mode;
}
