import type { Command } from 'commander';
import { type AckgateError, type AckgateErrorCode, hasCode } from '../errors.js';
import type { SoakDriver } from '../soak/driver.js';
import type { Verdict } from '../soak/findings.js';
import type { SoakResult } from '../soak/run-record.js';
import type { SoakOptions } from '../soak/runner.js';
import { numberAbove0, wholeNumber } from './numbers.js';
import { settle } from './settle.js';
import { readDriver } from './soak-driver.js';
import {
  type BeginTask,
  type ResumeTask,
  readSeconds,
  readTask,
  type SoakFlags,
  type Words,
  wordsBehindDashes,
} from './soak-options.js';
import { openSoakProgress } from './soak-progress.js';
import { soakText } from './soak-text.js';
import { WrongCall } from './wrong-call.js';

const exitCodes: Readonly<Record<Verdict, number>> = { pass: 0, fail: 1, inconclusive: 3 };
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** What a shell makes of an interrupt. */
const interrupted = 130;

/**
 * `ackgate soak`: a server under load and chaos for minutes or days, and what came of it.
 *
 * @param argv where the `--` is looked for that commander takes away
 */
export function addSoakCommand(program: Command, argv: readonly string[] = process.argv): void {
  program
    .command('soak')
    .summary('load a server for minutes or days, and say whether it leaks, slows down or loses anything')
    .description(
      'Starts a server, loads it with requests and chaos, watches its memory, descriptors, threads and latency from ' +
        'outside, and judges what it saw: pass, fail, or inconclusive. Without a command it is our own demo.',
    )
    .usage('[options] <smoke|moderate|reconnect|memory|file> [-- command...]')
    .argument('[scenario]', 'smoke (60 s), moderate (24 h), reconnect (48 h), memory (12 h), or a JSON file')
    .argument(
      '[command...]',
      'behind --: the server; {port} and {dir} are replaced, PORT is in its environment',
    )
    .option('--duration <time>', 'how long under load, such as 90s, 10m or 2h', readSeconds)
    .option('--out <dir>', 'where the report goes (default: soak-SCENARIO-TIME)')
    .option('--seed <n>', 'of load and chaos (default 1)', wholeNumber('--seed', 0, 0xffff_ffff))
    .option('--rate <n>', 'requests per second, all clients together', numberAbove0('--rate', 100_000))
    .option('--clients <n>', 'connections', wholeNumber('--clients', 1, 10_000))
    .option('--driver <module>', "speaks the server's protocol (default: the demo's)")
    .option('--host <address>', 'where the server listens (default 127.0.0.1)')
    .option('--port <n>', 'where the server listens (default: a free one)', wholeNumber('--port', 1, 65_535))
    .option('--resume', 'go on with the run in --out, whose runner was interrupted')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Exit code 0: pass. 1: fail. 2: the call can't be meant. 3: inconclusive.

Examples:
  $ ackgate soak smoke
  $ ackgate soak moderate --duration 10m --out report
  $ ackgate soak my-soak.json --driver my-driver.mjs -- node server.js --port {port}
  $ ackgate soak --resume --out report`,
    )
    .action((scenario: string | undefined, words: string[], flags: SoakFlags) =>
      run(wordsBehindDashes(argv, scenario, words), flags),
    )
    .hook('postAction', settle);
}

async function run(words: Words, flags: SoakFlags): Promise<void> {
  const task = await readTask(words, flags);
  const driver = await readDriver(task.driverModule, task.command !== null);
  const begin = task.kind === 'begin' ? await beginning(task, driver) : await resumption(task, driver);

  const { keepHeapSmall } = await import('../soak/small-heap.js');
  keepHeapSmall();
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    // The second time is for those who don't want to wait; the server is killed on the way out.
    if (stop.signal.aborted) process.exit(interrupted);
    stop.abort(`stopped by ${signal}`);
  };
  // A listener of the driver's, as a rule, which met what it did not expect: what was measured until then is kept.
  const onThrow = (error: unknown) => stop.abort(`something threw outside of any call: ${stackOf(error)}`);
  for (const signal of signals) process.on(signal, onSignal);
  process.on('uncaughtException', onThrow);
  const view = await openSoakProgress();
  let result: SoakResult;
  try {
    result = await begin({ signal: stop.signal, onProgress: (progress) => view.update(progress) });
  } catch (error) {
    if (!hasCode(error, 'ERR_ACKGATE_SOAK_RECORD')) throw error;
    const { code, message } = error as AckgateError;
    if (flags.json) process.stdout.write(`${JSON.stringify({ error: { code, message, position: null } })}\n`);
    else process.stderr.write(`error: ${message} (${code})\n`);
    process.exitCode = exitCodes.inconclusive;
    return;
  } finally {
    view.stop();
    for (const signal of signals) process.off(signal, onSignal);
    process.off('uncaughtException', onThrow);
  }
  process.stdout.write(flags.json ? `${JSON.stringify(documentOf(result))}\n` : soakText(result));
  process.exitCode = exitCodes[result.verdict];
}

/** What it is, and where it was thrown. */
const stackOf = (error: unknown): string =>
  error instanceof Error && error.stack !== undefined
    ? error.stack
        .split('\n')
        .slice(0, 2)
        .map((line) => line.trim())
        .join(' ')
    : String(error);

/** Starts a run that is ready to begin. */
type Begin = (options: Pick<SoakOptions, 'signal' | 'onProgress'>) => Promise<SoakResult>;

async function beginning(task: BeginTask, driver: SoakDriver): Promise<Begin> {
  const { checkForDriver, runSoak } = await import('../soak/index.js');
  const { config, notes } = WrongCall.guard('', () => checkForDriver(task.config, driver));
  const { command, driverModule, port, host, directory, repeat } = task;
  return (options) =>
    asWrongCall('ERR_ACKGATE_INVALID_ARGUMENT', () =>
      runSoak(config, {
        ...options,
        ...(command === null ? {} : { command }),
        ...(driverModule === null ? {} : { driverModule }),
        ...(port === null ? {} : { port }),
        ...{ driver, host, directory, repeat, notes },
      }),
    );
}

async function resumption({ checkpoint, directory }: ResumeTask, driver: SoakDriver): Promise<Begin> {
  const { resumeSoak } = await import('../soak/index.js');
  // Of a run that has come to its end, or goes on elsewhere.
  return (options) =>
    asWrongCall('ERR_ACKGATE_SOAK_CHECKPOINT', () =>
      resumeSoak(checkpoint, { ...options, driver, directory }),
    );
}

async function asWrongCall<T>(code: AckgateErrorCode, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw hasCode(error, code) ? new WrongCall(code, (error as Error).message) : error;
  }
}

/** What `--json` prints; the whole of it is in report.json. */
function documentOf({ verdict, findings, directory, record }: SoakResult) {
  return { verdict, findings, directory, repeat: record.repeat };
}
