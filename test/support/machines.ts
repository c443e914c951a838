import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Diagnosis } from '#ackgate/doctor/diagnose.js';
import type { Launcher } from './launchers.js';

export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
const reportProgram = fileURLToPath(new URL('../fixtures/machine-report.mjs', import.meta.url));
/** Nothing takes this long unless it hangs. */
const hangMs = 50_000;

/** How a command is run on a machine that lacks something. */
export interface Machine {
  /** Read once for each process. */
  readonly launcher?: Launcher;
  /** Of Node. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Where the package is (default: here). */
  readonly root?: string;
}

export interface Finished {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Refusal {
  readonly error: { readonly name: string; readonly code: string | null; readonly message: string };
}

export interface StageReport {
  readonly backend: string;
  readonly fallback: string | null;
  /** Bytes that the client got. */
  readonly received: number;
  readonly log: readonly { level: string; fields: Record<string, unknown>; message: string }[];
}

/** What `machine-report.mjs` prints. */
export interface MachineReport {
  readonly policy: number | Refusal;
  readonly simulate: { failure: unknown } | Refusal;
  readonly journal: { persisted: number } | Refusal | null;
  readonly stages: Readonly<Record<string, StageReport | Refusal>>;
  readonly descriptors: { readonly before: number; readonly after: number } | null;
}

/** Bytes of three answers of machine-report.mjs with their headers. */
export const allAnswers = 39;

/** A folder for the tests of a file, which any user may write to. */
export function ownFolder(): { readonly path: string } {
  const folder = { path: '' };
  beforeAll(() => {
    folder.path = mkdtempSync(join(tmpdir(), 'ackgate-machine-'));
    chmodSync(folder.path, 0o777);
  });
  afterAll(() => rmSync(folder.path, { recursive: true, force: true }));
  return folder;
}

/** Runs a program of Node there, and fails if it hangs or a signal ends it. */
async function runNode(machine: Machine, args: readonly string[]): Promise<Finished> {
  const { launcher = [], flags = [], env = process.env } = machine;
  const [command, ...rest] = [...launcher, process.execPath, ...flags, ...args];
  const child = spawn(command, rest, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: hangMs });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  const ended = await new Promise<{ status: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal }));
  });
  expect({ args, signal: ended.signal, ...output }).toMatchObject({ signal: null });
  return { ...ended, ...output };
}

export function runCli(machine: Machine, args: readonly string[]): Promise<Finished> {
  return runNode(machine, [join(machine.root ?? packageRoot, 'dist/cli/main.js'), ...args]);
}

/** What doctor prints for people, and for programs. */
export async function runDoctor(machine: Machine, args: readonly string[] = []) {
  const [lines, document] = await Promise.all([
    runCli(machine, ['doctor', ...args]),
    runCli(machine, ['doctor', '--json', ...args]),
  ]);
  expect(lines.status).toBe(document.status);
  expect(document.stdout.trimEnd().split('\n')).toHaveLength(1);
  return {
    status: lines.status,
    text: lines.stdout,
    diagnosis: JSON.parse(document.stdout) as Diagnosis,
  };
}

export interface DemoDocument {
  readonly ok: boolean;
  readonly backend?: string;
  readonly problems?: readonly string[];
  readonly error?: { readonly code: string | null; readonly message: string };
}

/** A short demo with few clients. */
export async function runDemo(machine: Machine, args: readonly string[] = []) {
  const short = ['--seconds', '0.3', '--clients', '4', '--rate', '200', '--json'];
  const { status, stdout, stderr } = await runCli(machine, ['demo', ...short, ...args]);
  return { status, stderr, result: JSON.parse(stdout) as DemoDocument };
}

/** Uses the parts of the package in one process; `journal`: null for none. */
export async function runReport(
  machine: Machine,
  backends: readonly string[] = ['auto', 'uring', 'posix'],
  journal: string | null = null,
): Promise<MachineReport> {
  const task = { root: machine.root ?? packageRoot, journal, backends };
  const { status, stdout, stderr } = await runNode(machine, [reportProgram, JSON.stringify(task)]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const report = JSON.parse(stdout) as MachineReport;
  // Whatever could not be had, nothing of it is left behind.
  if (report.descriptors !== null)
    expect(report.descriptors.after).toBeLessThanOrEqual(report.descriptors.before);
  return report;
}

/** Policy and simulator, which need nothing of a machine. */
export function expectPureParts({ policy, simulate }: MachineReport): void {
  expect(policy).toBe(5);
  expect(simulate).toEqual({ failure: null });
}

/** A stage that has sent everything, by this backend. */
export function expectServed(stage: StageReport | Refusal, backend: 'uring' | 'posix'): StageReport {
  expect(stage).toMatchObject({ backend, received: allAnswers });
  return stage as StageReport;
}

/** What a stage that did not start has said. */
export function expectRefused(part: unknown, code: string, words: RegExp): void {
  expect(part).toMatchObject({
    error: { name: 'AckgateError', code, message: expect.stringMatching(words) },
  });
}
