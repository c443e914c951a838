import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { Invariant } from '../failure.js';
import type { RunOptions } from '../run.js';

/** What a worker is given. */
export interface HuntTask {
  /** Of the patched copy. */
  dir: string;
  seeds: number;
  options: RunOptions;
  /** The seed that runs just now: tells whether it goes on. */
  progress: SharedArrayBuffer;
}

/** What it says at the end. */
export interface HuntEnd {
  /** Seeds run. */
  seeds: number;
  failure: { invariant: Invariant; message: string } | null;
  /** The simulator itself broke down. */
  broken: string | null;
}

type Simulator = typeof import('../run.js') & typeof import('../scenario.js');

async function simulatorIn(dir: string | URL): Promise<Simulator> {
  const load = (file: string) =>
    import((typeof dir === 'string' ? pathToFileURL(join(dir, 'sim', file)) : new URL(file, dir)).href);
  return { ...(await load('run.js')), ...(await load('scenario.js')) } as Simulator;
}

async function hunt({ dir, seeds, options, progress }: HuntTask): Promise<HuntEnd> {
  const mutated = await simulatorIn(dir);
  const sound = await simulatorIn(new URL('../', import.meta.url));
  const current = new Int32Array(progress);
  const once = { ...options, twice: false };
  for (let seed = 1; seed <= seeds; seed++) {
    Atomics.store(current, 0, seed);
    try {
      const { failure } = mutated.runScenario(mutated.drawScenario(seed), once);
      // A seed that fails without the defect as well says nothing about it.
      if (failure === null || fails(sound, seed)) continue;
      return {
        seeds: seed,
        failure: { invariant: failure.invariant, message: failure.message },
        broken: null,
      };
    } catch (error) {
      return { seeds: seed, failure: null, broken: String((error as Error)?.stack ?? error) };
    }
  }
  return { seeds, failure: null, broken: null };
}

function fails({ runScenario, drawScenario }: Simulator, seed: number): boolean {
  return runScenario(drawScenario(seed), { twice: false }).failure !== null;
}

parentPort?.postMessage(await hunt(workerData as HuntTask));
