import type { ResponseStage } from './response-stage.js';

/** Decides what to do after a round that did `work` units of work. True when the stage has slept. */
export type IdleStrategy = (work: number, stage: ResponseStage) => boolean;

/** Rounds that `backoff` spins before it sleeps: some hundred microseconds. */
const backoffSpins = 1000;

/**
 * `spin`: never sleeps; the shortest latency, and a core. `backoff`: spins for a while, then sleeps in the kernel.
 * `park`: sleeps in the kernel at once.
 */
export function idleStrategy(name: 'spin' | 'backoff' | 'park'): IdleStrategy {
  if (name === 'spin') return () => false;
  if (name === 'park') {
    return (work, stage) => {
      if (work > 0) return false;
      stage.park();
      return true;
    };
  }
  let idleRounds = 0;
  return (work, stage) => {
    idleRounds = work > 0 ? 0 : idleRounds + 1;
    if (idleRounds <= backoffSpins) return false;
    stage.park();
    return true;
  };
}
