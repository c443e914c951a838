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
import { nodeVersionProblem } from '../scripts/support/node-version.mjs';
import { errorCodeProblems, forbiddenIn, looseVersions } from '../scripts/support/own-checks.mjs';
import { lastCounts, run } from '../scripts/support/run.mjs';
import { vitestCounts } from '../scripts/support/suites.mjs';
import { typescriptProject } from '../scripts/support/typescript.mjs';

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
});

describe('packages of the system', () => {
  /**
   * Runs `ensurePackages('build')` in a process whose path holds only what it calls, and an apt-get that does `apt`.
   * liburing's header is left out of what is compared: it is there or not on the machine that runs this.
   */
  function ensure(options: { apt?: string; sudo?: string; uid?: number }) {
    for (const name of ['env', 'timeout', 'sh', 'chmod', 'touch']) {
      const found = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
      mkdirSync(join(folder, 'bin'), { recursive: true });
      symlinkSync(found, join(folder, 'bin', name));
    }
    const record = `echo "$DEBIAN_FRONTEND $*" >> ${folder}/apt.log`;
    if (options.apt !== undefined) writeProgram('bin/apt-get', `${record}\n${options.apt}`);
    if (options.sudo !== undefined) writeProgram('bin/sudo', options.sudo);
    const script = `
      Object.defineProperty(process, 'platform', { value: 'linux' });
      process.getuid = () => ${options.uid ?? 0};
      const { ensurePackages } = await import(${JSON.stringify(join(root, 'scripts/support/packages.mjs'))});
      const said = [];
      const missing = await ensurePackages('build', (line) => said.push(line));
      console.log(JSON.stringify({ missing, said }));`;
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { PATH: join(folder, 'bin') },
    });
    const { missing, said } = JSON.parse(text) as { missing: string[]; said: string[] };
    const log = join(folder, 'apt.log');
    return {
      missing: missing.filter((name) => name !== 'liburing-dev'),
      said: said.filter((line) => !line.startsWith('liburing-dev')),
      calls: existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [],
    };
  }
  const installAll = `for name in g++ make python3; do touch ${'$'}{0%/*}/$name; chmod +x ${'$'}{0%/*}/$name; done`;

  test('are installed as root, without a question, and said', () => {
    const { missing, said, calls } = ensure({ apt: installAll });
    expect(missing).toEqual([]);
    expect(said).toEqual([expect.stringMatching(/^installing g\+\+ make python3.* with apt-get$/)]);
    const last = calls.at(-1);
    expect(last).toMatch(/^noninteractive .* install -y --no-install-recommends g\+\+ make python3/);
  });

  test('are installed by sudo when it asks for no password', () => {
    const { missing, calls } = ensure({
      uid: 1000,
      sudo: '[ "$1" = -n ] && shift && [ "$1" = true ] || "$@"',
      apt: installAll,
    });
    expect(missing).toEqual([]);
    expect(calls.length).toBeGreaterThan(0);
  });

  test('are only named when sudo wants a password', () => {
    const { missing, said, calls } = ensure({ uid: 1000, sudo: 'exit 1', apt: installAll });
    expect(missing).toEqual(['g++', 'make', 'python3']);
    expect(said[0]).toBe(
      'g++ is missing (apt-get needs root, or sudo without a password): the addon cannot be built',
    );
    expect(calls).toEqual([]);
  });

  test('are only named where there is no apt-get', () => {
    const { missing, said } = ensure({});
    expect(missing).toEqual(['g++', 'make', 'python3']);
    expect(said[0]).toContain('there is no apt-get here');
  });

  test('a failing apt-get is asked once more after one update, then its reason is said', () => {
    const { missing, said, calls } = ensure({ apt: 'echo "E: Unable to locate package x" >&2; exit 100' });
    expect(missing).toEqual(['g++', 'make', 'python3']);
    expect(said).toContain('make is missing (E: Unable to locate package x): the addon cannot be built');
    const verbs = calls.map((call) => / (update|install)\b/.exec(call)?.[1]);
    expect(verbs.filter((verb) => verb === 'update')).toHaveLength(1);
    expect(verbs.slice(-2)).toEqual(['update', 'install']);
  });
});

describe('compiled output', () => {
  const old = new Date(2001, 1, 1);
  const project = () => typescriptProject(folder);

  beforeEach(async () => {
    write('package.json', { type: 'module' });
    write('tsconfig.json', {
      compilerOptions: { rootDir: 'src', outDir: 'dist', declaration: true, sourceMap: true, types: [] },
      include: ['src'],
    });
    write('src/a.ts', 'export const a: number = 1;\n');
    write('src/inner/b.ts', 'export const b: number = 1;\n');
    expect(project().stale()).toBe(true);
    expect(await project().build()).toBe(true);
    expect(project().stale()).toBe(false);
  });

  test('is current when nothing changed', () => {
    expect(readdirSync(join(folder, 'dist')).sort()).toEqual(['a.d.ts', 'a.js', 'a.js.map', 'inner']);
    expect(project().stale()).toBe(false);
  });
  test('is stale after a source was changed', () => {
    write('src/a.ts', 'export const a: number = 2;\n');
    expect(project().stale()).toBe(true);
  });
  test('is stale after a source was replaced by an older file', () => {
    write('src/a.ts', 'export const a: number = 3;\n');
    utimesSync(join(folder, 'src/a.ts'), old, old);
    expect(project().stale()).toBe(true);
  });
  test('is stale when a source is newer, even with the old content', () => {
    const future = new Date(Date.now() + 60_000);
    utimesSync(join(folder, 'src/a.ts'), future, future);
    expect(project().stale()).toBe(true);
  });
  test('is stale when an output is missing', () => {
    rmSync(join(folder, 'dist/inner/b.d.ts'));
    expect(project().stale()).toBe(true);
  });
  test("is stale after the compiler's options changed", () => {
    write('tsconfig.json', { compilerOptions: { rootDir: 'src', outDir: 'dist' }, include: ['src'] });
    expect(project().stale()).toBe(true);
  });
  test('a removed source leaves nothing behind', async () => {
    write('dist/kept.json', '{}');
    rmSync(join(folder, 'src/inner/b.ts'));
    expect(project().stale()).toBe(true);
    expect(await project().build()).toBe(true);
    expect(readdirSync(join(folder, 'dist/inner'))).toEqual([]);
    expect(existsSync(join(folder, 'dist/kept.json'))).toBe(true);
    expect(project().stale()).toBe(false);
  });
  test('stays stale when it did not compile', async () => {
    write('src/a.ts', 'export const a: number = "text";\n');
    expect(await project().build()).toBe(false);
    expect(project().stale()).toBe(true);
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
  test('versions must be exact', () => {
    const manifest = {
      dependencies: { a: '1.2.3', b: '^1.2.3' },
      devDependencies: { c: '1.2.3-rc.1', d: '*' },
    };
    expect(looseVersions(manifest)).toEqual(['b: "^1.2.3" is not one version', 'd: "*" is not one version']);
  });
});

describe('.ci/run', () => {
  /** Runs a copy of it with an npm and a node that do as told. */
  function ci(npmTest: string, node = 'exit 0') {
    mkdirSync(join(folder, '.ci'));
    mkdirSync(join(folder, 'bench'));
    cpSync(join(root, '.ci/run'), join(folder, '.ci/run'));
    write('bench/10-ring.mjs', '');
    writeProgram(
      'bin/npm',
      `case "$1$2" in
         test) ${npmTest} ;;
         runcheck) echo "4 passed, 0 failed" ;;
         pkgget) echo "{}" ;;
         *) exit 0 ;;
       esac`,
    );
    writeProgram('bin/node', node);
    const { status, stdout } = spawnSync('bash', [join(folder, '.ci/run')], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}` },
    });
    return { status, last: stdout.trimEnd().split('\n').at(-1) };
  }

  // Smoke runs: doctor, two demos, one bench, the package.
  test('adds up what passed', () => {
    expect(ci('echo "10 passed, 0 failed"')).toEqual({ status: 0, last: '19 passed, 0 failed' });
  });
  test('a failed test fails it', () => {
    expect(ci('echo "8 passed, 2 failed"; echo "npm error"; exit 1')).toEqual({
      status: 1,
      last: '17 passed, 2 failed',
    });
  });
  test('a step that died without counts is a failure', () => {
    expect(ci('exit 3')).toEqual({ status: 1, last: '9 passed, 1 failed' });
  });
  test('tests of which none ran are a failure', () => {
    expect(ci('echo "0 passed, 0 failed"')).toEqual({ status: 1, last: '9 passed, 1 failed' });
  });
  test('a failing smoke run is a failure', () => {
    const node = 'case "$*" in *posix*) echo broken; exit 1 ;; esac';
    expect(ci('echo "10 passed, 0 failed"', node)).toEqual({ status: 1, last: '18 passed, 1 failed' });
  });
});
