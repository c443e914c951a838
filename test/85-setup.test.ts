import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dependenciesStale } from '../scripts/support/dependencies.mjs';
import { completed, missingEntries } from '../scripts/support/lock.mjs';
import { nodeVersionProblem } from '../scripts/support/node-version.mjs';
import { errorCodeProblems, forbiddenIn, looseVersions } from '../scripts/support/own-checks.mjs';
import { serversWelcome } from '../scripts/support/packages.mjs';
import { lastCounts, run } from '../scripts/support/run.mjs';
import { vitestCounts } from '../scripts/support/suites.mjs';
import { compile, isStale, removeOrphans } from '../scripts/support/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ackgate-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, content: string | object): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content));
}

function writeProgram(path: string, script: string): void {
  write(path, `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, path), 0o755);
}

describe('the version of Node', () => {
  test.each(['v20.19.0', 'v20.20.2', 'v22.0.0', 'v100.1.0'])('%s will do', (version) => {
    expect(nodeVersionProblem(version, '>=20.19')).toBeNull();
  });
  test.each(['v20.18.9', 'v18.20.0', 'v9.99.0'])('%s is refused with what to do', (version) => {
    expect(nodeVersionProblem(version, '>=20.19')).toMatch(/needs Node 20\.19 or newer.*Install/);
  });
  test('a range that it cannot read is not taken for good', () => {
    expect(nodeVersionProblem('v20.19.0', '^20')).toContain('cannot compare');
  });
});

describe('dependencies', () => {
  const lock = (packages: object) => ({ lockfileVersion: 3, packages: { '': { name: 'x' }, ...packages } });
  const a = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };
  const forElsewhere = { 'node_modules/b': { version: '1.0.0', integrity: 'sha512-b', optional: true } };

  function stale(wanted: object, installed: object | string | null): boolean {
    write('package-lock.json', lock(wanted));
    if (installed !== null) {
      write('node_modules/.package-lock.json', typeof installed === 'string' ? installed : lock(installed));
    }
    return dependenciesStale(folder);
  }

  test('current when all of the lock is there', () => expect(stale(a, a)).toBe(false));
  test('current without what is for another platform', () => {
    expect(stale({ ...a, ...forElsewhere }, a)).toBe(false);
  });
  test('stale without node_modules', () => expect(stale(a, null)).toBe(true));
  test('stale after an interrupted installation', () => expect(stale(a, '{"packages":')).toBe(true));
  test('stale when one is missing', () => expect(stale(a, {})).toBe(true));
  test('stale when one has another version', () => {
    expect(stale(a, { 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } })).toBe(true);
  });
  test('stale when one has other content', () => {
    expect(stale(a, { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-z' } })).toBe(true);
  });
  test('current when only one of the two has a checksum', () => {
    expect(stale({ 'node_modules/a': { version: '1.0.0' } }, a)).toBe(false);
    expect(stale(a, { 'node_modules/a': { version: '1.0.0' } })).toBe(false);
  });
});

describe('packages of the system', () => {
  /** Runs `ensurePackages('build')` in a process whose path holds only what it calls, and an apt-get that does `apt`. */
  function ensure(options: { apt?: string; sudo?: string; uid?: number }) {
    for (const name of ['env', 'timeout', 'sh', 'chmod', 'touch']) {
      const found = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
      mkdirSync(join(folder, 'bin'), { recursive: true });
      symlinkSync(found, join(folder, 'bin', name));
    }
    const record = `echo "$DEBIAN_FRONTEND $*" >> ${folder}/apt.log`;
    if (options.apt !== undefined) writeProgram('bin/apt-get', `${record}\ncd ${folder}/bin\n${options.apt}`);
    if (options.sudo !== undefined) writeProgram('bin/sudo', options.sudo);
    write(
      'ensure.mjs',
      `Object.defineProperty(process, 'platform', { value: 'linux' });
      process.getuid = () => ${options.uid ?? 0};
      const { ensurePackages } = await import(${JSON.stringify(join(root, 'scripts/support/packages.mjs'))});
      const said = [];
      const missing = await ensurePackages('build', (line) => said.push(line));
      console.log(JSON.stringify({ missing, said }));`,
    );
    const text = execFileSync(process.execPath, [join(folder, 'ensure.mjs')], {
      encoding: 'utf8',
      env: { PATH: join(folder, 'bin') },
    });
    const log = join(folder, 'apt.log');
    return {
      ...(JSON.parse(text) as { missing: string[]; said: string[] }),
      calls: existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [],
    };
  }
  const all = ['g++', 'make', 'python3', 'liburing-dev'];
  // The compiler is what finds liburing's header; `touch` makes programs that end with 0.
  const installAll = 'touch g++ make python3 cc; chmod +x g++ make python3 cc';

  test('are installed as root, without a question, and said', () => {
    const { missing, said, calls } = ensure({ apt: installAll });
    expect(missing).toEqual([]);
    expect(said).toEqual(['installing g++ make python3 liburing-dev with apt-get']);
    expect(calls.at(-1)).toMatch(
      /^noninteractive .* install -y --no-install-recommends g\+\+ make python3 liburing-dev$/,
    );
  });

  test('are installed by sudo when it asks for no password', () => {
    const sudo = '[ "$1" = -n ] && shift && { [ "$1" = true ] || "$@"; }';
    const { missing, calls } = ensure({ uid: 1000, sudo, apt: installAll });
    expect(missing).toEqual([]);
    expect(calls.length).toBeGreaterThan(0);
  });

  test('are only named when sudo wants a password', () => {
    const { missing, said, calls } = ensure({ uid: 1000, sudo: 'exit 1', apt: installAll });
    expect(missing).toEqual(all);
    expect(said[0]).toBe(
      'g++ is missing (apt-get needs root, or sudo without a password): the addon cannot be built',
    );
    expect(calls).toEqual([]);
  });

  test('are only named where there is no apt-get', () => {
    const { missing, said } = ensure({});
    expect(missing).toEqual(all);
    expect(said.at(-1)).toMatch(/^liburing-dev is missing \(there is no apt-get here\): .* posix sender$/);
  });

  test('a failing apt-get is asked once more after one update, then its reason is said', () => {
    const { missing, said, calls } = ensure({ apt: 'echo "E: Unable to locate package x" >&2; exit 100' });
    expect(missing).toEqual(all);
    expect(said).toContain('make is missing (E: Unable to locate package x): the addon cannot be built');
    const verbs = calls.map((call) => / (update|install)\b/.exec(call)?.[1]);
    expect(verbs.filter((verb) => verb === 'update')).toHaveLength(1);
    expect(verbs.slice(-2)).toEqual(['update', 'install']);
  });

  test('a package that this distribution does not have keeps no other from being installed', () => {
    const apt = `case "$*" in
      *" make"*) echo "E: Unable to locate package make" >&2; exit 100 ;;
      *) touch g++ python3 cc; chmod +x g++ python3 cc ;;
    esac`;
    const { missing, said, calls } = ensure({ apt });
    expect(missing).toEqual(['make']);
    expect(said.at(-1)).toMatch(/^make is missing \(E: Unable to locate package make\)/);
    expect(calls.at(-1)).toMatch(/ install -y --no-install-recommends g\+\+ python3 liburing-dev$/);
  });

  test('the model checker belongs to the tests', () => {
    write(
      'list.mjs',
      `const { missingPackages } = await import(${JSON.stringify(join(root, 'scripts/support/packages.mjs'))});
      const names = (group) => missingPackages(group, 'linux').map(([name]) => name);
      console.log(JSON.stringify([names('build'), names('test')]));`,
    );
    const text = execFileSync(process.execPath, [join(folder, 'list.mjs')], {
      encoding: 'utf8',
      env: { PATH: folder },
    });
    const [build, tests] = JSON.parse(text) as string[][];
    expect(tests).toContain('spin');
    expect(build).not.toContain('spin');
  });
});

describe('the version of clang', () => {
  const tools = (versions: Record<string, number>) => {
    for (const [name, version] of Object.entries(versions))
      writeProgram(name, `echo "Debian ${name} version ${version}.0.6"`);
    const from = (file: string) => JSON.stringify(join(root, 'scripts/support', file));
    write(
      'find.mjs',
      `const { clangTool } = await import(${from('clang.mjs')});
      const { missingPackages } = await import(${from('packages.mjs')});
      console.log(JSON.stringify([clangTool('clang-format'), missingPackages('check').map(([name]) => name)]));`,
    );
    const text = execFileSync(process.execPath, [join(folder, 'find.mjs')], {
      encoding: 'utf8',
      env: { PATH: folder },
    });
    return JSON.parse(text) as [string | null, string[]];
  };
  const missing = ['clang-format-14', 'clang-tidy-14'];

  test.each([
    [
      'by its own name',
      { 'clang-format': 18, 'clang-format-14': 14, 'clang-tidy': 14 },
      'clang-format-14',
      [],
    ],
    ['by a plain name', { 'clang-format': 14, 'clang-format-14': 15, 'clang-tidy': 14 }, 'clang-format', []],
    [
      'not at all',
      { 'clang-format': 18, 'clang-format-14': 15, 'clang-tidy': 18, 'clang-tidy-14': 0 },
      null,
      missing,
    ],
  ])('is found %s', (_, versions, found, absent) => {
    expect(tools(versions)).toEqual([found, absent]);
  });
});

describe('packages of servers', () => {
  test('are for build servers, and where nothing would run them as services', () => {
    expect(serversWelcome({}, folder)).toBe(false);
    expect(serversWelcome({ CI: 'true' }, folder)).toBe(true);
    expect(serversWelcome({}, join(folder, 'absent'))).toBe(true);
  });
});

describe('compiled output', () => {
  const project = { config: 'tsconfig.json', sources: 'src', output: 'dist' };
  const demo = { config: 'example/tsconfig.json', sources: 'example', output: 'dist/demo' };
  const old = new Date(2001, 1, 1);
  const stale = () => isStale(project, folder);
  const options = { declaration: true, lib: ['es5'], target: 'es2022', types: [] };

  beforeEach(async () => {
    write('package.json', { type: 'module' });
    const compilerOptions = { ...options, rootDir: 'src', outDir: 'dist' };
    write('tsconfig.json', { compilerOptions, include: ['src'] });
    write('src/a.ts', 'export const a: number = 1;\n');
    write('src/inner/b.ts', 'export const b: number = 1;\n');
    expect(stale()).toBe(true);
    expect(await compile(project, folder)).toBe(true);
    expect(stale()).toBe(false);
  });

  test('is current when nothing changed', () => {
    expect(readdirSync(join(folder, 'dist')).sort()).toEqual(['a.d.ts', 'a.js', 'inner']);
    expect(stale()).toBe(false);
  });
  test('is stale after a source was changed, added or replaced by an older file', () => {
    write('src/a.ts', 'export const a: number = 3;\n');
    expect(stale()).toBe(true);
    utimesSync(join(folder, 'src/a.ts'), old, old);
    expect(stale()).toBe(true);
    write('src/a.ts', 'export const a: number = 1;\n');
    utimesSync(join(folder, 'src/a.ts'), old, old);
    expect(stale()).toBe(false);
    write('src/c.ts', '');
    expect(stale()).toBe(true);
  });
  test('is stale when a source is newer, even with the old content', () => {
    const future = new Date(Date.now() + 60_000);
    utimesSync(join(folder, 'src/a.ts'), future, future);
    expect(stale()).toBe(true);
  });
  test('is stale when an output is missing', () => {
    rmSync(join(folder, 'dist/inner/b.d.ts'));
    expect(stale()).toBe(true);
  });
  test("is stale after the compiler's options changed", () => {
    write('tsconfig.json', { compilerOptions: { rootDir: 'src', outDir: 'dist' }, include: ['src'] });
    expect(stale()).toBe(true);
  });
  test('a removed source leaves nothing behind, and what another project compiled stays', async () => {
    const compilerOptions = { ...options, rootDir: '.', outDir: '../dist/demo' };
    write('example/tsconfig.json', { compilerOptions, include: ['*.ts'] });
    write('example/d.ts', 'export const d: number = 1;\n');
    expect(await compile(demo, folder)).toBe(true);
    write('dist/kept.json', '{}');
    write('dist/inner/b.js.map', '{}');
    rmSync(join(folder, 'src/inner/b.ts'));
    removeOrphans(folder, [project, demo]);
    expect(readdirSync(join(folder, 'dist/inner'))).toEqual([]);
    expect(readdirSync(join(folder, 'dist/demo')).sort()).toEqual(['d.d.ts', 'd.js']);
    expect(existsSync(join(folder, 'dist/kept.json'))).toBe(true);
    expect(isStale(demo, folder)).toBe(false);
  });
  test('stays stale when it did not compile', async () => {
    write('src/a.ts', 'export const a: number = "text";\n');
    expect(await compile(project, folder)).toBe(false);
    expect(stale()).toBe(true);
  });
});

describe('running a command', () => {
  test('it ends after its time-out although a grandchild holds the pipe', async () => {
    const { code, text } = await run('sh', ['-c', 'sleep 30 & echo started; wait'], {
      output: 'capture',
      timeoutMs: 300,
    });
    expect(code).toBe(124);
    expect(text).toContain('started');
  });
  test('a missing program is a result', async () => {
    expect((await run('ackgate-no-such-program', [], { output: 'capture' })).code).toBe(127);
  });
});

describe('counting', () => {
  test('reads the last line only', () => {
    expect(lastCounts('1 passed, 9 failed\n12 passed, 3 failed\n')).toEqual({ passed: 12, failed: 3 });
    expect(lastCounts('12 passed, 3 failed\nSegmentation fault\n')).toBeNull();
    expect(lastCounts('')).toBeNull();
  });
  test('a run that failed without failing a test counts as one failure', () => {
    const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1 };
    expect(vitestCounts(report, 0)).toEqual({ passed: 5, failed: 0, skipped: 2 });
    expect(vitestCounts(report, 1)).toEqual({ passed: 5, failed: 1, skipped: 2 });
    expect(vitestCounts({ ...report, numFailedTests: 2 }, 1).failed).toBe(2);
    expect(vitestCounts({ numPassedTests: 0, numFailedTests: 0 }, 0).failed).toBe(1);
    expect(vitestCounts(null, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('own checks', () => {
  test('places on one machine and registries are found, with the line', () => {
    const home = ['', 'home', 'somebody', 'x'].join('/');
    const registry = ['registry', 'npmjs', 'org'].join('.');
    expect(forbiddenIn('f', `fine\n${home}`)).toEqual(['f:2: names a folder of one machine']);
    expect(forbiddenIn('f', `https://${registry}/x`)).toEqual(['f:1: names a package registry']);
    expect(forbiddenIn('f', "import '../shared/wide.js'; // network/work/loads")).toEqual([]);
  });
  test('error codes are compared in both directions', () => {
    const table = '| `ERR_ACKGATE_A` | x |\n| `ERR_ACKGATE_A` | x |\n| `ERR_ACKGATE_C` | x |\n';
    expect(errorCodeProblems(['ERR_ACKGATE_A', 'ERR_ACKGATE_B'], table)).toEqual([
      'ERR_ACKGATE_B has no row',
      'ERR_ACKGATE_C is not a code of src/errors.ts',
      'ERR_ACKGATE_A has more than one row',
    ]);
  });
  test('a lock that npm left incomplete is found and completed', () => {
    const parent = (names: string[]) => ({
      version: '2.0.0',
      dev: true,
      license: 'MIT',
      optionalDependencies: Object.fromEntries(names.map((name) => [name, '2.0.0'])),
    });
    const lock = {
      name: 'x',
      packages: {
        '': {},
        'node_modules/p': parent(['@p/linux-x64-gnu', '@p/linux-arm-musleabihf', '@p/darwin-arm64']),
        'node_modules/p/node_modules/@p/linux-x64-gnu': { version: '2.0.0' },
        'node_modules/p/node_modules/q': parent(['@p/linux-x64-gnu']),
      },
    };
    expect(missingEntries(lock).map(({ name }) => name)).toEqual([
      '@p/linux-arm-musleabihf',
      '@p/darwin-arm64',
    ]);
    const whole = completed(lock);
    expect(missingEntries(whole)).toEqual([]);
    expect(Object.keys(whole.packages).slice(0, 3)).toEqual([
      '',
      'node_modules/@p/darwin-arm64',
      'node_modules/@p/linux-arm-musleabihf',
    ]);
    const shared = { version: '2.0.0', dev: true, license: 'MIT', optional: true };
    expect(whole.packages).toMatchObject({
      'node_modules/@p/darwin-arm64': { ...shared, os: ['darwin'], cpu: ['arm64'] },
      'node_modules/@p/linux-arm-musleabihf': { ...shared, os: ['linux'], cpu: ['arm'], libc: ['musl'] },
    });
    const nameless = { packages: { 'node_modules/p': parent(['q']) } };
    expect(() => completed(nameless)).toThrow('q@2.0.0 is not named after a platform');
  });
  test('versions must be exact', () => {
    const manifest = {
      dependencies: { a: '1.2.3', b: '^1.2.3' },
      devDependencies: { c: '1.2.3-rc.1', d: '*' },
    };
    expect(looseVersions(manifest)).toEqual(['b: "^1.2.3" is not one version', 'd: "*" is not one version']);
  });
});

describe('.ci/run', () => {
  /** Runs a copy of it with an npm that does as told; each of the other steps passes four unless told otherwise. */
  function ci(npmTest: string, steps = '*) echo "4 passed, 0 failed"') {
    mkdirSync(join(folder, '.ci'));
    cpSync(join(root, '.ci/run'), join(folder, '.ci/run'));
    writeProgram('bin/npm', `case "$1 \${2:-}" in "test ") ${npmTest} ;; ${steps} ;; esac`);
    const { status, stdout } = spawnSync('bash', [join(folder, '.ci/run')], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}` },
    });
    return { status, last: stdout.trimEnd().split('\n').at(-1) };
  }

  // Besides the tests: checks, smoke runs, the package.
  test('adds up what passed', () => {
    expect(ci('echo "10 passed, 0 failed"')).toEqual({ status: 0, last: '22 passed, 0 failed' });
  });
  test('a failed test fails it', () => {
    expect(ci('echo "8 passed, 2 failed"; echo "npm error"; exit 1')).toEqual({
      status: 1,
      last: '20 passed, 2 failed',
    });
  });
  test('a set-up that did not bring everything is a failure', () => {
    const steps = '"run setup") exit 1 ;; *) echo "4 passed, 0 failed"';
    expect(ci('echo "10 passed, 0 failed"', steps)).toEqual({ status: 1, last: '22 passed, 1 failed' });
  });
  test('a step that died without counts is a failure', () => {
    expect(ci('exit 3')).toEqual({ status: 1, last: '12 passed, 1 failed' });
  });
  test('tests of which none ran are a failure', () => {
    expect(ci('echo "0 passed, 0 failed"')).toEqual({ status: 1, last: '12 passed, 1 failed' });
  });
  test.each(['check', 'smoke', 'test:package'])('a failing %s is a failure', (name) => {
    const steps = `"run ${name}") echo "3 passed, 1 failed"; exit 1 ;; *) echo "4 passed, 0 failed"`;
    expect(ci('echo "10 passed, 0 failed"', steps)).toEqual({ status: 1, last: '21 passed, 1 failed' });
  });
});
