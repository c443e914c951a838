import { type Coverage, coverageOf } from './coverage.js';
import { Dealer } from './dealer.js';
import { Hand } from './hand.js';
import { checkSwarmOptions, type SwarmOptions } from './options.js';
import { addFailure, addTally, emptyTally, hashText, type SeedFailure } from './tally.js';

export type { Coverage } from './coverage.js';
export type { SwarmOptions, SwarmProgress } from './options.js';
export type { SeedFailure } from './tally.js';

/** What many seeds have come to, added up. */
export interface SwarmResult {
  /** Nothing failed, and nothing that had to be seen is missing. */
  ok: boolean;
  /** As it was asked for. */
  firstSeed: number;
  /** Seeds that were run, each twice. */
  seeds: number;
  /** Seeds that failed. */
  failed: number;
  /** The lowest 20 of them. */
  failures: SeedFailure[];
  /** What was seen, and what never was. */
  coverage: Coverage;
  /** Records published in all first runs. */
  records: number;
  /** Over all that happened in all seeds: 64 bits in hexadecimal, the same on every machine. */
  hash: string;
  /** Milliseconds that it took, of the wall clock. */
  wallMs: number;
}

const progressMs = 100;

/**
 * Runs many seeds over worker threads, each twice. What comes out depends on the seeds and the faults alone.
 *
 * Throws an `AckgateError` that names the option for everything that can't be meant.
 */
export async function runSwarm(options: SwarmOptions = {}): Promise<SwarmResult> {
  const { firstSeed, seeds, milliseconds, faults, workers, seedMsMax } = checkSwarmOptions(options);
  const { onProgress, signal } = options;
  signal?.throwIfAborted();
  const beganMs = performance.now();
  const timed = milliseconds < Number.POSITIVE_INFINITY;
  const blockSeeds = timed ? 20 : Math.min(50, Math.max(1, Math.ceil(seeds / (8 * workers))));
  const dealer = new Dealer(firstSeed, seeds, blockSeeds, beganMs + milliseconds);
  const hands = Array.from({ length: workers }, () => new Hand(faults, seedMsMax));
  const sum = emptyTally();
  const tell = () => {
    const done = sum.seeds + hands.reduce((total, hand) => total + hand.done, 0);
    onProgress?.({ done, of: timed ? null : seeds, failed: sum.failed });
  };
  const work = async (hand: Hand) => {
    for (let block = dealer.next(); block !== null; block = dealer.next()) {
      const result = await hand.run(block);
      if (signal?.aborted) return;
      if ('tally' in result) addTally(sum, result.tally);
      else {
        sum.seeds++;
        addFailure(sum, result.broken);
        dealer.giveBack(block, result.broken.seed);
      }
    }
    await hand.close();
  };
  const timer = onProgress === undefined ? undefined : setInterval(tell, progressMs);
  const stop = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    await Promise.race([Promise.all(hands.map(work)), stop]);
  } finally {
    clearInterval(timer);
    await Promise.all(hands.map((hand) => hand.close()));
  }
  tell();
  const coverage = coverageOf(sum, faults);
  return {
    ok: sum.failed === 0 && !(coverage.required && coverage.missing.length > 0),
    firstSeed,
    seeds: sum.seeds,
    failed: sum.failed,
    failures: sum.failures,
    coverage,
    records: sum.records,
    hash: hashText(sum),
    wallMs: Math.round(performance.now() - beganMs),
  };
}
