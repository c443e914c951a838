import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { needs, ordinaryUser, skipped } from './support/launchers.js';
import {
  expectPureParts,
  expectRefused,
  expectServed,
  ownFolder,
  packageRoot,
  runCli,
  runDemo,
  runDoctor,
  runReport,
} from './support/machines.js';
import { SupervisorChild } from './support/supervisor-child.js';

const folder = ownFolder();
const request = Buffer.from([0x10, 1, 2, 3]);
const hangMs = 20_000;
const fewDescriptors = (limit: number) => ({
  level: 'warn',
  fields: { limit, needed: 96 },
  message: 'fewer file descriptors are allowed than all connections would take',
});

describe.runIf(process.platform === 'linux')('few file descriptors', () => {
  test('64: doctor and policy find room, and what does not says what to raise', async (context) => {
    const machine = { launcher: needs(context, 'prlimit', '--nofile=64:64') };
    const [{ status, text, diagnosis }, report, demo, sim] = await Promise.all([
      runDoctor(machine, ['--connections', '40']),
      runReport(machine),
      runDemo(machine),
      runCli(machine, ['sim', '--seeds', '2', '--no-native', '--json']),
    ]);
    expect(status).toBe(0);
    expect(diagnosis.fds).toMatchObject({ soft: 64, hard: 64, needed: 80, enough: false });
    expect(text).toMatch(/^- 40 attached sockets take 80 file descriptors and 64 are allowed: .*ulimit -n/m);
    // A thread opens its modules, some at once; whether that is too much differs between Node's versions.
    for (const stage of Object.values(report.stages)) {
      if ('error' in stage) expectRefused(stage, 'ERR_ACKGATE_TOO_MANY_FDS', /EMFILE.*ulimit -n/);
      else expect(stage.log).toContainEqual(fewDescriptors(64));
    }
    expect(report.policy).toBe(5);
    expect(demo).toMatchObject({ status: 2, result: { error: { code: 'ERR_ACKGATE_TOO_MANY_FDS' } } });
    expect(demo.result.error?.message).toMatch(/the limit is 64: .*ulimit -n.*too low for a single client/);
    // The same of the simulator's files.
    const { error } = JSON.parse(sim.stdout);
    if (sim.status !== 0) {
      expect(error).toMatchObject({
        code: 'ERR_ACKGATE_TOO_MANY_FDS',
        message: expect.stringMatching(/ulimit -n/),
      });
      expect(sim.stderr).toBe('');
    }
  });

  test('1,024: everything has room, and the demo says how many clients have', async (context) => {
    const machine = { launcher: needs(context, 'prlimit', '--nofile=1024:1024') };
    const [{ diagnosis, text }, report, demo, large] = await Promise.all([
      runDoctor(machine),
      runReport(machine, ['auto', 'posix'], join(folder.path, 'journal')),
      runDemo(machine),
      runDemo(machine, ['--clients', '700']),
    ]);
    expect(diagnosis).toMatchObject({ ok: true, fds: { soft: 1024, needed: 32_768, enough: false } });
    expect(text).toMatch(/^- 16,384 attached sockets take 32,768 file descriptors and 1,024 are allowed/m);
    expectServed(report.stages.auto, diagnosis.backend!);
    expectServed(report.stages.posix, 'posix');
    expect(report.journal).toEqual({ persisted: 1 });
    expectPureParts(report);
    expect(demo).toMatchObject({ status: 0, result: { ok: true } });
    expect(large).toMatchObject({ status: 2, result: { error: { code: 'ERR_ACKGATE_TOO_MANY_FDS' } } });
    expect(large.result.error?.message).toMatch(/limit is 1024: .*ulimit -n\) or use at most 462 clients/);
  });

  test('1,024, and more clients than they are enough for: those that got in are served, the others are closed', async () => {
    const { child, ports } = await SupervisorChild.listening({ connections: 1024 }, { descriptors: 1024 });
    const [port] = ports;
    const steady = await FaultClient.connect({ port });
    onTestFinished(() => steady.close());
    const answered = async () => {
      await steady.sendFrame(request);
      let body = await steady.nextFrame(hangMs);
      while (body[0] !== request[0]) body = await steady.nextFrame(hangMs);
    };
    await answered();

    const sockets = new Set<Socket>();
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let i = 0; i < 700; i++) {
      const socket = connect({ port, host: '127.0.0.1' });
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      // A burst would overflow the kernel's queue, which is another matter.
      if (i % 50 === 49) await once(socket, 'connect').catch(() => {});
    }
    await child.until('it runs out', () => child.logged('out of descriptors') === 1);
    await answered();
    const { active } = await child.ask('status');
    expect(active).toBeGreaterThan(400);
    expect(active).toBeLessThan(512);

    for (const socket of sockets) socket.destroy();
    await child.until('descriptors are free', () => child.logged('descriptors are free again') === 1);
    await answered();
    expect(child.logged('out of descriptors')).toBe(1);
    expect(child.end).toBeNull();
  });
});

/** The first CPU that this process may run on. */
function someCpu(): string {
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
}

/** Threads of a Node that does nothing yet, those for files included. */
function threadsOfNode(): number {
  const program = "fs.promises.readFile('/proc/self/status', 'utf8').then((text) => console.log(text))";
  const text = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  return Number(/^Threads:\s*(\d+)/m.exec(text)?.[1]);
}

describe.runIf(process.platform === 'linux')('little of other things', () => {
  test('one CPU, no home, hardly any environment, the C locale', async (context) => {
    const launcher = needs(context, 'taskset', '--cpu-list', someCpu());
    const machine = { launcher, env: { LC_ALL: 'C', PATH: process.env.PATH } };
    const [{ status, diagnosis }, report, demo] = await Promise.all([
      runDoctor(machine),
      runReport(machine, ['auto', 'uring', 'posix'], join(folder.path, 'größer')),
      runDemo(machine),
    ]);
    expect(status).toBe(0);
    expect(diagnosis.cpus).toBe(1);
    expectServed(report.stages.auto, diagnosis.backend!);
    expectServed(report.stages.posix, 'posix');
    expect(report.journal).toEqual({ persisted: 1 });
    expectPureParts(report);
    expect(demo).toMatchObject({ status: 0, result: { ok: true } });
  });

  test('no more threads: the stage and the journal say so, and leave nothing behind', async (context) => {
    if (process.getuid?.() !== 0)
      skipped(context, 'the limit counts all threads of a user: it takes one of its own');
    const user = ordinaryUser(700_000 + process.pid, packageRoot);
    // Node's own threads find room, one more does not; how many those are differs between machines and versions.
    const threads = threadsOfNode();
    const machine = { launcher: needs(context, ...user, 'prlimit', `--nproc=${threads}:${threads}`) };
    const report = await runReport(machine, ['auto', 'uring', 'posix'], join(folder.path, 'threads'));
    for (const backend of ['auto', 'uring', 'posix'])
      expectRefused(
        report.stages[backend],
        'ERR_ACKGATE_STAGE_FAILED',
        /thread can't be started: .*ulimit -u/,
      );
    expectRefused(report.journal, 'ERR_ACKGATE_JOURNAL_FAILED', /thread can't be started: .*ulimit -u/);
    expectPureParts(report);
  });
});
