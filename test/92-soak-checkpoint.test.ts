import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from '#ackgate/soak/checkpoint.js';
import { newProgress } from '#ackgate/soak/run-book.js';
import { soakScenario } from '#ackgate/soak/scenarios.js';
import { isAlive, startTicksOf, stopSurvivor } from '#ackgate/soak/survivor.js';

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-checkpoint-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const file = () => join(directory, 'checkpoint.json');

function checkpoint(elapsedMs = 1234.5): Checkpoint {
  const percentiles = { count: 5, p50Ms: 1, p95Ms: 2, p99Ms: 3, maxMs: 4 };
  return {
    finished: false,
    source: {
      command: ['node', 'server.js', '{port}'],
      driverModule: '/drivers/mine.mjs',
      host: '127.0.0.1',
      port: null,
    },
    identity: {
      startedAt: '2026-01-02T03:04:05.678Z',
      config: soakScenario('memory', { durationSeconds: 600, seed: 7 }),
      driver: 'mine',
      command: ['node', 'server.js', '{port}'],
      repeat: 'npx ackgate soak memory --seed 7',
    },
    progress: {
      ...newProgress(),
      segments: 2,
      elapsedMs,
      readyAfterMs: 99,
      footprint: {
        idleRssBytes: 1,
        halfRssBytes: null,
        finalRssBytes: 3,
        requests: 50_000,
        answered: 49_999,
      },
      peak: { idleRssBytes: 1, peakRssBytes: 2, readings: 3 },
      windows: [{ atMs: 1, segment: 0, latency: percentiles, slowLatency: null, lagP99Ms: 0.5 }],
      chaosEvents: [{ atMs: 2, kind: 'disconnect', forMs: 0 }],
      notes: ['a note'],
    },
    serverFolder: 'server-Ab3xYz',
    serverPid: 4711,
    serverStartTicks: 815,
    runnerPid: process.pid,
    runnerStartTicks: startTicksOf(process.pid),
  };
}

describe('a checkpoint', () => {
  it('comes back as it was written, and the last one counts', async () => {
    await writeCheckpoint(directory, checkpoint(1));
    await writeCheckpoint(directory, checkpoint(2));
    expect(await readCheckpoint(directory)).toEqual(checkpoint(2));
    expect(readdirSync(directory)).toEqual(['checkpoint.json']);
  });

  it('does not lose what a later part of the run adds to it', async () => {
    const whole = checkpoint();
    const progress = { ...whole.progress, more: [1], losses: { ...whole.progress.losses, more: 2 } };
    await writeCheckpoint(directory, { ...whole, progress });
    expect((await readCheckpoint(directory)).progress).toEqual(progress);
  });

  it('stays as it was when the next one was only half written', async () => {
    await writeCheckpoint(directory, checkpoint(1));
    writeFileSync(`${file()}.tmp`, readFileSync(file()).subarray(0, 100));
    expect((await readCheckpoint(directory)).progress.elapsedMs).toBe(1);
    await writeCheckpoint(directory, checkpoint(2));
    expect((await readCheckpoint(directory)).progress.elapsedMs).toBe(2);
  });

  it('has no processes any more when the machine was started anew', async () => {
    await writeCheckpoint(directory, checkpoint());
    edit((value) => ({ ...value, bootId: 'another' }));
    expect(await readCheckpoint(directory)).toMatchObject({
      serverPid: null,
      serverStartTicks: null,
      runnerStartTicks: null,
    });
  });

  it('is refused when there is none', async () => {
    await refused(/^there is no run to go on with in .*: it has no checkpoint\.json$/);
    await refused(/^there is no run to go on with/, join(directory, 'nothing', 'here'));
  });

  it('is refused wherever it is torn', async () => {
    await writeCheckpoint(directory, checkpoint());
    const bytes = readFileSync(file());
    // The last byte is the line's end.
    for (let length = 0; length < bytes.length - 1; length += 97) {
      writeFileSync(file(), bytes.subarray(0, length));
      await refused(/checkpoint\.json is not whole/);
    }
  });

  it('is refused when another version wrote it', async () => {
    await writeCheckpoint(directory, checkpoint());
    edit((value) => ({ ...value, version: 2 }));
    await refused(/has format 2, this version of ackgate goes on from format 1/);
  });

  it.each([
    ['no object', () => 5, /is damaged/],
    ['no progress', (value: object) => ({ ...value, progress: undefined }), /is damaged: progress/],
    [
      'a time that is text',
      (value: Json) => ({ ...value, progress: { ...value.progress, elapsedMs: 'x' } }),
      /progress\.elapsedMs/,
    ],
    [
      'a negative count',
      (value: Json) => ({ ...value, progress: { ...value.progress, segments: -1 } }),
      /progress\.segments/,
    ],
    [
      'a wrong configuration',
      (value: Json) => ({ ...value, identity: { ...value.identity, config: { clients: 0 } } }),
      /identity\.config: clients must be/,
    ],
  ] as const)('is refused with %s', async (_, change, message) => {
    await writeCheckpoint(directory, checkpoint());
    edit(change as (value: Json) => unknown);
    await refused(message);
  });
});

type Json = Record<string, object>;

function edit(change: (value: Json) => unknown): void {
  writeFileSync(file(), JSON.stringify(change(JSON.parse(readFileSync(file(), 'utf8')))));
}

async function refused(message: RegExp, folder = directory): Promise<void> {
  const error = await readCheckpoint(folder).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(AckgateError);
  expect((error as AckgateError).code).toBe('ERR_ACKGATE_SOAK_CHECKPOINT');
  expect((error as AckgateError).message).toMatch(message);
}

/** Says a word when its handlers are in place; lasts until it is ended. */
async function child(code: string, detached = false): Promise<{ process: ChildProcess; pid: number }> {
  const started = spawn(process.execPath, ['-e', `${code}; setInterval(() => {}, 1e6); console.log('up')`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached,
  });
  children.push(started);
  await once(started.stdout!, 'data');
  return { process: started, pid: started.pid! };
}

describe('a server that outlived its runner', () => {
  it('is asked to end', async () => {
    const { process: server, pid } = await child('', true);
    const ended = once(server, 'exit');
    expect(await stopSurvivor(pid, startTicksOf(pid)!)).toBe(true);
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect(startTicksOf(pid)).toBeNull();
  });

  it('is killed when it does not end', async () => {
    const { process: server, pid } = await child("process.on('SIGTERM', () => {})");
    const ended = once(server, 'exit');
    expect(await stopSurvivor(pid, startTicksOf(pid)!, { graceMs: 100 })).toBe(true);
    expect(await ended).toEqual([null, 'SIGKILL']);
  });

  it('takes the rest of its process group along', async () => {
    const { process: server, pid } = await child(
      `const { pid } = require('child_process').spawn(process.execPath,
        ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); console.log("up")'],
        { stdio: ['ignore', 'pipe', 'inherit'] })
        .on('spawn', function () { this.stdout.once('data', () => console.log(this.pid)) })`,
      true,
    );
    const [line] = await once(server.stdout!, 'data');
    const inner = Number(String(line));
    const ticks = startTicksOf(inner)!;
    expect(ticks).toBeGreaterThan(0);
    expect(await stopSurvivor(pid, startTicksOf(pid)!, { graceMs: 100 })).toBe(true);
    await expect.poll(() => isAlive(inner, ticks), { timeout: 30_000 }).toBe(false);
  });

  it('is not mistaken for a process that has got its number', async () => {
    const { process: server, pid } = await child('');
    const ticks = startTicksOf(pid)!;
    expect(await stopSurvivor(pid, ticks - 1)).toBe(false);
    expect(await stopSurvivor(pid, ticks + 1)).toBe(false);
    expect(isAlive(pid, ticks)).toBe(true);
    expect(server.exitCode).toBeNull();
  });

  it('may be gone already', async () => {
    const { process: server, pid } = await child('');
    const ticks = startTicksOf(pid)!;
    server.kill('SIGKILL');
    await once(server, 'exit');
    expect(await stopSurvivor(pid, ticks)).toBe(false);
  });
});

it('the start time is the same each time, and is read behind any name of a process', async () => {
  const { pid } = await child("process.title = 'a) Z 1 (2 3'");
  const ticks = startTicksOf(pid)!;
  expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain('(a) Z 1 (2 3)');
  expect(ticks).toBeGreaterThan(0);
  expect(ticks).toBe(startTicksOf(pid));
  // This process began before its child.
  expect(startTicksOf(process.pid)).toBeLessThanOrEqual(ticks);
});
