import { invariants } from '../sim/failure.js';
import { supervisorInvariants } from '../sim/supervisor/invariants.js';
import type { Coverage } from '../sim/swarm/index.js';
import type { NativeOutcome } from './sim-native.js';

export interface FailureReport {
  seed: number;
  invariant: string;
  message: string;
  /** Repeats it. */
  command: string;
  /** The shortest scenario found that fails in the same way, where it differs from the plain one. */
  scenario?: object;
}

/** What `--json` prints. */
export interface SimReport {
  ok: boolean;
  firstSeed: number;
  seeds: number;
  /** All that failed; `failures` has the lowest 20 of them. */
  failed: number;
  failures: FailureReport[];
  coverage: Coverage;
  records: number;
  /** Over all that happened: the same on every machine. */
  hash: string;
  wallMs: number;
  native: NativeOutcome;
  trace?: readonly string[];
}

export function printReport(report: SimReport, write: (text: string) => void): void {
  const line = (text: string) => write(`${text}\n`);
  for (const text of report.trace ?? []) line(text);
  for (const failure of report.failures) printFailure(failure, line);
  const { failed, failures, seeds, records, wallMs, hash, coverage, native } = report;
  if (failed > failures.length) line(`… and ${failed - failures.length} more`);
  const verdict = failed === 0 ? 'every invariant held' : `${failed} failed`;
  line(
    `${counted(seeds, 'seed')}, ${counted(records, 'record')} in ${seconds(wallMs)}: ${verdict} (hash ${hash})`,
  );
  if (seeds > 1) printCoverage(coverage, line);
  printNative(native, line);
  line(report.ok ? 'ok' : 'failed');
}

const meanings: Record<string, string> = { ...invariants, ...supervisorInvariants };

export function printFailure(
  { seed, invariant, message, command, scenario }: FailureReport,
  line: Line,
): void {
  const meaning = meanings[invariant];
  line(`seed ${seed} broke ${invariant}${meaning === undefined ? '' : ` (${meaning})`}`);
  line(`  what happened  ${message.trim().replaceAll('\n', '\n  ')}`);
  line(`  again          ${command}`);
  if (scenario !== undefined) line(`  scenario       ${JSON.stringify(scenario)}`);
}

function printCoverage({ faults, drops, fallbacks, missing, required }: Coverage, line: Line): void {
  const seen = (counts: object) => {
    const values = Object.values(counts);
    return `${values.filter((count) => count > 0).length} of ${values.length}`;
  };
  line(
    `seen           ${seen(faults)} faults, ${seen(drops)} reasons of drops, ${seen(fallbacks)} fallbacks`,
  );
  if (missing.length === 0) return;
  line(`never seen     ${missing.join(', ')}${required ? ': the checks of these have checked nothing' : ''}`);
}

function printNative(native: NativeOutcome, line: Line): void {
  if ('skipped' in native) {
    line(`C++ half       not run: ${native.skipped}`);
    return;
  }
  const { seeds, failed, failures, coverage, hash, wallMs, trace } = native;
  for (const text of trace ?? []) line(text);
  const verdict = failed === 0 ? 'every invariant held' : `${failed} failed`;
  line(`C++ half       ${counted(seeds, 'seed')} in ${seconds(wallMs)}: ${verdict} (hash ${hash})`);
  for (const failure of failures) {
    printFailure(failure, (text) => line(`  ${text}`));
    line(`    faults         ${failure.faults.join(', ')}`);
  }
  if (seeds > 1 && coverage.missing.length > 0) line(`  never seen   ${coverage.missing.join(', ')}`);
}

type Line = (text: string) => void;

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
