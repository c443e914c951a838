import { checkKeys, integer } from '../../shared/checks.js';
import { addCounts, addHash, detailsMax, hashText } from '../swarm/tally.js';
import type { SupervisorInvariant } from './invariants.js';
import { runSupervised, type SupervisorRun } from './run.js';
import { drawSupervisorScenario } from './scenario.js';

/** What `sweepSupervisor` is to run. */
export interface SupervisorSweepOptions {
  /** An integer from 0 on. */
  readonly firstSeed: number;
  /** How many, one after the other. */
  readonly seeds: number;
  /**
   * Runs each seed once more for every `every`-th task of its control thread before its shutdown, which begins behind that
   * task instead (default: none of these).
   */
  readonly every?: number | null;
  /** Called after each seed: how many are `done`, `of` how many, and how many of their runs have `failed`. */
  readonly onProgress?: (progress: { done: number; of: number; failed: number }) => void;
}

/** A run that failed. */
export interface SupervisorSweepFailure {
  /** With `shutdownAfterTask`, all that is needed to run it again. */
  readonly seed: number;
  /** Where the shutdown was moved to, in tasks of the control thread; null: it came when the seed says. */
  readonly shutdownAfterTask: number | null;
  /** What was broken; `crash`: the world itself threw. */
  readonly invariant: SupervisorInvariant | 'crash';
  /** What was seen, in a sentence; of a crash, its stack. */
  readonly message: string;
}

/** What many runs have come to, added up. */
export interface SupervisorSweep {
  /** As it was asked for. */
  readonly firstSeed: number;
  /** As it was asked for. */
  readonly seeds: number;
  /** Runs that came to their end, each seed counted once and once more for each moved shutdown. */
  readonly runs: number;
  /** Tasks of the control thread, over all runs. */
  readonly tasks: number;
  /** Connections made. */
  readonly connections: number;
  /** Requests that were handed over. */
  readonly requests: number;
  /** Pushes to clients. */
  readonly pushes: number;
  /** Replies to them. */
  readonly replies: number;
  /** Connections by the reason of their end. */
  readonly ended: Readonly<Record<string, number>>;
  /** Sockets by the reason of their refusal. */
  readonly refused: Readonly<Record<string, number>>;
  /** Runs that failed. */
  readonly failed: number;
  /** The first 20 of them, by seed. */
  readonly failures: readonly SupervisorSweepFailure[];
  /** Over all that happened in all runs: 64 bits in hexadecimal. */
  readonly hash: string;
}

/**
 * Runs many seeds, and each also with its shutdown at other moments.
 *
 * @throws AckgateError that names the option for everything that can't be meant
 */
export async function sweepSupervisor(options: SupervisorSweepOptions): Promise<SupervisorSweep> {
  checkKeys('options', options, ['firstSeed', 'seeds', 'every', 'onProgress']);
  const { firstSeed, seeds, every = null, onProgress } = options;
  integer('firstSeed', firstSeed, 0, Number.MAX_SAFE_INTEGER);
  integer('seeds', seeds, 1, Number.MAX_SAFE_INTEGER - firstSeed + 1);
  if (every !== null) integer('every', every, 1, Number.MAX_SAFE_INTEGER);
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
