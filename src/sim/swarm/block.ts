import { attempt } from '../attempt.js';
import type { Fault } from '../faults.js';
import { drawScenario } from '../scenario.js';
import { addAttempt, emptyTally, type Tally } from './tally.js';

/** Seeds that one worker runs in one go. */
export interface Block {
  firstSeed: number;
  seeds: number;
}

/** Runs every seed of a block twice. `begun` is told how many of them are done before each. */
export function runBlock(
  { firstSeed, seeds }: Block,
  faults: readonly Fault[],
  begun: (done: number) => void = () => {},
): Tally {
  const tally = emptyTally();
  for (let done = 0; done < seeds; done++) {
    begun(done);
    const seed = firstSeed + done;
    addAttempt(tally, seed, attempt(drawScenario(seed, faults)));
  }
  begun(seeds);
  return tally;
}
