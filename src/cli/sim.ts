import type { Command } from 'commander';
import type { Fault } from '../sim/faults.js';
import type { SwarmResult } from '../sim/swarm/index.js';
import { numberAbove0, wholeNumber } from './numbers.js';
import { settle } from './settle.js';
import { addMutantsCommand } from './sim-mutants.js';
import type { NativeOutcome } from './sim-native.js';
import { faultsFlag, readFaults, readTask, type SimFlags, type SimTask } from './sim-options.js';
import { type FailureReport, printReport, type SimReport } from './sim-report.js';
import { addSupervisorCommand } from './sim-supervisor.js';
import { addWhatifCommand } from './sim-whatif.js';

/** So many failures are made short: each takes some seconds. */
const shrunkMax = 3;

/** `ackgate sim`: the stage in simulated worlds, one for every seed. */
export function addSimCommand(program: Command): void {
  const sim = program
    .command('sim')
    .summary('run the stage in simulated worlds and check that nothing breaks')
    .description(
      'Runs the stage, as it is shipped, in a simulated world for every seed: a cluster, clients, a kernel and a clock ' +
        'that do what the seed says, with faults. Every run is checked against an independent model and done twice.',
    )
    // What follows a subcommand is the subcommand's.
    .enablePositionalOptions()
    .option('--seeds <n>', 'how many seeds (default 1000)', wholeNumber('--seeds', 1, 1e9))
    .option('--minutes <n>', 'as many seeds as can be run in this time', numberAbove0('--minutes', 100_000))
    .option('--first-seed <n>', 'the first of them (default 1)', wholeNumber('--first-seed', 0, seedMax))
    .option('--random', 'begin with a random seed')
    .option('--seed <n>', 'run one seed', wholeNumber('--seed', 0, seedMax))
    .option('--scenario <file>', 'run a scenario from a JSON file, - for standard input')
    .option(
      '--faults <list>',
      'faults that may happen: all, none, or names with commas between them',
      readFaults,
    )
    .option('--trace', 'with one run: print what happens')
    .option('--workers <n>', 'threads (default: one per core)', wholeNumber('--workers', 1, 256))
    .option('--no-native', 'leave out the C++ half')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate sim --seeds 10000
  $ ackgate sim --seed 4711 --trace
  $ ackgate sim --minutes 5 --random --faults short-send,blocked,fence`,
    )
    .action(run)
    // Also behind the subcommands.
    .hook('postAction', settle);
  addSupervisorCommand(sim);
  addWhatifCommand(sim);
  addMutantsCommand(sim);
}

const seedMax = Number.MAX_SAFE_INTEGER;

async function run(flags: SimFlags): Promise<void> {
  const task = readTask(flags);
  const { faultNames } = await import('../sim/faults.js');
  const faults = flags.faults ?? faultNames;
  // A reader that has seen enough of a trace is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  if (!flags.json) process.stdout.write(`${title(task, faults)}\n`);
  const native = await beginNative(flags, task);
  const report =
    task.kind === 'swarm' ? await runMany(task, faults, flags) : await runOne(task, faults, flags);
  const firstSeed = report.firstSeed;
  const nativeOutcome = await native({ firstSeed, seeds: report.seeds, faults, trace: flags.trace ?? false });
  const ok = report.ok && ('skipped' in nativeOutcome || nativeOutcome.ok);
  const whole: SimReport = { ...report, ok, native: nativeOutcome };
  if (flags.json) process.stdout.write(`${JSON.stringify(whole)}\n`);
  else printReport(whole, (text) => process.stdout.write(text));
  process.exitCode = ok ? 0 : 1;
}

type Part = Omit<SimReport, 'native'>;
type NativeRunner = Awaited<ReturnType<typeof import('./sim-native.js').prepareNative>>;

async function beginNative(flags: SimFlags, task: SimTask): Promise<NativeRunner> {
  const skip = (skipped: string) => async (): Promise<NativeOutcome> => ({ skipped });
  if (!flags.native) return skip('--no-native was given');
  if (task.kind === 'scenario') return skip('it knows seeds, but no scenarios');
  const { prepareNative } = await import('./sim-native.js');
  return prepareNative();
}

async function runMany(
  task: SimTask & { kind: 'swarm' },
  faults: readonly Fault[],
  { workers, json }: SimFlags,
): Promise<Part> {
  const { runSwarm } = await import('../sim/swarm/index.js');
  const { openProgress } = await import('./sim-progress.js');
  const { kind, ...range } = task;
  const progress = await openProgress(task.minutes ?? null, json ?? false);
  let result: SwarmResult;
  try {
    result = await runSwarm({
      ...range,
      faults,
      ...(workers === undefined ? {} : { workers }),
      onProgress: (state) => progress.update(state),
    });
  } finally {
    progress.stop();
  }
  const failures: FailureReport[] = [];
  for (const [index, failure] of result.failures.entries()) {
    const { seed, invariant, message } = failure;
    const short = invariant === 'hang' || index >= shrunkMax ? {} : await shrunk(seed, faults, invariant);
    failures.push({ seed, invariant, message, command: commandOf(seed, faults), ...short });
  }
  return { ...result, failures };
}

async function shrunk(
  seed: number,
  faults: readonly Fault[],
  invariant: string,
): Promise<{ scenario?: object }> {
  const { shrinkScenario } = await import('../sim/shrink.js');
  const { drawScenario } = await import('../sim/scenario.js');
  const short = shrinkScenario(drawScenario(seed, faults), invariant as Parameters<typeof shrinkScenario>[1]);
  return short === null ? {} : { scenario: short.difference };
}

async function runOne(
  task: SimTask & { kind: 'seed' | 'scenario' },
  faults: readonly Fault[],
  { trace = false }: { trace?: boolean },
): Promise<Part> {
  const { attempt } = await import('../sim/attempt.js');
  const { drawScenario } = await import('../sim/scenario.js');
  const { shrinkScenario } = await import('../sim/shrink.js');
  const { coverageOf } = await import('../sim/swarm/coverage.js');
  const { addAttempt, emptyTally } = await import('../sim/swarm/tally.js');
  const scenario = task.kind === 'seed' ? drawScenario(task.seed, faults) : task.scenario;
  const { seed } = scenario;
  const beganMs = performance.now();
  const outcome = attempt(scenario, { trace });
  const wallMs = Math.round(performance.now() - beganMs);
  const tally = emptyTally();
  addAttempt(tally, seed, outcome);
  const { failure, result } = outcome;
  const short = failure === null ? null : shrinkScenario(scenario, failure.invariant);
  const command =
    task.kind === 'seed'
      ? commandOf(seed, faults)
      : `npx ackgate sim --scenario ${JSON.stringify(task.file)}`;
  const scenarioPart = short === null ? {} : { scenario: short.difference };
  return {
    ok: failure === null,
    firstSeed: seed,
    seeds: 1,
    failed: tally.failed,
    failures: tally.failures.map((found) => ({ ...found, command, ...scenarioPart })),
    coverage: coverageOf(tally, faults),
    records: tally.records,
    hash: result?.hash ?? '',
    wallMs,
    ...(result?.trace ? { trace: result.trace } : {}),
  };
}

/** The first line: what is run, and how to run it again. */
function title(task: SimTask, faults: readonly Fault[]): string {
  if (task.kind === 'seed') return `seed ${task.seed}; again: ${commandOf(task.seed, faults)}`;
  if (task.kind === 'scenario') return `seed ${task.scenario.seed}; again: ${fileCommand(task.file)}`;
  const { firstSeed, seeds, minutes } = task;
  const range =
    seeds === undefined ? `from seed ${firstSeed}` : `seeds ${firstSeed} … ${firstSeed + seeds - 1}`;
  const amount = `${seeds === undefined ? '' : ` --seeds ${seeds}`}${minutes === undefined ? '' : ` --minutes ${minutes}`}`;
  return `${range}; again: npx ackgate sim --first-seed ${firstSeed}${amount}${faultsFlag(faults)}`;
}

function commandOf(seed: number, faults: readonly Fault[]): string {
  return `npx ackgate sim --seed ${seed}${faultsFlag(faults)}`;
}

function fileCommand(file: string): string {
  return `npx ackgate sim --scenario ${/^[\w./-]+$/.test(file) ? file : JSON.stringify(file)}`;
}
