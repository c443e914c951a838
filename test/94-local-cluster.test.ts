import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { startNatsServer } from '#ackgate/local-cluster/nats.js';
import { isRunning, type ProcessId } from '#ackgate/local-cluster/process-table.js';
import { until } from '#ackgate/local-cluster/until.js';
import { realNats } from './support/real-servers.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What the server at that port says first; null when nobody answers there. */
function greeting(port: number): Promise<Record<string, unknown> | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('data', (chunk) => {
      socket.destroy();
      resolve(JSON.parse(chunk.toString().slice('INFO '.length)));
    });
    socket.once('error', () => resolve(null));
  });
}

const nats = await realNats({
  jetstream: true,
  user: 'careful',
  password: `it's "so"`,
  configuration: 'max_payload: 65536',
});

describe.skipIf(nats === null)('a NATS server on loopback', () => {
  const server = nats!;
  const state = () =>
    readFileSync(`/proc/${server.process!.pid}/stat`, 'latin1').replace(/^.*\) (.).*$/s, '$1');

  test('has what was asked for, and the user who needs a password', async () => {
    expect(server.url).toBe(`nats://127.0.0.1:${server.port}`);
    expect(await greeting(server.port)).toMatchObject({
      jetstream: true,
      auth_required: true,
      max_payload: 65536,
    });
  });

  test('killed, started, stopped and restarted, it is on the same port', async () => {
    const killed = server.process!;
    await server.kill();
    expect([isRunning(killed), server.running, server.process]).toEqual([false, false, null]);
    expect(await greeting(server.port)).toBeNull();
    await server.start();
    expect(await greeting(server.port)).not.toBeNull();
    await server.restart();
    await server.stop();
    expect(server.running).toBe(false);
    await server.start();
    expect(await greeting(server.port)).not.toBeNull();
  });

  test('frozen, it takes connections and says nothing until it thaws', async () => {
    server.freeze();
    expect(state()).toBe('T');
    const answer = greeting(server.port);
    await expect(server.stop()).rejects.toThrow('is frozen');
    server.thaw();
    expect(await answer).not.toBeNull();
  });

  test('a port that is taken is told, and nothing stays', async () => {
    const directory = join(tmpdir(), `ackgate-taken-${process.pid}`);
    await expect(startNatsServer({ port: server.port, directory })).rejects.toThrow(
      /nats-server ended while it started; its log ends with:\n[\s\S]*address already in use/,
    );
    expect(existsSync(directory)).toBe(false);
  });
});

test.skipIf(nats === null).each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
  'a process that ends by %s leaves no server and no folder',
  async (signal) => {
    const child = spawn(process.execPath, [join(root, 'test/fixtures/local-cluster.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { id, directory } = JSON.parse(line) as { id: ProcessId; directory: string };
    expect([isRunning(id), existsSync(directory)]).toEqual([true, true]);
    child.kill(signal);
    await until(
      () => 'something stays',
      () => !isRunning(id) && !existsSync(directory),
    );
  },
);

describe('the commands', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ackgate-state-'));
  });
  afterEach(async () => {
    for (const engine of ['postgres', 'nats']) await command(engine, 'down');
    rmSync(folder, { recursive: true });
  });

  function command(engine: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const env = { ...process.env, ACKGATE_CLUSTER_DIR: folder };
    return new Promise((resolve) => {
      const script = join(root, `scripts/cluster-${engine}.mjs`);
      execFile(process.execPath, [script, ...args], { env }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });
  }
  const recorded = (engine: string) =>
    JSON.parse(readFileSync(join(folder, `${engine}.json`), 'utf8')) as {
      processes: ProcessId[];
      directories: string[];
    };

  test.each([
    [
      'postgres',
      findPostgres(),
      ['primary', 'standby1', 'standby2'],
      /postgres:\/\/ackgate@127\.0\.0\.1:\d+\/ackgate/,
    ],
    ['nats', findNats(), ['replica1', 'replica2', 'nats-server'], /nats:\/\/127\.0\.0\.1:\d+/],
  ] as const)('cluster:%s is brought up once, shown, and taken down', async (engine, found, names, url) => {
    if (!found.found) {
      console.warn(`skipped, cluster:${engine}: ${found.reason}`);
      return;
    }
    const up = await command(engine);
    expect(up).toMatchObject({ code: 0, err: '' });
    for (const name of names) expect(up.out).toMatch(new RegExp(`^${name} +runs, process \\d+$`, 'm'));
    expect(up.out).toMatch(url);
    expect(up.out).toContain(`npx ackgate demo --engine ${engine} --servers `);

    const again = await command(engine, 'up');
    expect(again).toEqual({ code: 0, out: `The ${engine} servers are up already.\n${up.out}`, err: '' });
    expect((await command(engine, 'status')).out).toBe(up.out);

    const { processes, directories } = recorded(engine);
    expect(processes.map(isRunning)).toEqual([true, true, true]);
    expect(await command(engine, 'down')).toMatchObject({ code: 0, err: '' });
    expect(processes.map(isRunning)).toEqual([false, false, false]);
    expect(directories.filter((path) => existsSync(path))).toEqual([]);
    expect(await command(engine, 'status')).toMatchObject({
      code: 1,
      out: expect.stringContaining('are down'),
    });
  });

  test('a process that was given the number of an ended one is not stopped', async () => {
    const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60000)'], { stdio: 'ignore' });
    try {
      const state = {
        engine: 'nats',
        boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
        directories: [],
        processes: [{ name: 'nats-server', pid: bystander.pid, startTicks: 1, end: 'SIGTERM' }],
        lines: [],
        next: '',
      };
      writeFileSync(join(folder, 'nats.json'), JSON.stringify(state));
      expect((await command('nats', 'status')).out).toContain('nats-server  does not run');
      expect((await command('nats', 'down')).out).toContain('nothing ran');
      expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  test('a wrong word is answered with the usage', async () => {
    expect(await command('postgres', 'sideways')).toMatchObject({
      code: 2,
      err: expect.stringContaining('[-- up|status|down]'),
    });
  });
});
