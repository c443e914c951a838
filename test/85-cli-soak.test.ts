import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { addSoakCommand } from '#ackgate/cli/soak.js';
import { quoted } from '#ackgate/cli/soak-options.js';
import { progressText } from '#ackgate/cli/soak-progress.js';
import { soakText } from '#ackgate/cli/soak-text.js';
import { WrongCall } from '#ackgate/cli/wrong-call.js';
import { writeCheckpoint } from '#ackgate/soak/checkpoint.js';
import { newProgress, RunBook } from '#ackgate/soak/run-book.js';
import { soakScenario } from '#ackgate/soak/scenarios.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = join(root, 'dist/cli/main.js');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-soak-cli-'));
  const files = {
    'none.mjs': 'export const driver = {};',
    'object.mjs': 'export default {};',
    'throws.mjs': "export default () => { throw new Error('no luck') };",
    'empty.mjs': 'export default () => ({});',
    'no-connect.mjs': "export default () => ({ name: 'x', operations: ['simple'], requestBytesMax: 1 });",
    'operations.mjs':
      "export default () => ({ name: 'x', connect() {}, operations: ['simpel'], requestBytesMax: 1 });",
    'bytes.mjs': "export default () => ({ name: 'x', connect() {}, operations: ['simple'] });",
    'faults.mjs':
      "export default () => ({ name: 'x', connect() {}, operations: ['simple'], requestBytesMax: 1, faults: { a: {} } });",
    'good.mjs':
      "export default async () => ({ name: 'x', connect() {}, operations: ['simple'], requestBytesMax: 1 });",
    'torn.json': '{ "clients": ',
    'list.json': '[]',
    'wrong.json': '{ "clients": 0 }',
    'slow.json': '{ "mix": { "slow": 1 } }',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  mkdirSync(join(directory, 'used'));
  writeFileSync(join(directory, 'used', 'report.json'), '{}');
  process.chdir(directory);
});

afterAll(() => {
  process.chdir(root);
  rmSync(directory, { recursive: true, force: true });
});

function soak(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'soak', ...args], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 50_000,
  });
  return { status, stdout, stderr };
}

describe('ackgate soak refuses', () => {
  const wrong: [string[], RegExp][] = [
    [[], /name a scenario \(smoke, moderate, reconnect, memory\) or a file, or --resume a run/],
    [['smok'], /there is no scenario or file "smok": scenarios are smoke, /],
    [['smoke', 'node'], /"node" is one word too many behind "smoke".*behind --/],
    [['smoke', '--'], /no command behind --/],
    [['--', 'node', 'server.js'], /name a scenario/],
    [['smoke', '--duration', 'long'], /--duration "long" must be a time such as 90s, 10m or 2h/],
    [['smoke', '--duration', '0s'], /durationSeconds must be a number from 1 to/],
    [['smoke', '--seed', '4294967296'], /--seed must be a whole number from 0 to 4294967295, got 4294967296/],
    [['smoke', '--rate', '0'], /--rate must be a number above 0, at most 100000, got 0/],
    [['smoke', '--clients', '10001'], /--clients must be a whole number from 1 to 10000, got 10001/],
    [['smoke', '--port', '70000'], /--port must be a whole number from 1 to 65535, got 70000/],
    [['smoke', '--out', ''], /--out "": name a folder/],
    [['smoke', '--frob'], /unknown option '--frob'/],
    [['torn.json'], /torn\.json is not JSON/],
    [['list.json'], /list\.json must hold an object/],
    [['wrong.json'], /wrong\.json: clients must be an integer from 1 to 10000, got 0/],
    [['smoke', '--out', 'used'], /used has another run's report\.json/],
    [['smoke', '--driver', 'missing.mjs'], /driver .*missing\.mjs: can't be loaded/],
    [['smoke', '--driver', 'none.mjs'], /none\.mjs: its default export must be a function.*it has none/],
    [['smoke', '--driver', 'object.mjs'], /object\.mjs: its default export must be a function.*it is object/],
    [['smoke', '--driver', 'throws.mjs'], /throws\.mjs: its function has thrown: no luck/],
    [['smoke', '--driver', 'empty.mjs'], /empty\.mjs: name must be a text/],
    [['smoke', '--driver', 'no-connect.mjs'], /no-connect\.mjs: connect must be a function/],
    [['smoke', '--driver', 'operations.mjs'], /operations has "simpel"; known are simple, batch/],
    [['smoke', '--driver', 'bytes.mjs'], /requestBytesMax must be a number from 1 on, got undefined/],
    [['smoke', '--driver', 'faults.mjs'], /faults\["a"\] must have a description, begin\(\) and end\(\)/],
    [
      ['smoke', '--driver', 'good.mjs'],
      /good\.mjs: it has no server\(\): write the server's command behind --/,
    ],
    [
      ['slow.json', '--driver', 'good.mjs', '--', 'x'],
      /mix\.slow: the driver x does not have this operation; it has simple/,
    ],
    [['--resume'], /--resume needs --out/],
    [['--resume', 'smoke', '--out', 'used'], /leave out the scenario smoke/],
    [['--resume', '--out', 'used', '--seed', '0'], /leave out --seed/],
    [['--resume', '--out', 'used', '--', 'node'], /leave out the command/],
    [['--resume', '--out', 'used'], /no run to go on with in .*used: it has no checkpoint\.json/],
  ];

  test.each(wrong)('%j', async (args, message) => {
    const program = new Command().enablePositionalOptions().exitOverride();
    program.configureOutput({ writeErr: () => {} });
    const argv = ['soak', ...args];
    addSoakCommand(program, argv);
    const error = await program.parseAsync(argv, { from: 'user' }).catch((thrown) => thrown);
    expect(error instanceof WrongCall || error instanceof CommanderError).toBe(true);
    expect(error.message).toMatch(message);
  });

  it('with exit code 2, on standard error', () => {
    const { status, stdout, stderr } = soak('smoke', 'node');
    expect(stderr).toMatch(/^error: "node" is one word too many/);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  it('in a document with --json', () => {
    const { status, stdout, stderr } = soak('wrong.json', '--json');
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'ERR_ACKGATE_OUT_OF_RANGE',
        message: expect.stringMatching(/^wrong\.json: clients/),
        position: null,
      },
    });
    expect(stderr).toBe('');
    expect(status).toBe(2);
  });

  it('to go on with a run that has come to its end', async () => {
    const config = soakScenario('smoke');
    const out = join(directory, 'finished');
    mkdirSync(out);
    await writeCheckpoint(out, {
      finished: true,
      source: { command: null, driverModule: null, host: '127.0.0.1', port: null },
      identity: { startedAt: '', config, driver: 'x', command: [], repeat: '' },
      progress: newProgress(),
      serverFolder: null,
      serverPid: null,
      serverStartTicks: null,
      runnerPid: 1,
      runnerStartTicks: null,
    });
    const { status, stderr } = soak('--resume', '--out', 'finished');
    expect(stderr).toMatch(/has come to its end/);
    expect(status).toBe(2);
    expect(readdirSync(out)).toEqual(['checkpoint.json']);
  });

  it('without leaving a folder behind', () => {
    expect(readdirSync(directory).filter((name) => name.startsWith('soak-'))).toEqual([]);
  });
});

test('--help names options, exit codes and examples', () => {
  const { status, stdout } = soak('--help');
  expect(status).toBe(0);
  for (const word of [
    '--duration',
    '--out',
    '--seed',
    '--resume',
    '--json',
    '--driver',
    'inconclusive',
    '-- node',
  ]) {
    expect(stdout).toContain(word);
  }
});

test('words are quoted so that a shell reads them back', () => {
  const words = ['plain', '--port={port}', "it's", 'two words', '$HOME', '', '*', 'a\nb', '"', 'x;y', '~'];
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(quoted).join(' ')}`], {
    encoding: 'utf8',
  });
  expect(stdout.split('\0').slice(0, -1)).toEqual(words);
  expect(quoted('server.js')).toBe('server.js');
});

test('progress in a line', () => {
  const progress = {
    phase: 'load',
    elapsedMs: 125_000,
    durationMs: 600_000,
    answersPerSecond: 98.4,
    p99Ms: 1.234,
    rssBytes: 83.1 * 1024 * 1024,
    failed: 2,
  } as const;
  expect(progressText(progress)).toBe(
    'load, 2 min 5 s of 10 min: 98 answers/s, p99 1.23 ms, RSS 83.1 MiB, 2 failed',
  );
  const before = {
    ...progress,
    phase: 'idle',
    elapsedMs: 0,
    answersPerSecond: null,
    p99Ms: null,
    rssBytes: null,
  } as const;
  expect(progressText(before)).toBe('idle');
});

test('the result for people', () => {
  const config = soakScenario('smoke', { seed: 9 });
  const book = new RunBook({
    startedAt: '',
    config,
    driver: 'x',
    command: [],
    repeat: 'npx ackgate soak smoke --seed 9',
  });
  book.note('something to know');
  const record = book.record({ why: 'died', detail: 'exit code 3' }, { machine: {}, versions: {} });
  const finding = { measured: [], limits: [], required: true, detail: 'so it is' };
  const text = soakText({
    verdict: 'fail',
    findings: [
      { ...finding, id: 'ready', verdict: 'pass' },
      { ...finding, id: 'leak-rss', verdict: 'fail' },
      { ...finding, id: 'orphans', verdict: 'inconclusive', required: false },
    ],
    record,
    directory: join(process.cwd(), 'out'),
  });
  expect(text).toBe(`fail: smoke, seed 9
ended early: exit code 3

✓ ready     so it is
✗ leak-rss  so it is
? orphans   so it is (not required)

note    something to know
report  out/report.html
again   npx ackgate soak smoke --seed 9
`);
});
