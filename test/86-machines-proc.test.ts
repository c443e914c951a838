import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildSeccompLauncher, inMountNamespace, needs, skipped } from './support/launchers.js';
import {
  expectPureParts,
  expectRefused,
  expectServed,
  ownFolder,
  runCli,
  runDemo,
  runDoctor,
  runReport,
} from './support/machines.js';

const { EPERM, ENOSYS } = constants.errno;
const folder = ownFolder();
const withoutProc = inMountNamespace('mount -t tmpfs ackgate-test /proc');

describe.runIf(process.platform === 'linux')('no /proc', () => {
  test('everything works, doctor says what it can not know, and a soak says that it needs it', async (context) => {
    const launcher = needs(context, ...withoutProc);
    const machine = { launcher };
    const [here, { status, text, diagnosis }, report, demo, soak] = await Promise.all([
      runDoctor({}),
      runDoctor(machine),
      runReport(machine, ['auto', 'posix'], join(folder.path, 'journal')),
      runDemo(machine),
      runCli(machine, ['soak', 'smoke', '--duration', '1s', '--out', join(folder.path, 'soak'), '--json']),
    ]);
    expect(status).toBe(0);
    expect(diagnosis).toMatchObject({ ok: true, proc: false, seccomp: 'unknown', ioUringDisabled: null });
    expect(diagnosis.memlock).toEqual({ soft: null, hard: null, exempt: null });
    expect(diagnosis.backend).toBe(here.diagnosis.backend);
    // These are asked of the kernel then.
    expect(diagnosis.fds).toMatchObject({ soft: here.diagnosis.fds.soft, open: null });
    for (const row of ['io_uring_disabled', 'seccomp', 'locked memory'])
      expect(text).toMatch(new RegExp(`^${row} +unknown$`, 'm'));
    expect(text).toMatch(/^- \/proc cannot be read, .*mount -t proc proc \/proc/m);
    expectServed(report.stages.auto, diagnosis.backend!);
    expectServed(report.stages.posix, 'posix');
    expect(report.journal).toEqual({ persisted: 1 });
    expectPureParts(report);
    expect(demo).toMatchObject({ status: 0, result: { ok: true } });
    expect(soak.status).toBe(1);
    expect(JSON.parse(soak.stdout).error).toMatchObject({
      code: 'ERR_ACKGATE_SOAK_PLATFORM',
      message: expect.stringMatching(/\/proc\/self\/statm can't be read/),
    });
  });

  test.for([
    {
      errno: EPERM,
      cause: /the kernel forbids io_uring .*seccomp profile, kernel\.io_uring_disabled or a security/,
    },
    {
      errno: ENOSYS,
      cause: /says that it has no io_uring \(it was built without, or a seccomp profile hides it/,
    },
  ])(
    'a ring refused with errno $errno: no cause is named that can not be known',
    async ({ errno, cause }, context) => {
      const seccomp = buildSeccompLauncher(folder.path);
      const launcher = needs(context, seccomp, `${errno}`, ...withoutProc);
      const [{ text }, { stages }] = await Promise.all([
        runDoctor({ launcher }),
        runReport({ launcher }, ['uring']),
      ]);
      if (!cause.test(text) && /too old|gVisor/.test(text)) skipped(context, text);
      expect(text).toMatch(cause);
      expect(text).toMatch(/^- to get io_uring, mount \/proc/m);
      expectRefused(stages.uring, 'ERR_ACKGATE_URING_UNAVAILABLE', /cannot be read to tell them apart/);
    },
  );
});
