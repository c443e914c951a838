import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inMountNamespace, needs } from './support/launchers.js';
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

const folder = ownFolder();

/** Shell lines after which nothing can be written below the paths, but for `except`. */
function readOnly(paths: readonly string[], except: string): string {
  const lines = paths.map((path) => `mount --bind '${path}' '${path}' && mount -o remount,bind,ro '${path}'`);
  return [...lines, `mount -t tmpfs -o mode=1777 ackgate-test '${except}'`].join('\n');
}

describe.runIf(process.platform === 'linux')('a read-only file system', () => {
  test('package, journal and temporary folder on it: what needs to write says so, the rest works', async (context) => {
    const sealed = join(folder.path, 'sealed');
    const writable = join(folder.path, 'writable');
    const old = join(sealed, 'old journal');
    for (const path of [sealed, writable, old]) mkdirSync(path);
    const made = await runReport({}, [], old);
    expect(made.journal).toEqual({ persisted: 1 });
    const launcher = needs(context, ...inMountNamespace(readOnly([sealed, packageRoot], writable)));
    const env = { ...process.env, TMPDIR: sealed };
    const machine: Machine = { launcher, env };

    const [doctor, elsewhere, fresh, existing, noTemporary, demo, sim, soak] = await Promise.all([
      runDoctor(machine),
      runReport(machine, ['auto', 'posix'], join(writable, 'journal')),
      runReport(machine, [], join(sealed, 'new')),
      runReport(machine, [], old),
      runDemo(machine),
      runDemo(machine, ['--journal', join(writable, 'demo')]),
      runCli(machine, ['sim', '--seeds', '2', '--json']),
      runCli(machine, ['soak', 'smoke', '--duration', '1s', '--out', join(sealed, 'soak'), '--json']),
    ]);

    expect(doctor).toMatchObject({ status: 0, diagnosis: { ok: true } });
    expectServed(elsewhere.stages.auto, doctor.diagnosis.backend!);
    expectServed(elsewhere.stages.posix, 'posix');
    expect(elsewhere.journal).toEqual({ persisted: 1 });
    expectPureParts(elsewhere);
    for (const { journal } of [fresh, existing])
      expectRefused(
        journal,
        'ERR_ACKGATE_JOURNAL_FAILED',
        /^journal \S.* can't be opened: EROFS: read-only file system/,
      );
    expectRefused(fresh.journal, 'ERR_ACKGATE_JOURNAL_FAILED', new RegExp(join(sealed, 'new')));
    expect(noTemporary.status).toBe(1);
    expect(noTemporary.result.error?.message).toMatch(
      /^no temporary folder can be made for the journal \(EROFS.*name a folder with --journal, or a writable one in TMPDIR$/,
    );
    expect(demo).toMatchObject({ status: 0, result: { ok: true } });
    expect(JSON.parse(sim.stdout)).toMatchObject({
      ok: true,
      failed: 0,
      native: {
        skipped: expect.stringMatching(
          /^there is no (C\+\+ compiler|folder for what is compiled: EROFS.*TMPDIR)/,
        ),
      },
    });
    expect(soak.status).toBe(2);
    expect(JSON.parse(soak.stdout).error).toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
      message: expect.stringMatching(/^the directory .* can't be made: EROFS/),
    });
  });
});
