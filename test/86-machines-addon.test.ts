import { copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { explainAddonFault } from '#ackgate/egress/addon-fault.js';
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

const nodeMajor = Number(process.versions.node.split('.')[0]);
const folder = ownFolder();
/** A copy without binaries, where paths are a trap for everything that takes them for URLs or shell words. */
let bare: string;

beforeAll(() => {
  bare = join(folder.path, 'a package, 100 % größer #1');
  mkdirSync(bare);
  cpSync(join(packageRoot, 'dist'), join(bare, 'dist'), { recursive: true });
  copyFileSync(join(packageRoot, 'package.json'), join(bare, 'package.json'));
  symlinkSync(join(packageRoot, 'node_modules'), join(bare, 'node_modules'));
});

/** Nothing can be sent, everything else works, and what is said has the reason and the way out. */
async function expectNoStage(machine: Machine, journal: string, reason: RegExp, wayOut: RegExp) {
  const [doctor, report, demo] = await Promise.all([
    runDoctor(machine),
    runReport(machine, ['auto', 'uring', 'posix'], join(folder.path, journal)),
    runDemo(machine),
  ]);
  const code = 'ERR_ACKGATE_ADDON_MISSING';
  expect(doctor).toMatchObject({ status: 1, diagnosis: { ok: false, backend: null } });
  expect(doctor.diagnosis.uring).toMatchObject({ usable: false, errno: null });
  for (const words of [reason, wayOut, /policy and simulator work without it/]) {
    expect(doctor.diagnosis.addon.cause).toMatch(words);
    expect(doctor.text).toMatch(words);
    for (const backend of ['auto', 'uring', 'posix']) expectRefused(report.stages[backend], code, words);
    expect(demo.result.error?.message).toMatch(words);
  }
  expect(doctor.text).toMatch(/^backend auto +none: /m);
  expect(doctor.text).toMatch(/^posix +not tried, for there is no addon$/m);
  expect(doctor.text).not.toContain('..');
  expect(demo).toMatchObject({ status: 1, result: { ok: false, error: { code } } });
  expectPureParts(report);
  expect(report.journal).toEqual({ persisted: 1 });
}

test('no binary in the package', async () => {
  const reason = /No native build was found for platform=/;
  await expectNoStage(
    { root: bare },
    'missing',
    reason,
    /Build it there with `npx node-gyp rebuild -C native`/,
  );
  const sim = await runCli({ root: bare }, ['sim', '--seeds', '2', '--no-native', '--json']);
  expect(JSON.parse(sim.stdout)).toMatchObject({ ok: true, failed: 0 });
});

test('Node may load no addons (NODE_OPTIONS=--no-addons)', async () => {
  const env = { ...process.env, NODE_OPTIONS: '--no-addons' };
  await expectNoStage({ env }, 'no-addons', /loading addons is disabled/, /Start Node without --no-addons/);
});

test("Node's permission model without --allow-addons", async () => {
  const permission = nodeMajor < 22 ? '--experimental-permission' : '--permission';
  const flags = [permission, '--allow-fs-read=*', '--allow-worker'];
  const [doctor, report, demo] = await Promise.all([
    runDoctor({ flags }),
    runReport({ flags }),
    runDemo({ flags: [...flags, '--allow-fs-write=*'] }),
  ]);
  expect(doctor).toMatchObject({ status: 1, diagnosis: { ok: false } });
  expect(doctor.text).toMatch(/loading addons is disabled.*under --permission with --allow-addons/);
  expectRefused(report.stages.auto, 'ERR_ACKGATE_ADDON_MISSING', /under --permission with --allow-addons/);
  expectPureParts(report);
  // It starts its server as a process, which is refused before anything else.
  expect(demo.status).toBe(1);
  expect(demo.result.error?.message).toMatch(/permission model forbids what the demo needs \(ChildProcess\)/);
});

test('a binary on a file system from which nothing may run (noexec)', async (context) => {
  const again = `'${packageRoot}' '${packageRoot}'`;
  const script = `mount --bind ${again} && mount -o remount,bind,noexec ${again}`;
  const launcher = needs(context, ...inMountNamespace(script));
  const { status, text } = await runDoctor({ launcher });
  expect(status).toBe(1);
  expect(text).toMatch(/could not be loaded .*failed to map segment.*mounted noexec/);
  const report = await runReport({ launcher }, ['auto']);
  expectRefused(report.stages.auto, 'ERR_ACKGATE_ADDON_MISSING', /mounted noexec/);
  expectPureParts(report);
});

test('with its binary the copy works, though its path has blanks, signs and an umlaut', async () => {
  const root = join(folder.path, 'whole, 100 % größer #1');
  mkdirSync(join(root, 'native/build/Release'), { recursive: true });
  for (const name of ['dist', 'package.json', 'node_modules'])
    cpSync(join(bare, name), join(root, name), { recursive: true });
  const load = createRequire(import.meta.url)('node-gyp-build') as { path(root: string): string };
  copyFileSync(load.path(join(packageRoot, 'native')), join(root, 'native/build/Release/ackgate.node'));
  const [doctor, report, demo] = await Promise.all([
    runDoctor({ root }),
    runReport({ root }, ['auto', 'posix'], join(root, 'a journal')),
    runDemo({ root }, ['--journal', join(root, 'another journal')]),
  ]);
  expect(doctor).toMatchObject({ status: 0, diagnosis: { ok: true } });
  expectServed(report.stages.posix, 'posix');
  expectServed(report.stages.auto, doctor.diagnosis.backend!);
  expect(report.journal).toEqual({ persisted: 1 });
  expectPureParts(report);
  expect(demo).toMatchObject({ status: 0, result: { ok: true } });
});

test.each([
  ["/lib/libc.so.6: version `GLIBC_2.99' not found (required by x.node)", /older than .*node-gyp rebuild/],
  ['x.node: failed to map segment from shared object: Operation not permitted', /noexec/],
  ['x.node: wrong ELF class: ELFCLASS32', /wrong ELF class.*node-gyp rebuild/],
])('a binary that the system refuses: %s', (message, words) => {
  const sentence = explainAddonFault(
    Object.assign(new Error(message), { code: 'ERR_DLOPEN_FAILED' }),
    packageRoot,
  );
  expect(sentence).toMatch(words);
  expect(sentence).not.toMatch(/bundle/);
});

test('a platform without an addon is not told to build one', () => {
  const none = new Error('No native build was found for platform=win32');
  const sentence = explainAddonFault(none, packageRoot, 'win32');
  expect(sentence).toMatch(/There is no addon for win32: .*policy and simulator work without it/);
  expect(sentence).not.toMatch(/node-gyp rebuild/);
  expect(explainAddonFault(none, packageRoot, 'darwin')).toMatch(/node-gyp rebuild/);
});

test('code in a bundle, which looks in a folder that is not the package, is told to leave it out', () => {
  const none = new Error('No native build was found for platform=linux');
  const another = join(folder.path, 'another package');
  mkdirSync(another);
  writeFileSync(join(another, 'package.json'), '{ "name": "server" }');
  for (const place of [join(folder.path, 'nowhere'), another]) {
    const sentence = explainAddonFault(none, place);
    expect(sentence).toMatch(/ackgate has to stay outside of the bundle \(mark it as external\)/);
    expect(sentence).not.toMatch(/node-gyp rebuild/);
  }
});
