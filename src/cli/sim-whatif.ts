import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { DistributionFile, WhatIfOptions, WhatIfResult } from '../sim/whatif/index.js';
import { numberAbove0, numberWithin, wholeNumber } from './numbers.js';
import { WrongCall } from './wrong-call.js';

interface Options {
  policies?: string;
  device?: string;
  replicaDevice?: string;
  network?: string;
  host?: string;
  distributions?: string;
  record?: string;
  recordSeconds: number;
  recordReplicas: number;
  journal?: string;
  nodes?: number;
  zones?: number;
  rate?: number;
  fanOut?: number;
  payload?: number;
  arrivals?: string;
  orders?: number;
  seed?: number;
  failures?: { mtbfHours: number; mttrMinutes: number }[];
  html?: string;
  json?: true;
}

const hours = { h: 1, d: 24 } as const;
const minutes = { s: 1 / 60, m: 1, h: 60, d: 1440 } as const;

/** `ackgate sim whatif`: what acknowledgements would cost on machines that need not exist yet. */
export function addWhatifCommand(sim: Command): void {
  sim
    .command('whatif')
    .summary('compare policies on assumed or recorded disks and networks')
    .description(
      'Runs the stage in virtual time over simulated disks and networks, once for every policy: how long ' +
        'acknowledgements take, who is waited for, how long a policy is degraded when replicas fail, and which failure ' +
        'loses what.',
    )
    .option('--policies <list>', 'modes or policies, with commas between them (default: the four modes)')
    .option('--nodes <n>', 'machines, the primary included (default 3)', wholeNumber('--nodes'))
    .option(
      '--zones <n>',
      'zones that they stand in, in turn (default: as the network has them)',
      wholeNumber('--zones'),
    )
    .option('--rate <n>', 'orders per second (default 10000)', numberAbove0('--rate'))
    .option('--arrivals <how>', 'poisson or even (default poisson)')
    .option('--fan-out <n>', 'responses per order (default 2)', wholeNumber('--fan-out'))
    .option('--payload <bytes>', 'bytes of a response (default 64)', wholeNumber('--payload'))
    .option('--device <preset>', 'disks: nvme-plp, cloud-block or spinning-disk (default nvme-plp)')
    .option('--replica-device <preset>', "the replicas' disks (default: as --device)")
    .option('--network <preset>', 'network: lan, two-zones or two-regions (default lan)')
    .option('--host <preset>', 'threads and calls: parked or ideal (default parked)')
    .option('--distributions <file>', 'distributions from a file, in place of the presets')
    .option(
      '--record <file>',
      'run a server with a journal on this machine, write its distributions, and use them',
    )
    .option('--record-seconds <n>', 'for how long, 0.5 … 600', numberWithin('--record-seconds', 0.5, 600), 5)
    .option(
      '--record-replicas <n>',
      'with so many replicas on this machine, 0 … 4',
      wholeNumber('--record-replicas', 0, 4),
      2,
    )
    .option('--journal <dir>', 'record on the disk of this directory (default: a temporary one)')
    .option('--failures <list>', 'how often a replica fails, and for how long: 30d/10m,7d/1h', readFailures)
    .option('--orders <n>', 'orders per policy (default 100000)', wholeNumber('--orders'))
    .option('--seed <n>', 'seed of everything that is drawn (default 1)', wholeNumber('--seed'))
    .option('--html <file>', 'write a page with charts')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate sim whatif --network two-zones --policies 'local,hybrid,persisted>=2 zones'
  $ ackgate sim whatif --device cloud-block --rate 50000 --html whatif.html
  $ ackgate sim whatif --record mine.json --journal /var/lib/engine
  $ ackgate sim whatif --distributions mine.json --nodes 5 --json`,
    )
    .action((options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  const { whatIf, whatIfPage, whatIfTable } = await import('../sim/whatif/index.js');
  const { checkWhatIf } = await import('../sim/whatif/options.js');
  const asked = toWhatIf(options);
  // Before anything that takes long: what can't be meant, and a file that can't be written.
  WrongCall.guard('', () => checkWhatIf(asked));
  if (options.html !== undefined) writeOut('--html', options.html, '');
  const distributions = await gather(options);
  const full = distributions === null ? asked : combine(asked, distributions, options.record !== undefined);
  WrongCall.guard('', () => checkWhatIf(full));
  const result: WhatIfResult = whatIf(full);
  if (options.html !== undefined) writeOut('--html', options.html, await whatIfPage(result));
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : whatIfTable(result));
}

/**
 * A recording was made with the load that was asked for, and has it. A file's arrivals give way to a load that is asked
 * for.
 */
function combine(asked: WhatIfOptions, file: DistributionFile, isRecorded: boolean): WhatIfOptions {
  const { ordersPerSecond, arrivals, ...load } = asked.load ?? {};
  if (isRecorded) return { ...asked, load, distributions: file };
  if (ordersPerSecond === undefined && arrivals === undefined) return { ...asked, distributions: file };
  const { arrivals: _, ...distributions } = file.distributions;
  return { ...asked, distributions: { ...file, distributions } };
}

/** The distributions of a file, or of a recording made now; null: presets. */
async function gather(options: Options): Promise<DistributionFile | null> {
  const { parseDistributions } = await import('../sim/whatif/shape-file.js');
  if (options.distributions !== undefined) {
    if (options.record !== undefined) {
      throw new WrongCall(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        '--record and --distributions exclude each other: give one',
      );
    }
    const name = options.distributions;
    return WrongCall.guard('', () => parseDistributions(readIn(name), name));
  }
  if (options.record === undefined) return null;
  writeOut('--record', options.record, '');
  const { recordHere } = await import('../sim/whatif/record-here.js');
  process.stderr.write(`recording for ${options.recordSeconds} s …\n`);
  const file = await recordHere({
    seconds: options.recordSeconds,
    replicas: options.recordReplicas,
    ordersPerSecond: options.rate ?? 1000,
    ...(options.journal !== undefined && { directory: options.journal }),
  });
  writeOut('--record', options.record, `${JSON.stringify(file)}\n`);
  return file;
}

function toWhatIf(options: Options): WhatIfOptions {
  const { policies, nodes, zones, rate, fanOut, payload, arrivals, failures, orders, seed } = options;
  const { device, replicaDevice, network, host } = options;
  // Presets and the like go in as they were written: their check names them, and what is valid.
  return defined({
    policies: policies === undefined ? undefined : splitPolicies(policies),
    cluster: defined({ nodes, zones }),
    load: defined({ ordersPerSecond: rate, fanOut, payloadBytes: payload, arrivals }),
    device,
    replicaDevice,
    network,
    host,
    failureRates: failures,
    orders,
    seed,
  }) as WhatIfOptions;
}

function splitPolicies(text: string): string[] {
  return text.split(',').map((policy) => policy.trim());
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function readIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `--distributions "${path}" can't be read: ${(error as Error).message}`,
    );
  }
}

function writeOut(option: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${option} "${path}" can't be written: ${(error as Error).message}`,
    );
  }
}

function readFailures(text: string): { mtbfHours: number; mttrMinutes: number }[] {
  return text.split(',').map((part) => {
    const found = /^\s*(\d+(?:\.\d+)?)([hd])\/(\d+(?:\.\d+)?)([smhd])\s*$/.exec(part);
    if (found === null) {
      throw WrongCall.value(
        '--failures',
        text,
        `write such as 30d/10m: hours or days between failures (h, d), then how long one lasts (s, m, h, d)`,
      );
    }
    const [, often, oftenUnit, long, longUnit] = found;
    return {
      mtbfHours: Number(often) * hours[oftenUnit as keyof typeof hours],
      mttrMinutes: Number(long) * minutes[longUnit as keyof typeof minutes],
    };
  });
}
