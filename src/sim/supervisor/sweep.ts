import { addCounts, addHash, detailsMax, hashText } from '../swarm/tally.js';
import type { SupervisorInvariant } from './invariants.js';
import { runSupervised, type SupervisorRun } from './run.js';
import { drawSupervisorScenario } from './scenario.js';

export interface SupervisorSweepOptions {
  firstSeed: number;
  seeds: number;
  /**
   * Runs each seed once more for every `every`-th task of its control thread before its shutdown, which begins behind that
   * task instead (default: none of these).
   */
  every?: number | null;
  onProgress?: (progress: { done: number; of: number; failed: number }) => void;
}

export interface SupervisorSweepFailure {
  readonly seed: number;
  readonly shutdownAfterTask: number | null;
  readonly invariant: SupervisorInvariant | 'crash';
  readonly message: string;
}

export interface SupervisorSweep {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly runs: number;
  readonly tasks: number;
  readonly connections: number;
  readonly requests: number;
  readonly pushes: number;
  readonly replies: number;
  /** Connections by the reason of their end, and sockets by that of their refusal. */
  readonly ended: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly failed: number;
  /** The lowest 20 of them. */
  readonly failures: readonly SupervisorSweepFailure[];
  /** Over all that happened. */
  readonly hash: string;
}

/** Runs many seeds, and each also with its shutdown at other moments. */
export async function sweepSupervisor(options: SupervisorSweepOptions): Promise<SupervisorSweep> {
  const { firstSeed, seeds, every = null, onProgress } = options;
  const sum = new Sum();
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const run = await sum.add(seed, null);
    for (let task = every ?? 1; every !== null && run !== null && task <= run.tasksBefore; task += every) {
      await sum.add(seed, task);
    }
    onProgress?.({ done: seed - firstSeed + 1, of: seeds, failed: sum.failed });
  }
  return { firstSeed, seeds, ...sum.result() };
}

class Sum {
  failed = 0;
  readonly #failures: SupervisorSweepFailure[] = [];
  readonly #hashes = { hash: 0n };
  readonly #counts = { runs: 0, tasks: 0, connections: 0, requests: 0, pushes: 0, replies: 0 };
  readonly #ended: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};

  /** Null: the world itself broke down. */
  async add(seed: number, shutdownAfterTask: number | null): Promise<SupervisorRun | null> {
    try {
      const run = await runSupervised({ ...drawSupervisorScenario(seed), shutdownAfterTask });
      this.#count(run);
      if (run.failure !== null) this.#fail({ seed, shutdownAfterTask, ...run.failure });
      return run;
    } catch (error) {
      const message = String((error as Error)?.stack ?? error);
      this.#fail({ seed, shutdownAfterTask, invariant: 'crash', message });
      return null;
    }
  }

  result(): Omit<SupervisorSweep, 'firstSeed' | 'seeds'> {
    return {
      ...this.#counts,
      ended: this.#ended,
      refused: this.#refused,
      failed: this.failed,
      failures: this.#failures,
      hash: hashText(this.#hashes),
    };
  }

  #fail({ seed, shutdownAfterTask, invariant, message }: SupervisorSweepFailure): void {
    this.failed++;
    if (this.#failures.length < detailsMax)
      this.#failures.push({ seed, shutdownAfterTask, invariant, message });
  }

  #count({ status, tasks, hash }: SupervisorRun): void {
    const counts = this.#counts;
    counts.runs++;
    counts.tasks += tasks;
    counts.connections += status.spawned;
    counts.requests += status.requests;
    counts.pushes += status.pushes;
    counts.replies += status.replies;
    addCounts(this.#ended, status.ended);
    addCounts(this.#refused, status.refused);
    addHash(this.#hashes, counts.runs, hash);
  }
}
