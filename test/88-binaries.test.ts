import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseArguments } from '../scripts/support/binaries/arguments.mjs';
import { checkBinary } from '../scripts/support/binaries/check.mjs';
import { faultsOf, glibcNeeded, inspectBinary, sizeBytesMax } from '../scripts/support/binaries/inspect.mjs';
import { nodeApi8 } from '../scripts/support/binaries/node-api-8.mjs';
import { runnersFor } from '../scripts/support/binaries/runners.mjs';
import { glibcFloor, ownLibc, ownTarget, targets } from '../scripts/support/binaries/targets.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'native/build/Release/ackgate.node');
const [x64, x64Musl] = targets;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ackgate-binaries-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the addon of this checkout', () => {
  const facts = inspectBinary(built);

  test('uses Node-API 8 and nothing newer', () => {
    const used = facts.imports.map(({ name }) => name).filter((name) => /^(napi|node_api)_/.test(name));
    expect(used).toContain('napi_define_class');
    expect(used.filter((name) => !nodeApi8.has(name))).toEqual([]);
  });

  test('is of this machine and registers itself', () => {
    expect(facts.machine).toBe(ownTarget()?.machine);
    expect(facts.exports).toContain('napi_register_module_v1');
    if (ownLibc() === 'glibc') expect(glibcNeeded(facts)).toMatch(/^2\.\d+/);
  });

  test('would not do for the package: it needs the C++ library of the machine', () => {
    const mine = ownTarget();
    if (mine === undefined) return expect(targets.length).toBe(4);
    const faults = faultsOf(facts, 1, mine, { glibcMax: '999' });
    expect(faults.join('\n')).toContain('needs libstdc++.so.6');
  });
});

describe('a binary for the package', () => {
  const good = {
    machine: x64.machine,
    type: 'DYN',
    needed: ['libc.so.6'],
    sections: ['.text', '.dynsym'],
    imports: [
      { name: 'napi_create_object', version: '', weak: false },
      { name: 'fcntl64', version: 'GLIBC_2.28', weak: false },
      { name: '__gmon_start__', version: '', weak: true },
    ],
    exports: ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
  };
  const wants = (name: string, version = '') => ({
    ...good,
    imports: [...good.imports, { name, version, weak: false }],
  });
  const faults = (facts: typeof good, target = x64, sizeBytes = 1) =>
    faultsOf(facts, sizeBytes, target, { glibcMax: glibcFloor });

  test('is good as it is', () => {
    expect(faults(good)).toEqual([]);
    expect(glibcNeeded(good)).toBe('2.28');
  });

  test.each([
    ['a newer glibc', wants('dlsym', 'GLIBC_2.34'), /needs glibc 2\.34, above 2\.28/],
    ['a C++ library', wants('_ZSt9terminatev', 'GLIBCXX_3.4'), /needs the C\+\+ library for _ZSt9terminatev/],
    ['a newer Node-API', wants('node_api_symbol_for'), /what Node-API 8 has not: node_api_symbol_for/],
    ["Node's own symbols", wants('uv_run'), /neither Node-API nor libc has: uv_run/],
    [
      'a shared library',
      { ...good, needed: ['libc.so.6', 'liburing.so.2'] },
      /needs liburing\.so\.2 at run time/,
    ],
    ['another machine', { ...good, machine: 'AArch64' }, /is for AArch64/],
    [
      'debug sections',
      { ...good, sections: ['.symtab', '.debug_info'] },
      /not stripped \(\.symtab, \.debug_info\)/,
    ],
    ['symbols of the libraries inside', { ...good, exports: [...good.exports, '_Znwm'] }, /exports _Znwm/],
    ['no entry point', { ...good, exports: [] }, /does not export napi_register_module_v1/],
  ])('is refused with %s', (_, facts, why) => {
    expect(faults(facts).join('\n')).toMatch(why);
  });

  test('is refused when it is large, and when it is for glibc on musl', () => {
    expect(faults(good, x64, sizeBytesMax + 1).join()).toContain('above');
    expect(faults({ ...good, needed: ['libc.so'] }, x64Musl).join()).toContain('needs glibc');
  });

  test('that is missing is said to be, and a file that is none is an error', () => {
    expect(checkBinary(x64, { folder }).faults).toEqual(['is not there']);
    const path = join(folder, x64.file);
    mkdirSync(join(path, '..'), { recursive: true });
    copyFileSync(join(root, 'package.json'), path);
    expect(() => checkBinary(x64, { folder })).toThrow(/ackgate\.glibc\.node/);
  });
});

test('Node-API 8 is what the headers of this Node say', (context) => {
  const headers = join(process.execPath, '../../include/node');
  if (!existsSync(join(headers, 'node_api.h'))) {
    return context.skip(`no headers in ${headers}`);
  }
  const { stdout } = spawnSync('cc', ['-E', '-P', '-DNAPI_VERSION=8', `-I${headers}`, '-xc', '-'], {
    input: '#include <node_api.h>\n',
    encoding: 'utf8',
  });
  const declared = [...stdout.matchAll(/\b((?:napi|node_api)_\w+) *\(/g)].map(([, name]) => name);
  expect(new Set(declared.filter((name) => name !== 'napi_value'))).toEqual(nodeApi8);
});

describe('arguments of npm run binaries', () => {
  test('none: this machine', () => {
    expect(parseArguments([], x64)).toMatchObject({ chosen: [x64], own: true, build: true, tries: false });
  });

  test('targets, all of them, and what to do with them', () => {
    expect(parseArguments(['--all', '--try', '--no-build']).chosen).toEqual(targets);
    expect(parseArguments(['--all', '--try', '--no-build'])).toMatchObject({
      own: false,
      build: false,
      tries: true,
    });
    expect(parseArguments(['--all', '--try-core'])).toMatchObject({ tries: true, core: true });
    expect(parseArguments(['--target', 'linux-x64-musl']).chosen).toEqual([x64Musl]);
  });

  test.each([
    [
      ['--target', 'linux-x86'],
      /there are linux-x64-glibc, linux-x64-musl, linux-arm64-glibc, linux-arm64-musl/,
    ],
    [['--all', '--target', 'linux-x64-musl'], /give one of them/],
    [['--al'], /--al/],
  ])('%j is refused', (args, why) => {
    expect(() => parseArguments(args)).toThrow(why);
  });

  test('a machine that the package has nothing for is told where to read', () => {
    expect(() => parseArguments([], null)).toThrow(/docs\/BUILDING\.md/);
  });
});

test('what a target can be tried on is listed, with the reason where that is missing', () => {
  vi.stubEnv('ACKGATE_TOOLS', join(folder, 'no-tools'));
  try {
    for (const target of targets) {
      const runners = runnersFor(target, { fetch: false, folder });
      expect(runners.length, target.name).toBeGreaterThan(0);
      for (const { command, skipped } of runners) {
        if (command === undefined)
          expect(skipped, target.name).toMatch(/missing|not installed|nothing here|no arm64|musl|no zig/);
        else expect([target, command]).toEqual([ownTarget(), process.execPath]);
      }
    }
  } finally {
    vi.unstubAllEnvs();
  }
});

describe('loading', () => {
  /** The package as it is installed: no build/, and these binaries. */
  function installed(name: string, binary?: string) {
    const to = join(folder, name);
    mkdirSync(to);
    for (const part of ['dist', 'package.json'])
      cpSync(join(root, part), join(to, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
    if (binary !== undefined) {
      const path = join(to, `prebuilds/${process.platform}-${process.arch}/ackgate.${ownLibc()}.node`);
      mkdirSync(join(path, '..'), { recursive: true });
      copyFileSync(binary, path);
    }
    return to;
  }
  const load = (at: string) =>
    spawnSync(process.execPath, ['-e', program], { cwd: at, encoding: 'utf8', timeout: 60_000 }).stdout;
  const program = `import('./dist/egress/native.js').then(({ nativeAddon }) => {
    try { console.log(Object.keys(nativeAddon()).length > 0 ? 'loaded' : 'empty'); }
    catch (error) { console.log(error.code, error.message); }
  })`;

  test('the binary in prebuilds/ is found', () => {
    expect(load(installed('with', built))).toBe('loaded\n');
  });

  test('and --try sends through a stage with it, and counts what arrived', () => {
    const program = join(root, 'scripts/support/binaries/try-stage.mjs');
    const args = [program, installed('tried', built), 'posix'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ backend: 'posix', bytes: 1_203_000, said: [] });
  });

  test('without one, the error names the machine, the files looked for and the two ways out', () => {
    const at = installed('without');
    const said = load(at);
    const machine = `${process.platform} ${process.arch}`;
    expect(said).toMatch(/^ERR_ACKGATE_ADDON_MISSING /);
    expect(said).toContain(`could not be loaded on ${machine}`);
    expect(said).toContain(`prebuilds/${process.platform}-${process.arch}/ackgate.`);
    expect(said).toContain('native/build/Release/ackgate.node in ');
    expect(said).toContain('docs/BUILDING.md');
    expect(said).toContain('policy and simulator work without it');
  });

  test('with one that is no library, the error says that, too', () => {
    expect(load(installed('broken', join(root, 'package.json')))).toMatch(
      /^ERR_ACKGATE_ADDON_MISSING .*(ELF|file)/,
    );
  });
});

test('the package has all that binding.gyp asks for', () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
  expect(files).toContain('native');
  const gyp = readFileSync(join(root, 'native/binding.gyp'), 'utf8');
  const named = [...gyp.matchAll(/\b[\w.]+\.(?:cc|map|mjs)\b/g)].map(([path]) => path);
  expect(named).toEqual(expect.arrayContaining(['addon.cc', 'exports.map', 'liburing.mjs']));
  for (const path of named) expect(existsSync(join(root, 'native', path)), path).toBe(true);
});

test('no binding.gyp beside package.json: pnpm before 10 and Yarn 1 would compile at every installation', () => {
  expect(existsSync(join(root, 'binding.gyp'))).toBe(false);
});
