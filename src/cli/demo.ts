import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { MAX_CLUSTER_SIZE, type Policy, resolvePolicy } from '../policy/index.js';
import { checkEngine, type EngineChoice, type EngineName, useEngine } from './demo-engine.js';
import { demoFailure } from './demo-failure.js';
import { numberWithin, wholeNumber } from './numbers.js';
import { WrongCall } from './wrong-call.js';

interface DemoOptions {
  seconds: number;
  clients: number;
  rate: number;
  engine: EngineName;
  servers: string[] | null;
  standbys: string[] | null;
  cluster: string | null;
  node: string | null;
  takeOver: boolean;
  /** Null: the engine's own default. */
  policy: string | null;
  backend: 'auto' | 'uring' | 'posix';
  journal: string | null;
  port: number;
  seed: number;
  adminPort: number | null;
  pauseJournal: { at: number; for: number } | null;
  json?: true;
}

/** The parts of the example that this command calls; it is compiled on its own, as a user's program. */
interface Example {
  runDemo(
    options: Omit<DemoOptions, 'json' | 'adminPort' | 'policy'> & {
      policy: string;
      storage: object;
      admin: { port: number; token: string } | null;
    },
    report: unknown,
    stop: AbortSignal,
  ): Promise<{ ok: boolean; problems: string[] }>;
  silentReport: unknown;
  textReport(out: NodeJS.WriteStream, options: { redraw?: boolean }): unknown;
  summaryText(result: object): string;
}

/** What was not asked for. As a default of the option itself it would be printed in the help. */
const absent = {
  takeOver: false,
  servers: null,
  standbys: null,
  cluster: null,
  node: null,
  policy: null,
  journal: null,
  adminPort: null,
  pauseJournal: null,
};

/** One client holds two descriptors of the server, and this many are in use for other things. */
const otherDescriptors = 100;

/** `ackgate demo`: a matching engine, clients that load it and check every response, and what came of it. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .summary('run a matching engine under load and check every response')
    .description(
      'Starts an order-matching server, loads it from other processes at a fixed rate, checks that every response ' +
        'comes exactly once, in order and with the right content, and reports round trips.',
    )
    .option('--seconds <n>', 'how long to send orders', numberWithin('--seconds', 0.1, 86_400), 10)
    .option('--clients <n>', 'connections', wholeNumber('--clients', 1, 16_000), 64)
    .option(
      '--rate <n>',
      'orders per second, all clients together',
      wholeNumber('--rate', 1, 1_000_000),
      10_000,
    )
    .addOption(
      new Option(
        '--engine <name>',
        'what keeps the orders: files of this machine, or servers that replicate them',
      )
        .choices(['file', 'postgres', 'nats'])
        .default('file'),
    )
    .option(
      '--servers <urls>',
      'of the engine, with commas between them; a password is better in PGPASSWORD, for all can see arguments (default: brought up for this run)',
      list('--servers'),
    )
    .option(
      '--standbys <names>',
      "PostgreSQL's standbys that count (default: standby1,standby2)",
      list('--standbys'),
    )
    .option('--cluster <name>', 'of the replicas behind NATS (default: demo)', nonEmpty('--cluster'))
    .option(
      '--node <name>',
      "this server's own name among the nodes (default: the host's)",
      nonEmpty('--node'),
    )
    .option('--take-over', 'become the primary though another one seems to be there')
    .option(
      '--policy <policy>',
      "a mode such as local, or a policy such as 'persisted>=1' (default: local; hybrid where there are replicas)",
      nonEmpty('--policy'),
    )
    .addOption(
      new Option('--backend <name>', 'how responses are sent')
        .choices(['auto', 'uring', 'posix'])
        .default('auto'),
    )
    .option('--journal <dir>', 'keep the journal here, and go on from what is in it', nonEmpty('--journal'))
    .option(
      '--port <n>',
      'where the server listens, 0 for any free port',
      wholeNumber('--port', 0, 65_535),
      0,
    )
    .option('--seed <n>', 'seed of the orders', wholeNumber('--seed', 0, 0xffff_ffff), 1)
    .option(
      '--admin-port <n>',
      'serve health, metrics and the live page there, 0 for any free port; ACKGATE_ADMIN_TOKEN is the token',
      wholeNumber('--admin-port', 0, 65_535),
    )
    .option(
      '--pause-journal <at,for>',
      'from second AT on, make nothing durable for FOR seconds, as a stalled disk would',
      pause,
    )
    .option('--json', 'print one JSON document')
    .action((given: Omit<DemoOptions, keyof typeof absent>) => run({ ...absent, ...given }));
}

async function run({ json, adminPort, ...options }: DemoOptions): Promise<void> {
  const policy = options.policy ?? (options.engine === 'file' ? 'local' : 'hybrid');
  checkEngine(options, options.journal);
  await checkPolicy(policy, options);
  checkPause(options);
  checkDescriptors(options.clients);
  const example = (await import(new URL('../demo/index.js', import.meta.url).href)) as Example;
  const stop = new AbortController();
  const onSignal = () => {
    // The second time is for those who don't want to wait.
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    const admin = adminPort === null ? null : { port: adminPort, token: adminToken(json === true) };
    const redraw = admin === null && options.pauseJournal === null ? {} : { redraw: false };
    const out = json ? process.stderr : process.stdout;
    const report = example.textReport(out, redraw);
    const { storage, close } = await useEngine(options, (line) => out.write(`${line}\n`));
    try {
      const result = await example.runDemo({ ...options, policy, storage, admin }, report, stop.signal);
      process.stdout.write(json ? `${JSON.stringify(result)}\n` : example.summaryText(result));
      if (!result.ok) process.exitCode = 1;
    } finally {
      await close();
    }
  } catch (error) {
    const { code, message } = demoFailure(error);
    if (json)
      process.stdout.write(`${JSON.stringify({ ok: false, error: { code, message, position: null } })}\n`);
    process.stderr.write(`error: ${message}\n`);
    process.exitCode = 1;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
    if (options.engine !== 'file') endNow();
  }
}

/**
 * Ends the process once everything is printed. Left to itself, Node 20 now and then spins for ever at the end of a process
 * that ran servers and killed them (nodejs/node#47748).
 */
function endNow(): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}

/** Without one in the environment, one for this run, said on the terminal; a program that reads JSON gets none. */
function adminToken(json: boolean): string {
  const given = process.env.ACKGATE_ADMIN_TOKEN ?? '';
  if (given !== '' || json) return given;
  const token = randomBytes(16).toString('hex');
  process.stdout.write(`admin token ${token}\n`);
  return token;
}

function checkPause({ pauseJournal, seconds }: Pick<DemoOptions, 'pauseJournal' | 'seconds'>): void {
  if (pauseJournal === null || pauseJournal.at + pauseJournal.for <= seconds) return;
  const { at, for: length } = pauseJournal;
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `--pause-journal ${at},${length} ends after the load, which takes ${seconds} s: use a longer --seconds`,
  );
}

/** Refuses a policy that would never let anything through, as far as it is known how many nodes there will be. */
async function checkPolicy(text: string, options: EngineChoice): Promise<void> {
  const { engine } = options;
  const policy = WrongCall.guard<Policy>(text, (word) => resolvePolicy(word).policy);
  if (engine === 'postgres') {
    const { checkPostgresPolicy } = await import('../postgres/index.js');
    WrongCall.guard(text, () => checkPostgresPolicy(policy));
  }
  const nodes = nodesOf(options);
  if (!policy.evaluate(Array.from({ length: nodes }, () => ({ inMemory: 1, persisted: 1 }))).degraded) return;
  const advice =
    engine === 'file'
      ? 'Use local, persisted>=1 or in_memory>=1, or --engine postgres or nats'
      : 'Use hybrid';
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `--policy "${text}" (${policy}) asks for more nodes than there are with --engine ${engine} (${nodes}), so nothing ` +
      `would ever be acknowledged. ${advice}`,
  );
}

/** The primary and its replicas; as many as there can be, where it is not known. */
function nodesOf({ engine, servers, standbys }: EngineChoice): number {
  if (engine === 'file') return 1;
  if (engine === 'nats' && servers !== null) return MAX_CLUSTER_SIZE;
  return 1 + (standbys?.length ?? 2);
}

function checkDescriptors(clients: number): void {
  const limit = descriptorLimit();
  const needed = 2 * clients + otherDescriptors;
  if (needed <= limit) return;
  const most = Math.floor((limit - otherDescriptors) / 2);
  const orFewer = most > 0 ? ` or use at most ${most} clients` : '; it is too low for a single client';
  throw new WrongCall(
    'ERR_ACKGATE_TOO_MANY_FDS',
    `--clients ${clients} needs ${needed} open files in the server, the limit is ${limit}: raise it (ulimit -n)${orFewer}`,
  );
}

/** This process's limit of open files, which its children inherit. */
function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return soft === null ? Number.POSITIVE_INFINITY : Number(soft[1]);
  } catch {
    // Not Linux: the server says it when it gets there.
    return Number.POSITIVE_INFINITY;
  }
}

function pause(text: string): { at: number; for: number } {
  const [, at, length] = /^(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (at !== undefined && Number(length) > 0) return { at: Number(at), for: Number(length) };
  throw WrongCall.value('--pause-journal', text, 'write two numbers of seconds, such as 5,3');
}

function nonEmpty(option: string): (text: string) => string {
  return (text) => {
    if (text !== '') return text;
    throw WrongCall.value(option, text, 'it must not be empty');
  };
}

function list(option: string): (text: string) => string[] {
  return (text) => {
    const parts = text.split(',').map((part) => part.trim());
    if (parts.every((part) => part !== '')) return parts;
    throw WrongCall.value(option, text, 'write them with commas between them');
  };
}
