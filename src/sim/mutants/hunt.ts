import { Worker } from 'node:worker_threads';
import { runNativeMutant } from '../native/index.js';
import type { Mutant, MutantForm } from './catalogue.js';
import { distDir, patchedCopy } from './copy.js';
import type { HuntEnd, HuntTask } from './worker.js';

/** Whether, and how, a defect was found. */
export interface MutantResult {
  id: string;
  found: boolean;
  /** What found it, such as `I07`; of several forms all, joined by a comma. Null: nothing did. */
  invariant: string | null;
  /** Seeds that were needed, or that were not enough. */
  seeds: number;
  /** What was seen, or why nothing was. */
  message: string;
}

export interface HuntOptions {
  /** Most seeds, from 1 on (default 2000). */
  seeds?: number;
  /** The compiled package to put the defects into (default: this one). */
  dist?: string;
  /** Longest time without a seed coming to its end, in milliseconds (default 60,000): the simulator hangs then. */
  stallMs?: number;
  signal?: AbortSignal | undefined;
}

const seedsDefault = 2000;
const stallMsDefault = 60_000;
const lookMs = 200;

/** Puts a defect back, in each of its forms, and looks for it. All forms must be found. */
async function huntMutant(mutant: Mutant, options: HuntOptions = {}): Promise<MutantResult> {
  const { seeds = seedsDefault, signal } = options;
  if (mutant.part === 'C++') {
    const {
      id,
      found,
      invariant,
      seeds: needed,
      message,
    } = await runNativeMutant(mutant.id, { seeds, ...(signal && { signal }) });
    return { id, found, invariant, seeds: needed, message: needed === 0 ? `not run: ${message}` : message };
  }
  const results: MutantResult[] = [];
  for (const form of mutant.forms) {
    const result = await huntForm(mutant.id, form, options);
    if (!result.found) return result;
    results.push(result);
  }
  const slowest = results.reduce((most, result) => (result.seeds > most.seeds ? result : most));
  const invariants = new Set(results.map(({ invariant }) => invariant));
  return { ...slowest, invariant: [...invariants].sort().join(',') };
}

/** Looks for whatever is wrong with a copy of the package into which this was put. */
export async function huntForm(
  id: string,
  form: MutantForm,
  options: HuntOptions = {},
): Promise<MutantResult> {
  const { seeds = seedsDefault, dist = distDir, stallMs = stallMsDefault, signal } = options;
  signal?.throwIfAborted();
  const copy = await patchedCopy(id, form.patches, dist);
  try {
    const end = await run(
      { dir: copy.dir, seeds, options: form.options ?? {}, world: form.world ?? 'stage' },
      stallMs,
      signal,
    );
    const { failure, broken } = end;
    if (failure !== null) {
      const { invariant, message } = failure;
      return { id, found: true, invariant, seeds: end.seeds, message };
    }
    const message = broken === null ? `survived ${seeds} seeds` : `seed ${end.seeds}: ${broken}`;
    return { id, found: false, invariant: null, seeds: end.seeds, message };
  } finally {
    await copy.remove();
  }
}

/** In a thread of its own: a mutant may be one that never comes back. */
function run(
  task: Omit<HuntTask, 'progress'>,
  stallMs: number,
  signal: AbortSignal | undefined,
): Promise<HuntEnd> {
  const progress = new SharedArrayBuffer(4);
  const current = new Int32Array(progress);
  const workerData: HuntTask = { ...task, progress };
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
  return new Promise<HuntEnd>((resolve, reject) => {
    let seed = 0;
    let sinceMs = performance.now();
    const timer = setInterval(() => {
      const seen = Atomics.load(current, 0);
      if (seen !== seed) {
        seed = seen;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs > stallMs) {
        resolve({
          seeds: seed,
          failure: null,
          broken: `did not end within ${stallMs} ms; no check bounds it`,
        });
      }
    }, lookMs);
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => {
      clearInterval(timer);
      signal?.removeEventListener('abort', abort);
      reject(new Error('the worker has ended without a result'));
    });
  }).finally(() => worker.terminate());
}

/** Looks for several, two at a time, and tells of each as it is done. The results are in the order of the mutants. */
export async function huntAll(
  mutants: readonly Mutant[],
  options: HuntOptions & { onResult?: (result: MutantResult) => void } = {},
): Promise<MutantResult[]> {
  const results: MutantResult[] = [];
  const { signal: asked } = options;
  const broken = new AbortController();
  const signal = asked === undefined ? broken.signal : AbortSignal.any([asked, broken.signal]);
  let next = 0;
  const lane = async () => {
    while (next < mutants.length) {
      const place = next++;
      const result = await huntMutant(mutants[place], { ...options, signal }).catch((error) => {
        // The other lane need not go on.
        broken.abort(error);
        throw error;
      });
      results[place] = result;
      options.onResult?.(result);
    }
  };
  await Promise.all([lane(), lane()]);
  return results;
}
