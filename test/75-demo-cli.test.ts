import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runDemo, silentReport } from '#ackgate/demo/index.js';
import { descendantsOf, liveProcesses, processStat } from '#ackgate/shared/process-stat.js';
import { startDemo } from './support/demo-command.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-demo-cli-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Starts the command with its temporary files in a directory that the test looks after. */
const demo = (...args: string[]) => startDemo(args, { directory });
const demoWith = (env: NodeJS.ProcessEnv, ...args: string[]) => startDemo(args, { directory, env });

const descendants = (pid: number) => descendantsOf(pid, liveProcesses());
const runs = (pid: number) => processStat(pid)?.ended === false;

/** Waits for processes to be gone. The test's own time-out is the bound. */
async function gone(pids: readonly number[]): Promise<void> {
  while (pids.some(runs)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a run', () => {
  test.each(['uring', 'posix'])('with %s: one document that says that all is well', async (backend) => {
    const args = ['--seconds', '1', '--clients', '20', '--rate', '1000', '--json'];
    const { code, stdout, stderr } = await demo(...args, '--backend', backend).ended;
    if (backend === 'uring' && /io_uring|URING_UNAVAILABLE/.test(stderr) && code !== 0) {
      console.log(`uring is skipped: ${stderr}`);
      return;
    }
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      ok: true,
      backend,
      policy: 'persisted>=1',
      orders: 1000,
      verified: { missing: 0, duplicated: 0, outOfOrder: 0, corrupted: 0 },
      drops: { overflow: 0, blocked: 0, reset: 0 },
      gate: { replication: 0 },
      problems: [],
    });
    expect(result.responses).toBeGreaterThan(1000);
    expect(result.gate.journal).toBeGreaterThan(0);
    expect(result.gate.waits).toBeGreaterThan(0);
    const { p50, p99, p999, max } = result.rttMicros;
    expect([p50, p99, p999, max]).toEqual([p50, p99, p999, max].sort((a, b) => a - b));
    expect(p50).toBeGreaterThan(0);
    expect(result.seconds).toBeGreaterThan(0.9);
    expect(result.throughputPerSecond).toBeGreaterThan(0);
    expect(code).toBe(0);
    // Nothing is left behind.
    expect(readdirSync(directory)).toEqual([]);
  });

  test('prints plain lines and a summary when it is no terminal', async () => {
    const { code, stdout } = await demo('--seconds', '2', '--clients', '4', '--rate', '200').ended;
    expect(stdout).toMatch(/second 1 {2}orders\/s/);
    expect(stdout).toMatch(/round trip +p50 .* p99.9 /);
    expect(stdout).toMatch(/result +ok/);
    expect(stdout).not.toContain('\x1b');
    expect(code).toBe(0);
  });

  test('keeps the journal that it is given, and goes on from it', async () => {
    const journal = join(directory, 'kept');
    const args = ['--seconds', '0.5', '--clients', '4', '--rate', '400', '--journal', journal, '--json'];
    for (let run = 0; run < 2; run++) {
      const { code, stdout } = await demo(...args).ended;
      expect(JSON.parse(stdout).ok).toBe(true);
      expect(code).toBe(0);
    }
    expect(readdirSync(journal).length).toBeGreaterThan(0);
  });

  test('with a policy that holds nothing back has no waits', async () => {
    const args = [
      '--seconds',
      '0.5',
      '--clients',
      '2',
      '--rate',
      '200',
      '--policy',
      'in_memory>=1',
      '--json',
    ];
    const { stdout } = await demo(...args).ended;
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, policy: 'in_memory>=1', gate: { waits: 0 } });
  });
});

test("clients in several processes see each other's fills, and all are counted", async () => {
  const load = { seconds: 0.5, clients: 7, rate: 700, seed: 3, clientProcesses: 3 };
  const options = {
    ...load,
    policy: 'local',
    backend: 'auto',
    journal: join(directory, 'j'),
    port: 0,
  } as const;
  const result = await runDemo(options, silentReport, new AbortController().signal);
  expect(result).toMatchObject({ ok: true, orders: 350, problems: [] });
});

describe('with an admin port', () => {
  const url = (text: string) => /live page +(http:\S+)/.exec(text)?.[1];
  const setMode = (to: string, token: string) =>
    fetch(new URL('/admin/mode', to), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ mode: 'in_memory>=1' }),
    });

  test('the page and a token for this run are said, and the token opens it', async () => {
    const run = demo('--seconds', '60', '--clients', '4', '--rate', '200', '--admin-port', '0');
    let printed = '';
    run.process.stdout?.on('data', (text) => {
      printed += text;
    });
    while (!/second 1 /.test(printed)) await once(run.process.stdout!, 'data');
    const token = /^admin token (\w{32})$/m.exec(printed)![1];
    expect(await (await fetch(url(printed)!)).text()).toContain('<title>Ackgate');
    expect((await setMode(url(printed)!, 'another')).status).toBe(401);
    expect((await setMode(url(printed)!, token)).status).toBe(200);
    // Other users of the machine can read the arguments of every process.
    for (const pid of descendants(run.process.pid!)) {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(token);
    }
    run.process.kill('SIGINT');
    const { stderr, stdout } = await run.ended;
    expect(stdout).toMatch(/result +ok/);
    expect(stderr).toContain('"audit":true');
    expect(stdout.split(token)).toHaveLength(2);
    expect(stderr).not.toContain(token);
  });

  test('with --json nobody is told a token; one from the environment counts', async () => {
    const args = ['--seconds', '60', '--clients', '4', '--rate', '200', '--admin-port', '0', '--json'];
    for (const [given, answer] of [
      ['', 404],
      ['given', 200],
    ] as const) {
      const run = demoWith({ ACKGATE_ADMIN_TOKEN: given }, ...args);
      let said = '';
      run.process.stderr?.on('data', (text) => {
        said += text;
      });
      await run.said(/second 1 /);
      expect((await setMode(url(said)!, given)).status).toBe(answer);
      run.process.kill('SIGINT');
      const { stdout, stderr } = await run.ended;
      expect(JSON.parse(stdout).ok).toBe(true);
      expect(stderr).not.toMatch(/token \w{32}/);
    }
  });

  test('a port in use is said plainly', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, stderr } = await demo('--admin-port', String(port), '--seconds', '1').ended;
    other.close();
    expect(stderr).toContain(String(port));
    expect(code).toBe(1);
  });
});

test('a journal that is paused holds the answers back and loses none', async () => {
  const args = ['--seconds', '3', '--clients', '4', '--rate', '400', '--pause-journal', '1,1.5', '--json'];
  const { stdout, stderr, code } = await demo(...args).ended;
  const said = stderr.split('\n').filter((line) => line.startsWith('{'));
  expect(said.map((line) => JSON.parse(line).msg)).toEqual(
    expect.arrayContaining(['journal paused: nothing becomes durable', 'journal resumed']),
  );
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ ok: true, orders: 1200, drops: { overflow: 0, blocked: 0, reset: 0 } });
  // Whoever sent right after the pause began waited for all of it.
  expect(result.rttMicros.max).toBeGreaterThan(1_000_000);
  expect(code).toBe(0);
});

describe('the end', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the load, not the report', async (signal) => {
    const run = demo('--seconds', '60', '--clients', '4', '--rate', '200', '--json');
    await run.said(/second 1 /);
    const children = descendants(run.process.pid!);
    expect(children.length).toBeGreaterThan(1);
    run.process.kill(signal);
    const { code, stdout } = await run.ended;
    const result = JSON.parse(stdout);
    expect(result.ok).toBe(true);
    expect(result.orders).toBeLessThan(60 * 200);
    expect(code).toBe(0);
    await gone(children);
  });

  test('a Ctrl-C that reaches all processes at once is no different', async () => {
    const run = demo('--seconds', '60', '--clients', '4', '--rate', '200', '--json');
    await run.said(/second 1 /);
    for (const pid of [...descendants(run.process.pid!), run.process.pid!]) process.kill(pid, 'SIGINT');
    const { code, stdout } = await run.ended;
    expect(JSON.parse(stdout).ok).toBe(true);
    expect(code).toBe(0);
  });

  test('killed, it leaves no process behind', async () => {
    const run = demo('--seconds', '60', '--clients', '4', '--rate', '200', '--json');
    await run.said(/second 1 /);
    const children = descendants(run.process.pid!);
    run.process.kill('SIGKILL');
    await run.ended;
    await gone(children);
  });

  test.each([
    ['server', 'server-process'],
    ['client', 'client-process'],
  ])('a %s that dies is a failure, said plainly', async (_, name) => {
    const run = demo('--seconds', '60', '--clients', '4', '--rate', '200', '--json');
    await run.said(/second 1 /);
    const children = descendants(run.process.pid!);
    const victim = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(name));
    process.kill(victim!, 'SIGKILL');
    const { code, stdout } = await run.ended;
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/ended by SIGKILL/) },
    });
    expect(code).toBe(1);
    await gone(children);
  });

  test('a port in use is said plainly', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, stderr } = await demo('--port', String(port), '--seconds', '1').ended;
    other.close();
    expect(stderr).toMatch(/port is in use/);
    expect(code).toBe(1);
  });
});

describe('a wrong call ends with 2 and names the option', () => {
  test.each([
    ['--seconds', '0'],
    ['--seconds', 'ten'],
    ['--clients', '0'],
    ['--clients', '1.5'],
    ['--rate', '-1'],
    ['--port', '65536'],
    ['--seed', 'x'],
    ['--backend', 'iocp'],
    ['--journal', ''],
    ['--policy', 'persisted>=2'],
    ['--policy', 'hybrid'],
    ['--admin-port', '65536'],
    ['--pause-journal', '5'],
    ['--pause-journal', '5,0'],
    ['--pause-journal', '9,3'],
  ])('%s %s', async (option, value) => {
    const { code, stdout, stderr } = await demo(`${option}=${value}`).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(option);
    expect(stdout).toBe('');
  });

  test('a policy text that can not be read', async () => {
    const { code, stderr } = await demo('--policy', 'persisted>=').ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/\^/);
  });
});
