import type { RunOptions } from '../run.js';
import { cursorFrameMutants } from './cursor-frame-mutants.js';
import { egressMutants } from './egress-mutants.js';
import { gateMutants } from './gate-mutants.js';
import type { Patch } from './patch.js';
import { stageMutants } from './stage-mutants.js';
import { supervisorMutants } from './supervisor-mutants.js';

/** A defect that response stages have had, and how it is put back. */
export interface Mutant {
  readonly id: string;
  readonly title: string;
  /** Where it is put back: into the compiled TypeScript, or into the C++ sources. */
  readonly part: 'TypeScript' | 'C++';
  /** Each a form of the defect of its own; all have to be found. None: the C++ half knows it. */
  readonly forms: readonly MutantForm[];
}

export interface MutantForm {
  readonly patches: readonly Patch[];
  /** Instead of a patch, or with it: what the world around the stage does. */
  readonly options?: RunOptions;
  /** Where it is looked for (default: the stage's world). */
  readonly world?: 'supervisor';
}

const native = (id: string, title: string): Mutant => ({ id, title, part: 'C++', forms: [] });

/** In the order of their numbers. */
export const mutants: readonly Mutant[] = [
  ...gateMutants,
  ...cursorFrameMutants,
  ...egressMutants,
  ...stageMutants,
  ...supervisorMutants,
  native('M13', 'EINTR after submission: stale completions applied to changed buffers, bytes sent twice'),
  native('M14', 'a failed submit leaves entries queued that point at buffers changed since'),
  native('M23', 'more dirty connections than ring entries crash the stage'),
  native('M31', 'the ring is torn down while the kernel still holds buffers'),
].sort((a, b) => (a.id < b.id ? -1 : 1));

/** A few of every kind that are found at once, for every build. */
export const quickMutants: readonly string[] = [
  'M01',
  'M02',
  'M03',
  'M04',
  'M05',
  'M06',
  'M09',
  'M10',
  'M11',
  'M16',
  'M20',
  'M22',
  'M25',
  'M26',
  'M27',
  'M28',
  'M32',
  'N08',
  'N11',
  'V01',
  'V03',
  'V04',
  'V05',
  'V08',
  'V10',
  'V12',
  'V15',
];
