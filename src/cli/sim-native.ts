import type { Fault } from '../sim/faults.js';
import { faultNames } from '../sim/faults.js';
import { seedsForCoverage } from '../sim/swarm/coverage.js';
import { detailsMax } from '../sim/swarm/tally.js';
import { faultsFlag } from './sim-options.js';

/** What the C++ half has come to, or why it was not run. */
export type NativeOutcome = NativePart | { skipped: string };

export interface NativePart {
  ok: boolean;
  seeds: number;
  failed: number;
  failures: { seed: number; invariant: string; message: string; faults: string[]; command: string }[];
  coverage: {
    faults: Record<string, number>;
    fallbacks: Record<string, number>;
    missing: string[];
    required: boolean;
  };
  hash: string;
  wallMs: number;
  trace?: string[];
}

/** Begins to build the C++ half, so that it is there when it is wanted. */
export async function prepareNative(): Promise<(options: NativeRun) => Promise<NativeOutcome>> {
  const { buildNativeSim, runNativeSim } = await import('../sim/native/index.js');
  const building = buildNativeSim();
  // Looked at below, which may be much later.
  building.catch(() => {});
  return async ({ firstSeed, seeds, faults, trace }) => {
    const build = await building;
    if (!build.ok) return { skipped: build.reason };
    const { binary } = build;
    const beganMs = performance.now();
    const all = faults.length === faultNames.length;
    // This half knows fewer faults, and some of its own, which only happen along with all others.
    const probe = all ? null : await runNativeSim({ binary, seeds: 1, faults: [] });
    const known = probe === null ? null : faults.filter((name) => name in probe.coverage.faults);
    const report = await runNativeSim({
      binary,
      firstSeed,
      seeds,
      checkRepeat: true,
      trace,
      ...(known === null ? {} : { faults: known }),
    });
    const missing = [
      ...missingOf('fault', report.coverage.faults, known),
      ...missingOf('fallback', report.coverage.reached, null),
    ];
    const required = all && report.seeds >= seedsForCoverage;
    const failed = report.failures.length;
    return {
      ok: failed === 0 && !(required && missing.length > 0),
      seeds: report.seeds,
      failed,
      failures: report.failures.slice(0, detailsMax).map((failure) => ({
        ...failure,
        command: `npx ackgate sim --seed ${failure.seed}${faultsFlag(faults)}`,
      })),
      coverage: { faults: report.coverage.faults, fallbacks: report.coverage.reached, missing, required },
      hash: report.hash,
      wallMs: Math.round(performance.now() - beganMs),
      ...(report.trace === undefined ? {} : { trace: report.trace.trimEnd().split('\n') }),
    };
  };
}

export interface NativeRun {
  firstSeed: number;
  seeds: number;
  faults: readonly Fault[];
  trace: boolean;
}

function missingOf(kind: string, counts: Record<string, number>, wanted: readonly string[] | null): string[] {
  return Object.keys(counts)
    .filter((name) => counts[name] === 0 && (wanted === null || wanted.includes(name)))
    .map((name) => `${kind} ${name}`);
}
