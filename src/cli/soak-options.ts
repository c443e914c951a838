import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Checkpoint } from '../soak/checkpoint.js';
import type { SoakConfig } from '../soak/config.js';
import { fitDuration, isScenarioName, scenarioNames } from '../soak/scenarios.js';
import { seconds } from './duration.js';
import { WrongCall } from './wrong-call.js';

/** As commander hands them over. */
export interface SoakFlags {
  duration?: number;
  out?: string;
  seed?: number;
  rate?: number;
  clients?: number;
  driver?: string;
  host?: string;
  port?: number;
  resume?: true;
  json?: true;
}

/** A run that begins. */
export interface BeginTask {
  readonly kind: 'begin';
  readonly config: SoakConfig;
  /** Null: the driver's own server. */
  readonly command: readonly string[] | null;
  /** Absolute path; null: the demo's. */
  readonly driverModule: string | null;
  readonly host: string;
  /** Null: any free one. */
  readonly port: number | null;
  readonly directory: string;
  readonly repeat: string;
}

/** A run that goes on. */
export interface ResumeTask {
  readonly kind: 'resume';
  readonly checkpoint: Checkpoint;
  readonly command: readonly string[] | null;
  readonly driverModule: string | null;
  readonly directory: string;
}

const invalid = 'ERR_ACKGATE_INVALID_ARGUMENT';
const hostDefault = '127.0.0.1';

export const readSeconds = (text: string): number => seconds('--duration', text);

/** What is not an option. */
export interface Words {
  readonly scenario: string | undefined;
  /** The server's; empty when there is none. */
  readonly command: readonly string[];
}

/** The server's command: all words behind `--`, and none before it but the scenario. */
export function wordsBehindDashes(
  argv: readonly string[],
  scenario: string | undefined,
  words: readonly string[],
): Words {
  const all = scenario === undefined ? [] : [scenario, ...words];
  const dashes = argv.indexOf('--');
  const count = dashes === -1 ? 0 : argv.length - dashes - 1;
  const before = all.slice(0, all.length - count);
  if (before.length > 1) {
    throw new WrongCall(
      invalid,
      `"${before[1]}" is one word too many behind "${before[0]}": the server's command is written behind --`,
    );
  }
  if (dashes !== -1 && count === 0) throw new WrongCall(invalid, 'there is no command behind --');
  return { scenario: before[0], command: all.slice(all.length - count) };
}

export async function readTask(
  { scenario, command }: Words,
  flags: SoakFlags,
): Promise<BeginTask | ResumeTask> {
  if (flags.resume) return readResume(scenario, command, flags);
  if (scenario === undefined) {
    throw new WrongCall(
      invalid,
      `name a scenario (${scenarioNames.join(', ')}) or a file, or --resume a run`,
    );
  }
  if (flags.out === '') throw new WrongCall(invalid, '--out "": name a folder');
  const config = await readConfig(scenario, flags);
  return {
    kind: 'begin',
    config,
    command: command.length === 0 ? null : command,
    driverModule: flags.driver === undefined ? null : resolve(flags.driver),
    host: flags.host ?? hostDefault,
    port: flags.port ?? null,
    directory: resolve(flags.out ?? `soak-${config.scenario}-${stamp(new Date())}`),
    repeat: repeatOf(scenario, config, flags, command),
  };
}

/** Of a built-in scenario or a file, with what the options say in place of it. */
async function readConfig(scenario: string, flags: SoakFlags): Promise<SoakConfig> {
  const { checkSoakConfig } = await import('../soak/config-check.js');
  const options = {
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
    ...(flags.rate === undefined ? {} : { requestsPerSecond: flags.rate }),
    ...(flags.clients === undefined ? {} : { clients: flags.clients }),
  };
  const durationSeconds = flags.duration;
  if (isScenarioName(scenario)) {
    const duration = durationSeconds === undefined ? {} : { durationSeconds };
    return WrongCall.guard('', () => checkSoakConfig({ scenario, ...duration, ...options }));
  }
  const given = readJson(scenario);
  return guarded(scenario, () => {
    const config = checkSoakConfig({ ...given, ...options });
    if (durationSeconds === undefined) return config;
    const { required } = given;
    const fitted = fitDuration(config, durationSeconds);
    return checkSoakConfig({ ...fitted, required });
  });
}

/** A wrong call that names the file. */
function guarded<T>(file: string, read: () => T): T {
  try {
    return WrongCall.guard('', read);
  } catch (error) {
    if (error instanceof WrongCall) throw new WrongCall(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

function readJson(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new WrongCall(
      invalid,
      code === 'ENOENT'
        ? `there is no scenario or file "${file}": scenarios are ${scenarioNames.join(', ')}`
        : `${file} can't be read: ${message}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WrongCall(invalid, `${file} is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new WrongCall(invalid, `${file} must hold an object`);
}

async function readResume(
  scenario: string | undefined,
  command: readonly string[],
  flags: SoakFlags,
): Promise<ResumeTask> {
  const { duration, seed, rate, clients, driver, host, port } = flags;
  const others = {
    [`the scenario ${scenario}`]: scenario,
    'the command': command.length > 0 ? command : undefined,
    '--duration': duration,
    '--seed': seed,
    '--rate': rate,
    '--clients': clients,
    '--driver': driver,
    '--host': host,
    '--port': port,
  };
  const other = Object.entries(others).find(([, value]) => value !== undefined)?.[0];
  if (other !== undefined) {
    throw new WrongCall(invalid, `--resume goes on with what the run was begun with: leave out ${other}`);
  }
  if (flags.out === undefined || flags.out === '') {
    throw new WrongCall(invalid, '--resume needs --out, the folder of the run to go on with');
  }
  const directory = resolve(flags.out);
  const { readCheckpoint } = await import('../soak/checkpoint.js');
  const checkpoint = await readCheckpoint(directory).catch((error: unknown) =>
    WrongCall.guard('', () => {
      throw error;
    }),
  );
  const { command: begunWith, driverModule } = checkpoint.source;
  return { kind: 'resume', checkpoint, command: begunWith, driverModule, directory };
}

/** The command line that runs the same again, in the same folder. */
function repeatOf(
  scenario: string,
  { seed, durationSeconds }: SoakConfig,
  { duration, rate, clients, driver, host, port }: SoakFlags,
  command: readonly string[],
): string {
  const options: [string, string | number | undefined][] = [
    ['--seed', seed],
    // A file has its own, which need not be whole seconds.
    ['--duration', duration !== undefined || isScenarioName(scenario) ? `${durationSeconds}s` : undefined],
    ['--rate', rate],
    ['--clients', clients],
    ['--driver', driver],
    ['--host', host],
    ['--port', port],
  ];
  const given = options.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
  const behind = command.length === 0 ? [] : ['--', ...command];
  return `npx ackgate soak ${[scenario, ...given, ...behind].map(quoted).join(' ')}`;
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Such as `20261121T173446Z`. */
const stamp = (time: Date): string => time.toISOString().replace(/[-:]|\.\d+/g, '');
