import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { Invariant } from '../failure.js';
import type { RunOptions } from '../run.js';
import type { SupervisorInvariant } from '../supervisor/invariants.js';

/** What a worker is given. */
export interface HuntTask {
  /** Of the patched copy. */
  dir: string;
  seeds: number;
  options: RunOptions;
  world: 'stage' | 'supervisor';
  /** The seed that runs just now: tells whether it goes on. */
  progress: SharedArrayBuffer;
}

/** What it says at the end. */
export interface HuntEnd {
  /** Seeds run. */
  seeds: number;
  failure: { invariant: Invariant | SupervisorInvariant; message: string } | null;
  /** The simulator itself broke down. */
  broken: string | null;
}

/** What one seed of a world comes to. */
type SeedRun = (seed: number) => Promise<HuntEnd['failure']>;

/** Runs seeds of a world with the package in this folder. */
async function worldIn(dir: string | URL, world: HuntTask['world'], options: RunOptions): Promise<SeedRun> {
  const load = (file: string) =>
    import((typeof dir === 'string' ? pathToFileURL(join(dir, 'sim', file)) : new URL(file, dir)).href);
  if (world === 'supervisor') {
    const { runSupervised }: typeof import('../supervisor/run.js') = await load('supervisor/run.js');
    const { drawSupervisorScenario }: typeof import('../supervisor/scenario.js') =
      await load('supervisor/scenario.js');
    return async (seed) => (await runSupervised(drawSupervisorScenario(seed))).failure;
  }
  const { runScenario }: typeof import('../run.js') = await load('run.js');
  const { drawScenario }: typeof import('../scenario.js') = await load('scenario.js');
  return async (seed) => runScenario(drawScenario(seed), options).failure;
}

async function hunt({ dir, seeds, options, world, progress }: HuntTask): Promise<HuntEnd> {
  const mutated = await worldIn(dir, world, { ...options, twice: false });
  const sound = await worldIn(new URL('../', import.meta.url), world, { twice: false });
  const current = new Int32Array(progress);
  for (let seed = 1; seed <= seeds; seed++) {
    Atomics.store(current, 0, seed);
    try {
      const failure = await mutated(seed);
      // A seed that fails without the defect as well says nothing about it.
      if (failure === null || (await sound(seed)) !== null) continue;
      const { invariant, message } = failure;
      return { seeds: seed, failure: { invariant, message }, broken: null };
    } catch (error) {
      return { seeds: seed, failure: null, broken: String((error as Error)?.stack ?? error) };
    }
  }
  return { seeds, failure: null, broken: null };
}

parentPort?.postMessage(await hunt(workerData as HuntTask));
