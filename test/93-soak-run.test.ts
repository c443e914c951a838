import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import type { SoakConfig } from '#ackgate/soak/config.js';
import { runSoak } from '#ackgate/soak/runner.js';
import { echoDriver } from './support/soak-echo.js';
import { artifacts, briefConfig, leftBehind, wrongServer } from './support/soak-wrong.js';

// What the runner does with its folder, its driver and its server when these are not as they should be.

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const echoModule = new URL('./fixtures/soak/echo-driver.mjs', import.meta.url).href;
const none = { requests: 0, concurrency: 1 };
const config: SoakConfig = {
  ...briefConfig,
  durationSeconds: 1,
  warmupSeconds: 0.2,
  settleSeconds: 0.3,
  footprint: none,
  burst: none,
};

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-soak-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const driver = (defects: readonly string[] = []) => echoDriver({ script: wrongServer, args: defects });

it('leaves what was in the folder, and removes what the server had there', async () => {
  const directory = newFolder();
  mkdirSync(join(directory, 'server'));
  writeFileSync(join(directory, 'server/index.js'), '');
  const result = await runSoak(config, { driver: driver(), directory });
  expect(result.findings.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  expect(readdirSync(directory).sort()).toEqual([...artifacts, 'checkpoint.json', 'server'].sort());
  expect(existsSync(join(directory, 'server/index.js'))).toBe(true);
  await expect(runSoak(config, { driver: driver(), directory })).rejects.toThrow("has another run's");
});

it.each([
  ['a file', (folder: string) => writeFileSync(join(folder, 'out'), ''), 'out'],
  ['in a file', (folder: string) => writeFileSync(join(folder, 'out'), ''), 'out/deeper'],
])('refuses a folder that is %s', async (_, prepare, name) => {
  const folder = newFolder();
  prepare(folder);
  const run = runSoak(config, { driver: driver(), directory: join(folder, name) });
  await expect(run).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
});

it('does not ask a file system for folders that takes none, again and again', async () => {
  const run = runSoak(config, { driver: driver(), directory: '/proc/no-such-folder/deeper' });
  await expect(run).rejects.toThrow("can't be made");
});

it('ends although the driver never tells the status', async () => {
  const silent = { ...driver(), status: () => new Promise<never>(() => {}) };
  const { record } = await runSoak(config, { driver: silent, directory: newFolder() });
  expect(record.ended).toEqual({ why: 'time' });
  expect(record.samples.every(({ status }) => status === null)).toBe(true);
  // What must be 0 at the end, and is not known, is no pass.
  expect(record.orphans).toHaveProperty('connections', Number.NaN);
});

it('says that a server has died although somebody it has left holds its output', async () => {
  // In a session of its own nobody can end it; it ends by itself.
  const script = `setsid sleep 4 & exec "${process.execPath}" "${wrongServer}" "$0" dies-late=50,100`;
  const options = { driver: driver(), command: ['sh', '-c', script, '{port}'], directory: newFolder() };
  const { verdict, record, findings } = await runSoak(config, options);
  expect(record.ended).toMatchObject({ why: 'died', detail: expect.stringContaining('exit code 7') });
  expect(verdict).toBe('fail');
  expect(findings.find(({ id }) => id === 'completed')?.verdict).toBe('fail');
});

it('asks slow operations in the closed loop when there are no others', async () => {
  const slow = { simple: 0, batch: 0, streaming: 0, error: 0, slow: 1 };
  const slowConfig = {
    ...config,
    mix: slow,
    requestsPerSecond: 50,
    footprint: { requests: 50, concurrency: 8 },
  };
  const { record, findings } = await runSoak(slowConfig, { driver: driver(), directory: newFolder() });
  expect(record.ended).toEqual({ why: 'time' });
  expect(record.footprint?.answered).toBe(50);
  expect(findings.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
});

it('does not send its load to somebody else who listens on the port', async () => {
  const stranger = createServer().listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  onTestFinished(() => void stranger.close());
  const { port } = stranger.address() as AddressInfo;
  const directory = newFolder();
  const run = runSoak(config, { driver: driver(), directory, port });
  await expect(run).rejects.toThrow(`somebody listens on port ${port}`);
  expect(readdirSync(directory)).toEqual([]);
});

it('keeps what was measured when a listener of the driver throws', async () => {
  const folder = newFolder();
  const module = join(folder, 'driver.mjs');
  writeFileSync(
    module,
    `import { echoDriver } from ${JSON.stringify(echoModule)};
     export default () => {
       setTimeout(() => { throw new SyntaxError('not what was expected'); }, 2500);
       return { ...echoDriver(), status: undefined, orphans: undefined };
     };`,
  );
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...config, durationSeconds: 20 }));
  const out = join(folder, 'run');
  const server = ['--', process.execPath, wrongServer, '{port}'];
  const child = spawn(process.execPath, [main, 'soak', file, '--driver', module, '--out', out, ...server], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  expect(code, output).toBe(3);
  expect(artifacts.filter((name) => !existsSync(join(out, name)))).toEqual([]);
  const { record } = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
  expect(record.ended.detail).toContain('SyntaxError: not what was expected');
  expect(leftBehind()).toEqual([]);
});

const disk = newDisk();

it.skipIf(disk === null)('tells the verdict when there is no room for the report', async () => {
  const directory = join(disk ?? '', 'run');
  const error = await runSoak(config, { driver: driver(), directory }).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'ERR_ACKGATE_SOAK_RECORD' });
  expect(error.message).toMatch(/verdict is (pass|inconclusive)/);
  expect(readdirSync(directory).filter((name) => name.startsWith('server-'))).toEqual([]);
});

/** With room for samples, but not for a report. Null where this user can't have one. */
function newDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-soak-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96k', 'none', folder]);
  if (status === 0) {
    process.on('exit', () => {
      spawnSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true });
    });
    return folder;
  }
  rmSync(folder, { recursive: true });
  console.log(`not run, as there is no small disk to be had: ${String(stderr).trim()}`);
  return null;
}
