import type { Command } from 'commander';
import { mutants, quickMutants } from '../sim/mutants/catalogue.js';
import type { MutantResult } from '../sim/mutants/hunt.js';
import { wholeNumber } from './numbers.js';
import { WrongCall } from './wrong-call.js';

interface MutantsOptions {
  only?: string[];
  seeds: number;
  quick?: true;
  json?: true;
}

const seedsDefault = 2000;

/** `ackgate sim mutants`: puts every known defect back, one at a time, and looks whether the simulator finds it. */
export function addMutantsCommand(sim: Command): void {
  sim
    .command('mutants')
    .summary('put known defects back and look whether the simulator finds them')
    .description(
      'Puts each defect that response stages are known to have had back into a copy of the compiled package, or of the ' +
        'C++ sources, and runs seeds until an invariant breaks. Exits 0 when every defect was found, else 1. The C++ ' +
        'ones need a compiler; without it they count as not found.',
    )
    .option('--only <ids>', 'these alone, such as M01,M07', readIds)
    .option('--seeds <count>', 'most seeds for each', wholeNumber('--seeds', 1, 1_000_000), seedsDefault)
    .option('--quick', `a few that are found at once and need no compiler: ${quickMutants.join(', ')}`)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate sim mutants
  $ ackgate sim mutants --only M01,M07 --seeds 500
  $ ackgate sim mutants --quick --json`,
    )
    .action((options: MutantsOptions) => run(options));
}

async function run({ only, seeds, quick, json }: MutantsOptions): Promise<void> {
  if (only !== undefined && quick) {
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', '--only and --quick cannot be given together');
  }
  const ids = only ?? (quick ? quickMutants : mutants.map(({ id }) => id));
  const chosen = mutants.filter(({ id }) => ids.includes(id));
  const { huntAll } = await import('../sim/mutants/hunt.js');
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  const tell = progress(chosen.length);
  try {
    const results = await huntAll(chosen, { seeds, signal: interrupted.signal, onResult: tell });
    process.stderr.write(process.stderr.isTTY ? '\r\x1b[K' : '');
    process.stdout.write(json ? `${JSON.stringify({ mutants: results })}\n` : table(results));
    if (results.some(({ found }) => !found)) process.exitCode = 1;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** A line that is written over on a terminal; one line each elsewhere. */
function progress(total: number): (result: MutantResult) => void {
  let done = 0;
  return ({ id, found }) => {
    const line = `${++done} of ${total}: ${id} ${found ? 'found' : 'not found'}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

const titleWidth = 64;

function table(results: readonly MutantResult[]): string {
  const lines = [row('', 'defect', 'part', 'found by', 'seeds')];
  for (const { id, found, invariant, seeds, message } of results) {
    const { title, part } = mutants.find((mutant) => mutant.id === id) as (typeof mutants)[number];
    lines.push(row(id, title, part, found ? (invariant as string) : 'NOTHING', String(seeds)));
    if (!found) lines.push(`     ${message.split('\n', 1)[0]}`);
  }
  const found = results.filter((result) => result.found).length;
  return `${[...lines, `${found} of ${results.length} defects were found.`].join('\n')}\n`;
}

function row(id: string, title: string, part: string, by: string, seeds: string): string {
  const short = title.length > titleWidth ? `${title.slice(0, titleWidth - 1)}…` : title;
  return [id.padEnd(4), short.padEnd(titleWidth), part.padEnd(10), by.padEnd(8), seeds.padStart(5)].join(' ');
}

function readIds(text: string): string[] {
  const ids = text.split(',').map((id) => id.trim());
  const unknown = ids.filter((id) => !mutants.some((mutant) => mutant.id === id));
  if (unknown.length === 0) return ids;
  const valid = mutants.map(({ id }) => id).join(', ');
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `--only: there is no mutant "${unknown.join('", "')}"; there are ${valid}`,
  );
}
