import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import {
  buildSeccompLauncher,
  canRead,
  inMountNamespace,
  needs,
  ordinaryUser,
  skipped,
} from './support/launchers.js';
import {
  expectPureParts,
  expectRefused,
  expectServed,
  type Machine,
  ownFolder,
  packageRoot,
  runCli,
  runDemo,
  runDoctor,
  runReport,
} from './support/machines.js';

const { EPERM, ENOSYS, ENOMEM } = constants.errno;
const { errno: here, stage: hereStage } = nativeAddon().probeUring(4096, 16);
/** What takes io_uring away proves nothing where there is none. */
const noRing = here === 0 ? null : `no io_uring here: ${explainUring(here, hereStage)}`;
const folder = ownFolder();
const disabledFile = '/proc/sys/kernel/io_uring_disabled';

describe.runIf(process.platform === 'linux')('where the kernel gives no ring', () => {
  let seccomp: string;
  beforeAll(() => {
    seccomp = buildSeccompLauncher(folder.path);
  });

  /** Doctor, a stage of each backend, journal, policy, simulator and demo; all name the cause and what to do. */
  async function expectFallback(
    machine: Machine,
    journal: string,
    errno: number,
    cause: RegExp,
    way: RegExp,
  ) {
    const [auto, uring, report, demo] = await Promise.all([
      runDoctor(machine),
      runCli(machine, ['doctor', '--backend', 'uring']),
      runReport(machine, ['auto', 'uring', 'posix'], join(folder.path, journal)),
      runDemo(machine),
    ]);
    expect(auto).toMatchObject({ status: 0, diagnosis: { backend: 'posix', uring: { errno } } });
    expect(auto.diagnosis.why).toMatch(cause);
    expect(auto.text).toMatch(cause);
    expect(auto.diagnosis.advice[0]).toMatch(/^to get io_uring, /);
    expect(auto.diagnosis.advice[0]).toMatch(way);
    expect(uring.status).toBe(1);
    expect(uring.stdout).toMatch(new RegExp(`^backend uring +none: ${cause.source}`, 'm'));

    const { fallback, log } = expectServed(report.stages.auto, 'posix');
    expect(fallback).toMatch(/^Using the posix backend instead of io_uring: /);
    expect(fallback).toMatch(cause);
    expect(log).toEqual([{ level: 'warn', fields: { backend: 'posix' }, message: fallback }]);
    expectRefused(report.stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', cause);
    expectRefused(report.stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', way);
    expect(expectServed(report.stages.posix, 'posix').log).toEqual([]);
    expect(report.journal).toEqual({ persisted: 1 });
    expectPureParts(report);
    expect(demo).toMatchObject({ status: 0, result: { ok: true, backend: 'posix' } });
    expect(demo.stderr).toMatch(cause);
    return auto;
  }

  test('seccomp forbids it (EPERM)', async (context) => {
    if (noRing !== null) skipped(context, noRing);
    const machine = { launcher: needs(context, seccomp, `${EPERM}`) };
    const cause = /a seccomp profile forbids io_uring/;
    const { text } = await expectFallback(machine, 'eperm', EPERM, cause, /--security-opt seccomp=/);
    expect(text).toMatch(/^seccomp +filter$/m);
  });

  test('seccomp hides it (ENOSYS)', async (context) => {
    if (noRing !== null) skipped(context, noRing);
    const machine = { launcher: needs(context, seccomp, `${ENOSYS}`) };
    const cause = /a seccomp profile hides io_uring/;
    await expectFallback(machine, 'enosys', ENOSYS, cause, /--security-opt seccomp=/);
  });

  // The switch itself belongs to the whole machine: its file is replaced, and a filter refuses as the kernel would.
  test.for([
    { value: 1, cause: /seccomp profile forbids .* kernel\.io_uring_disabled is 1/, way: /io_uring_group/ },
    { value: 2, cause: /switched off .*io_uring_disabled is 2/, way: /sysctl kernel\.io_uring_disabled=0/ },
  ])('kernel.io_uring_disabled is $value', async ({ value, cause, way }, context) => {
    if (noRing !== null) skipped(context, noRing);
    if (!canRead(disabledFile)) skipped(context, `this kernel has no ${disabledFile}`);
    const file = join(folder.path, `disabled-${value}`);
    writeFileSync(file, `${value}\n`);
    const namespace = inMountNamespace(`mount --bind '${file}' ${disabledFile}`);
    const launcher = needs(context, ...namespace, seccomp, `${EPERM}`);
    const { diagnosis, text } = await runDoctor({ launcher });
    expect(diagnosis).toMatchObject({ backend: 'posix', ioUringDisabled: value });
    expect(text).toMatch(cause);
    expect(text).toMatch(way);
    const { stages } = await runReport({ launcher }, ['uring']);
    expectRefused(stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', cause);
    expectRefused(stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', way);
  });
});

describe.runIf(process.platform === 'linux')('an ordinary user who may lock little memory', () => {
  // A kernel counts all rings of a user together, and takes them down a moment after their process: each process is
  // somebody else, whom nobody has been before.
  let uid = 200_000 + (process.pid % 100_000) * 10;

  function machine(context: Parameters<typeof needs>[0], kilobytes: number): Machine {
    if (noRing !== null) skipped(context, noRing);
    const limit = `--memlock=${kilobytes * 1024}:${kilobytes * 1024}`;
    return {
      get launcher() {
        return needs(context, ...ordinaryUser(uid++, packageRoot), 'prlimit', limit);
      },
    };
  }

  test('64 KiB: a smaller ring does, and doctor says that it is one', async (context) => {
    const { text, diagnosis } = await runDoctor(machine(context, 64));
    const { entries } = diagnosis.uring;
    expect(diagnosis).toMatchObject({ backend: 'uring', memlock: { soft: 65_536, exempt: false } });
    expect(entries).toBeGreaterThanOrEqual(64);
    expect(entries).toBeLessThan(4096);
    expect(text).toContain(`usable, ${entries} of 4096 entries`);
    expect(text).toMatch(/entries instead of 4,096.*now 65,536 bytes\) with ulimit -l/);
    for (const backend of ['auto', 'uring']) {
      const { stages } = await runReport(machine(context, 64), [backend]);
      expect(expectServed(stages[backend], 'uring')).toMatchObject({ fallback: null, log: [] });
    }
    const demo = await runDemo(machine(context, 64));
    expect(demo).toMatchObject({ status: 0, result: { ok: true, backend: 'uring' } });
  });

  test('4 KiB: no ring does; the limit and how to raise it are said', async (context) => {
    const cause = /not enough memory may be locked for a ring \(RLIMIT_MEMLOCK is 4 KiB\)/;
    const poor = machine(context, 4);
    const [{ text, diagnosis }, report, demo] = await Promise.all([
      runDoctor(poor),
      runReport(poor),
      runDemo(poor),
    ]);
    expect(diagnosis).toMatchObject({ ok: true, backend: 'posix', uring: { errno: ENOMEM } });
    expect(text).toMatch(cause);
    expect(text).toMatch(/^- to get io_uring, raise the limit with ulimit -l \(LimitMEMLOCK=/m);
    expect(expectServed(report.stages.auto, 'posix').fallback).toMatch(cause);
    expectRefused(report.stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', cause);
    expectRefused(report.stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', /ulimit -l/);
    expectServed(report.stages.posix, 'posix');
    expectPureParts(report);
    expect(demo).toMatchObject({ status: 0, result: { ok: true, backend: 'posix' } });
  });
});
