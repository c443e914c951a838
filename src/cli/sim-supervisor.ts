import type { Command } from 'commander';
import type { SupervisorRun } from '../sim/supervisor/run.js';
import type { SupervisorSweepFailure } from '../sim/supervisor/sweep.js';
import { wholeNumber } from './numbers.js';
import { refuse } from './sim-options.js';
import { counted, type FailureReport, printFailure, seconds } from './sim-report.js';
import { WrongCall } from './wrong-call.js';

interface SupervisorFlags {
  seeds?: number;
  firstSeed?: number;
  seed?: number;
  everyTask?: number;
  afterTask?: number;
  trace?: boolean;
  json?: boolean;
}

const seedsDefault = 500;
const seedMax = Number.MAX_SAFE_INTEGER;
const write = (text: string) => process.stdout.write(`${text}\n`);

/** `ackgate sim supervisor`: the connection supervisor in simulated worlds, one for every seed. */
export function addSupervisorCommand(sim: Command): void {
  sim
    .command('supervisor')
    .summary('run the connection supervisor in simulated worlds and check that nothing breaks')
    .description(
      'Runs the supervisor, as it is shipped, before the stage in a simulated world for every seed: clients that keep ' +
        'the rules or break them, handlers and services that fail, and a shutdown at some moment. Exits 0 when every ' +
        'invariant held, else 1.',
    )
    .option('--seeds <n>', `how many seeds (default ${seedsDefault})`, wholeNumber('--seeds', 1, 1e9))
    .option('--first-seed <n>', 'the first of them (default 1)', wholeNumber('--first-seed', 0, 2 ** 52))
    .option(
      '--every-task <n>',
      'run each also with the shutdown begun behind every n-th task of its control thread',
      wholeNumber('--every-task', 1, 1e6),
    )
    .option('--seed <n>', 'run one seed, twice', wholeNumber('--seed', 0, seedMax))
    .option(
      '--after-task <n>',
      'with --seed: begin the shutdown there',
      wholeNumber('--after-task', 1, 2 ** 31 - 1),
    )
    .option('--trace', 'with --seed: print what happens')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate sim supervisor --seeds 5000
  $ ackgate sim supervisor --seeds 20 --every-task 1
  $ ackgate sim supervisor --seed 4711 --trace`,
    )
    .action(run);
}

async function run(flags: SupervisorFlags): Promise<void> {
  const { seed, seeds, firstSeed, everyTask, afterTask, trace } = flags;
  if (seed === undefined) {
    const name = afterTask !== undefined ? '--after-task' : trace ? '--trace' : null;
    if (name !== null)
      throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `${name} goes with --seed: it is about one run`);
    await runMany(flags);
  } else {
    refuse('--seed', { '--seeds': seeds, '--first-seed': firstSeed, '--every-task': everyTask });
    await runOne(seed, flags);
  }
}

async function runMany({
  seeds = seedsDefault,
  firstSeed = 1,
  everyTask,
  json = false,
}: SupervisorFlags): Promise<void> {
  const { sweepSupervisor } = await import('../sim/supervisor/sweep.js');
  const { openProgress } = await import('./sim-progress.js');
  const every = everyTask === undefined ? '' : ` --every-task ${everyTask}`;
  if (!json) {
    write(
      `seeds ${firstSeed} … ${firstSeed + seeds - 1}; again: npx ackgate sim supervisor --first-seed ${firstSeed} --seeds ${seeds}${every}`,
    );
  }
  const beganMs = performance.now();
  const progress = await openProgress(null, json);
  const onProgress = progress.update.bind(progress);
  const sweep = await sweepSupervisor({ firstSeed, seeds, every: everyTask ?? null, onProgress }).finally(
    () => progress.stop(),
  );
  const wallMs = Math.round(performance.now() - beganMs);
  const ok = sweep.failed === 0;
  const failures = sweep.failures.map(report);
  process.exitCode = ok ? 0 : 1;
  if (json) {
    write(JSON.stringify({ ok, ...sweep, failures, wallMs }));
    return;
  }
  for (const failure of failures) printFailure(failure, write);
  const verdict = ok ? 'every invariant held' : `${sweep.failed} failed`;
  write(
    `${counted(sweep.runs, 'run')}, ${counted(sweep.connections, 'connection')}, ${counted(sweep.requests, 'request')} in ${seconds(wallMs)}: ${verdict} (hash ${sweep.hash})`,
  );
  write(ok ? 'ok' : 'failed');
}

async function runOne(
  seed: number,
  { afterTask, trace = false, json }: SupervisorFlags & { trace?: boolean },
) {
  const { simulateSupervisor } = await import('../sim/supervisor/run.js');
  const again = commandOf(seed, afterTask ?? null);
  if (!json) write(`seed ${seed}; again: ${again}`);
  const result: SupervisorRun = await simulateSupervisor({
    seed,
    trace,
    ...(afterTask !== undefined && { shutdownAfterTask: afterTask }),
  });
  const { failure } = result;
  process.exitCode = failure === null ? 0 : 1;
  if (json) {
    write(JSON.stringify({ ok: failure === null, ...result, command: again }));
    return;
  }
  for (const line of result.trace ?? []) write(line);
  if (failure !== null)
    printFailure(report({ seed, shutdownAfterTask: afterTask ?? null, ...failure }), write);
  const { tasks, hash, status } = result;
  write(`${counted(tasks, 'task')}, ${counted(status.spawned, 'connection')} (hash ${hash})`);
  write(failure === null ? 'ok' : 'failed');
}

function report({ seed, shutdownAfterTask, invariant, message }: SupervisorSweepFailure): FailureReport {
  return { seed, invariant, message, command: commandOf(seed, shutdownAfterTask) };
}

function commandOf(seed: number, afterTask: number | null): string {
  return `npx ackgate sim supervisor --seed ${seed}${afterTask === null ? '' : ` --after-task ${afterTask}`}`;
}
