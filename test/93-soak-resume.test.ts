import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import type { Sample } from '#ackgate/soak/samples.js';
import { isAlive, startTicksOf } from '#ackgate/soak/survivor.js';
import { briefConfig, wrongServer } from './support/soak-wrong.js';
import { until } from './support/stage.js';

// A runner that is killed in the middle of the load, and another one that goes on in the same folder.

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const driver = fileURLToPath(new URL('./fixtures/soak/outside-driver.mjs', import.meta.url));

interface Ran {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; output: string }>;
}

function soakCommand(args: readonly string[]): Ran {
  const child = spawn(process.execPath, [main, 'soak', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  }
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, output }))) };
}

it('goes on after the runner was killed in the middle of the load', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-soak-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config.json');
  const out = join(folder, 'run');
  const config = { ...briefConfig, durationSeconds: 5, warmupSeconds: 0.5 };
  writeFileSync(file, JSON.stringify(config));
  const samples = (): Sample[] => {
    const path = join(out, 'samples.ndjson');
    if (!existsSync(path)) return [];
    return (
      readFileSync(path, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
        // The first line says what the others are.
        .filter((line) => 'atMs' in line)
    );
  };
  const checkpoint = () => JSON.parse(readFileSync(join(out, 'checkpoint.json'), 'utf8'));

  const server = ['--', process.execPath, wrongServer, '{port}'];
  const first = soakCommand([file, '--driver', driver, '--out', out, '--json', ...server]);
  const underWay = () => samples().length >= 15 && checkpoint().progress.footprint !== null;
  await until('there are samples and a checkpoint', () => underWay() || first.child.exitCode !== null);
  const { serverPid } = checkpoint();
  const ticks = startTicksOf(serverPid);
  onTestFinished(() => {
    if (ticks !== null && isAlive(serverPid, ticks)) process.kill(serverPid, 'SIGKILL');
  });
  first.child.kill('SIGKILL');
  await first.ended;
  const before = samples();
  // Otherwise there is nothing to be stopped by the second one.
  expect(ticks).not.toBeNull();
  expect(isAlive(serverPid, ticks ?? 0)).toBe(true);
  expect(before.length).toBeGreaterThanOrEqual(15);
  expect(checkpoint().finished).toBe(false);
  const footprint = checkpoint().progress.footprint;
  expect(footprint.answered).toBe(config.footprint.requests);

  const second = await soakCommand(['--resume', '--out', out, '--json']).ended;
  expect(isAlive(serverPid, ticks ?? 0)).toBe(false);
  expect(second.code, second.output).toBe(0);
  const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
  expect(report.verdict).toBe('pass');
  expect(report.record.ended.why).toBe('time');
  expect(report.record.segments).toBe(2);
  // It is not taken anew: that server is not fresh any more by then.
  expect(report.record.footprint).toEqual(footprint);
  const failed = report.findings.filter(({ verdict }: { verdict: string }) => verdict === 'fail');
  expect(failed).toEqual([]);
  const { losses } = report.record;
  expect([losses.timedOut, losses.lost, losses.connectionsLost]).toEqual([0, 0, 0]);
  // The first life's requests are in the counts, those before the load included.
  const dueBefore = before.reduce((sum, { load }) => sum + load.due, 0);
  const closed = config.footprint.requests + config.burst.requests;
  expect(losses.due).toBeGreaterThanOrEqual(closed + dueBefore);
  const { due, expected, unexpected, timedOut, lost, unsent, abandoned } = losses;
  expect(expected + unexpected + timedOut + lost + unsent + abandoned).toBe(due);
  expect(report.record.notes.join()).toContain('The runner was resumed');
  expect(readdirSync(out).filter((name) => name.startsWith('server-'))).toEqual([]);

  const after = samples();
  expect(after.slice(0, before.length)).toEqual(before);
  const times = after.map(({ atMs }) => atMs);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(new Set(after.map(({ segment }) => segment))).toEqual(new Set([0, 1]));
  // All of the load, and no more than is left of it: a sample may come late.
  expect(times.at(-1)).toBeGreaterThanOrEqual(config.durationSeconds * 1000 - 1);
  const resumedFor = (times.at(-1) ?? 0) - (before.at(-1)?.atMs ?? 0);
  expect(resumedFor).toBeLessThan(config.durationSeconds * 1000);
}, 120_000);
