import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const root = join(import.meta.dirname, '../..');
export const readText = (path: string) => readFileSync(join(root, path), 'utf8');

export interface Step {
  readonly name?: string;
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

export interface Job {
  readonly uses?: string;
  readonly if?: string;
  readonly needs?: string | readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly 'runs-on'?: string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly environment?: string | { readonly name: string };
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: unknown;
  readonly concurrency?: unknown;
  readonly defaults?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = '.github/workflows';

/** Every workflow of the project. */
export const workflows = readdirSync(join(root, folder)).map((file) => {
  const text = readText(`${folder}/${file}`);
  return { file, text, ...(parse(text) as Workflow) };
});

/** Every job of every workflow, as `file job`. */
export const jobs = workflows.flatMap(({ file, jobs: all }) =>
  Object.entries(all).map(([id, job]) => ({ name: `${file} ${id}`, file, job, steps: job.steps ?? [] })),
);

/** The shell of every step that has one, and the scripts that they call. */
export const shells = [
  ...jobs.flatMap(({ name, steps }) =>
    steps.flatMap(({ run, ...step }, index) =>
      run === undefined ? [] : [{ name: `${name}: ${step.name ?? step.id ?? `step ${index + 1}`}`, run }],
    ),
  ),
  ...readdirSync(join(root, '.ci')).map((file) => ({ name: `.ci/${file}`, run: readText(`.ci/${file}`) })),
];

/** The shell of one step. */
export function shellOf(file: string, job: string, step: string): string {
  const found = jobs
    .find(({ name }) => name === `${file} ${job}`)
    ?.steps.find(({ id, name }) => name === step || id === step)?.run;
  if (found === undefined) throw new Error(`${file} has no step "${step}" in the job ${job}`);
  return found;
}
