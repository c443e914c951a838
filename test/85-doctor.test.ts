import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { type Asked, type Diagnosis, diagnose } from '#ackgate/doctor/diagnose.js';
import { hasCapability, limitsIn, type Readings } from '#ackgate/doctor/readings.js';
import { explainUring, type UringSurroundings } from '#ackgate/egress/probe.js';
import { Policy } from '#ackgate/policy/index.js';
import { needs, skipped } from './support/launchers.js';

const { EPERM, ENOSYS, ENOMEM, EMFILE } = constants.errno;

describe('judging', () => {
  const asked: Asked = { backend: 'auto', ringEntries: 4096, connections: 16_384, policy: null };
  const healthy: Readings = {
    kernel: 'Linux 6.12.0',
    node: 'v20.19.0',
    platform: 'linux',
    cpus: 2,
    addonFault: null,
    uring: { errno: 0, stage: '', entries: 4096, features: ['SINGLE_ISSUER', 'DEFER_TASKRUN'] },
    uringCause: 'io_uring works',
    posixFault: null,
    surroundings: {
      disabled: 0,
      seccomp: 0,
      memlockBytes: 8 << 20,
      kernel: '6.12.0',
      gvisor: false,
      proc: true,
    },
    memlockBytes: { soft: 8 << 20, hard: 8 << 20 },
    memlockExempt: false,
    fds: { soft: 65_536, hard: 65_536 },
    fdsOpen: 20,
  };

  /** A machine whose kernel answers `errno` to setting up a ring. */
  function refusing(errno: number, around: Partial<UringSurroundings> = {}, stage = 'setup'): Readings {
    const surroundings = { ...healthy.surroundings, ...around };
    return {
      ...healthy,
      uring: { errno, stage, entries: 0, features: [] },
      uringCause: explainUring(errno, stage, surroundings),
      surroundings,
    };
  }
  const missing: Readings = {
    ...healthy,
    addonFault: 'no addon',
    uring: null,
    uringCause: null,
    posixFault: 'no addon',
  };

  test('a machine where everything works gets no advice', () => {
    const diagnosis = diagnose(healthy, asked);
    expect(diagnosis).toMatchObject({ ok: true, backend: 'uring', why: 'io_uring works', advice: [] });
    expect(diagnosis.uring).toEqual({
      usable: true,
      cause: null,
      ...{ errno: 0, entries: 4096, features: healthy.uring?.features },
    });
    expect(diagnosis.fds).toEqual({ soft: 65_536, hard: 65_536, open: 20, needed: 32_768, enough: true });
  });

  test.each<[string, Readings, RegExp]>([
    ['io_uring_disabled 2', refusing(EPERM, { disabled: 2 }), /switched off .*io_uring_disabled is 2/],
    [
      'io_uring_disabled 2 inside a container',
      refusing(EPERM, { disabled: 2, seccomp: 2 }),
      /io_uring_disabled is 2/,
    ],
    ['io_uring_disabled 1', refusing(EPERM, { disabled: 1 }), /io_uring_group/],
    ['a seccomp profile', refusing(EPERM, { seccomp: 2 }), /seccomp profile forbids/],
    ['a security module', refusing(EPERM), /SELinux/],
    ['a seccomp profile that says ENOSYS', refusing(ENOSYS, { seccomp: 2 }), /seccomp profile hides/],
    ['gVisor', refusing(ENOSYS, { gvisor: true, seccomp: 2 }), /gVisor/],
    ['an old kernel', refusing(ENOSYS, { kernel: '4.19.0' }), /4\.19\.0 is too old/],
    ['little locked memory', refusing(ENOMEM, { memlockBytes: 65_536 }), /RLIMIT_MEMLOCK is 64 KiB/],
    ['no descriptors', refusing(EMFILE), /no file descriptor is left/],
    ['no liburing when it was built', refusing(ENOSYS, {}, 'build'), /built without liburing/],
  ])('%s: said in plain words, auto takes posix, uring is not to be had', (_, readings, words) => {
    const auto = diagnose(readings, asked);
    expect(auto).toMatchObject({ ok: true, backend: 'posix' });
    expect(auto.why).toMatch(words);
    expect(auto.uring.cause).toMatch(words);
    expect(auto.uring).toMatchObject({ usable: false, errno: readings.uring?.errno, entries: 0 });
    expect(auto.advice).toEqual([expect.stringContaining('to get io_uring')]);

    const uring = diagnose(readings, { ...asked, backend: 'uring' });
    expect(uring).toMatchObject({ ok: false, backend: null });
    expect(uring.why).toMatch(words);

    expect(diagnose(readings, { ...asked, backend: 'posix' })).toMatchObject({
      ok: true,
      backend: 'posix',
      advice: [],
    });
  });

  test('without the addon there is no backend, whatever is asked for', () => {
    for (const backend of ['auto', 'uring', 'posix'] as const) {
      const diagnosis = diagnose(missing, { ...asked, backend });
      expect(diagnosis).toMatchObject({ ok: false, backend: null, why: 'no addon' });
      expect(diagnosis.addon).toEqual({ usable: false, cause: 'no addon' });
      expect(diagnosis.advice).toEqual([expect.stringContaining('nothing can be sent')]);
    }
  });

  test('io_uring is taken when only plain sends fail, and both reasons are said when both do', () => {
    expect(diagnose({ ...healthy, posixFault: 'no epoll' }, asked)).toMatchObject({
      ok: true,
      backend: 'uring',
    });
    const neither = diagnose({ ...refusing(EMFILE), posixFault: 'no epoll' }, asked);
    expect(neither).toMatchObject({ ok: false, backend: null });
    expect(neither.why).toMatch(/no file descriptor is left.*; no epoll/);
  });

  const adviceOf = (readings: Partial<Readings>, more: Partial<Asked> = {}) =>
    diagnose({ ...healthy, ...readings }, { ...asked, ...more }).advice;

  test('a smaller ring than asked for is explained by locked memory', () => {
    const uring = { errno: 0, stage: '', entries: 256, features: ['DEFER_TASKRUN'] };
    expect(adviceOf({ uring })).toEqual([
      expect.stringMatching(/256 entries instead of 4,096.*locked memory/),
    ]);
    expect(adviceOf({ uring }, { ringEntries: 256 })).toEqual([]);
  });
  test('a ring without features tells which kernel has them', () => {
    expect(adviceOf({ uring: { errno: 0, stage: '', entries: 4096, features: [] } })).toEqual([
      expect.stringContaining('6.1 or newer'),
    ]);
  });
  test('file descriptors: two for each connection', () => {
    const fds = { soft: 20_000, hard: 20_000 };
    expect(adviceOf({ fds })).toEqual([expect.stringMatching(/16,384 .* 32,768 .* 20,000 are allowed/)]);
    expect(adviceOf({ fds }, { connections: 10_000 })).toEqual([]);
    expect(adviceOf({ fds }, { connections: 10_001 })).toHaveLength(1);
    expect(adviceOf({ fds: { soft: 'unlimited', hard: 'unlimited' } })).toEqual([]);
    expect(diagnose({ ...healthy, fds: { soft: null, hard: null } }, asked).fds.enough).toBeNull();
  });
  test('sqpoll is mentioned where there are four CPUs', () => {
    expect(adviceOf({ cpus: 3 })).toEqual([]);
    expect(adviceOf({ cpus: 4 })).toEqual([expect.stringContaining('sqpoll')]);
  });
  test('only a policy that holds nothing back is warned about', () => {
    const adviceFor = (text: string) => adviceOf({}, { policy: Policy.parse(text) });
    expect(adviceFor('in_memory>=1')).toEqual([expect.stringMatching(/in_memory>=1 makes nothing durable/)]);
    for (const bounded of ['persisted>=1', 'in_memory>=2', 'in_memory>=1 && persisted>=1']) {
      expect(adviceFor(bounded)).toEqual([]);
    }
  });

  test('limits and capabilities are read from /proc', () => {
    const limits = 'Max locked memory         65536                unlimited            bytes\n';
    expect(limitsIn(limits, 'Max locked memory')).toEqual({ soft: 65_536, hard: 'unlimited' });
    expect(limitsIn(limits, 'Max open files')).toEqual({ soft: null, hard: null });
    expect(hasCapability('CapEff:\t0000000000004000\n', 14n)).toBe(true);
    expect(hasCapability('CapEff:\t000001fffeffbfff\n', 14n)).toBe(false);
    expect(hasCapability('', 14n)).toBeNull();
  });
});

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Runs `doctor`, behind the words of `prefix` if there are any. */
function run(args: string[], prefix: string[] = []) {
  const [command, ...rest] = [...prefix, process.execPath, main, 'doctor', ...args];
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', timeout: 50_000 });
  return { status, stdout, stderr };
}

function runJson(args: string[], prefix: string[] = []) {
  const { status, stdout, stderr } = run([...args, '--json'], prefix);
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toHaveLength(2);
  return { status, diagnosis: JSON.parse(stdout) as Diagnosis };
}

describe.runIf(process.platform === 'linux')('on this machine', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ackgate-doctor-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const { uring } = runJson([]).diagnosis;

  /** The words to run a command with less than the machine offers; skips where there is nothing to take away. */
  function taking(context: TestContext, ...prefix: string[]): string[] {
    return uring.usable ? needs(context, ...prefix) : skipped(context, `io_uring: ${uring.cause}`);
  }

  test('some backend works, and one document says which', () => {
    const { status, diagnosis } = runJson([]);
    expect(status).toBe(0);
    expect(diagnosis.ok).toBe(true);
    expect(diagnosis.node).toBe(process.version);
    expect(diagnosis.backend).toBe(diagnosis.uring.usable ? 'uring' : 'posix');
    expect(diagnosis.posix).toEqual({ usable: true, cause: null });
    expect(diagnosis.fds.needed).toBe(32_768);
  });

  test('the lines for people say the same', () => {
    const { status, stdout } = run(['--policy', 'in_memory>=1']);
    const { diagnosis } = runJson([]);
    expect(status).toBe(0);
    expect(stdout).toContain(`backend auto       ${diagnosis.backend}: ${diagnosis.why}\n`);
    expect(stdout).toMatch(/^policy +in_memory>=1, unbounded$/m);
    expect(stdout).toMatch(/^- the policy in_memory>=1 makes nothing durable/m);
  });

  /** What has to hold for every cause. */
  function expectFallback(prefix: string[], errno: number, words: RegExp) {
    const auto = runJson([], prefix);
    expect(auto.status).toBe(0);
    expect(auto.diagnosis).toMatchObject({ ok: true, backend: 'posix', posix: { usable: true } });
    expect(auto.diagnosis.uring).toMatchObject({ usable: false, errno, entries: 0, features: [] });
    expect(auto.diagnosis.uring.cause).toMatch(words);
    expect(auto.diagnosis.why).toMatch(words);
    const uring = runJson(['--backend', 'uring'], prefix);
    expect(uring.status).toBe(1);
    expect(uring.diagnosis).toMatchObject({ ok: false, backend: null });
    expect(uring.diagnosis.why).toMatch(words);
    return auto.diagnosis;
  }

  const injecting = (error: string) => [
    'strace',
    ...['-f', '-qq', '-o', join(folder, 'strace.log')],
    ...['-e', 'trace=io_uring_setup', '-e', `inject=io_uring_setup:error=${error}`],
  ];
  test.for<[string, number, RegExp]>([
    ['ENOMEM', ENOMEM, /not enough memory may be locked/],
    ['EMFILE', EMFILE, /no file descriptor is left/],
    ['ENOSYS', ENOSYS, /kernel .* (was built without io_uring|is too old)|seccomp profile hides/],
    ['EPERM', EPERM, /the kernel forbids io_uring|seccomp profile forbids|io_uring_disabled/],
  ])('a kernel that answers %s', ([name, errno, words], context) => {
    expectFallback(taking(context, ...injecting(name)), errno, words);
  });

  test('a limit on file descriptors', (context) => {
    const prefix = needs(context, 'prlimit', '--nofile=100:100');
    const { diagnosis } = runJson(['--connections', '51'], prefix);
    expect(diagnosis.fds).toMatchObject({ soft: 100, hard: 100, needed: 102, enough: false });
    expect(diagnosis.advice).toContainEqual(
      expect.stringMatching(/51 attached sockets take 102 .* 100 are allowed/),
    );
    const { diagnosis: fewer } = runJson(['--connections', '50'], prefix);
    expect(fewer.fds.enough).toBe(true);
  });
});

test.each([
  [['--backend', 'kqueue'], 'ERR_ACKGATE_INVALID_ARGUMENT'],
  [['--bckend', 'uring'], 'ERR_ACKGATE_UNKNOWN_OPTION'],
  [['--policy', 'persisted>=0'], 'ERR_ACKGATE_POLICY_ZERO_COUNT'],
  [['--connections', '0'], 'ERR_ACKGATE_OUT_OF_RANGE'],
  [['--connections', 'many'], 'ERR_ACKGATE_INVALID_ARGUMENT'],
  [['--ring-entries', '100'], 'ERR_ACKGATE_NOT_POWER_OF_TWO'],
])('a wrong call ends with 2: %s', (args, code) => {
  const { status, stdout } = run([...args, '--json']);
  expect(status).toBe(2);
  expect((JSON.parse(stdout) as { error: { code: string } }).error.code).toBe(code);
});
