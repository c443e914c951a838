import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { matchesGlob } from '../scripts/support/package/glob.mjs';
import { binaryProblem } from '../scripts/support/package/ready.mjs';
import { Results } from '../scripts/support/package/results.mjs';
import {
  binaries,
  budget,
  declarationProblems,
  fileProblems,
  folderProblems,
  importProblems,
  manifestProblems,
  mapProblems,
  sizeProblems,
  sourceProblems,
} from '../scripts/support/package/rules.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What `npm pack` would put into a tarball now. The script that refuses a stale tree is left out: others test that. */
function packedNow() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const [list] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', timeout: 60_000 }));
  return list as { size: number; unpackedSize: number; files: { path: string }[] };
}

describe('the package as it is', () => {
  const list = packedNow();
  const paths = list.files.map(({ path }) => path);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const read = (path: string) => readFileSync(join(root, path), 'utf8');

  test('has the files that it should have, and no others', () => expect(fileProblems(paths, [])).toEqual([]));
  test('is within its budget', () => expect(sizeProblems(list)).toEqual([]));
  test('runs nothing at installation, and names packed files', () => {
    expect(manifestProblems(manifest, paths)).toEqual([]);
  });
  test('has all that its modules and declarations name', () => {
    expect(importProblems(paths, read)).toEqual([]);
    expect(declarationProblems(manifest, paths, read)).toEqual([]);
    expect(sourceProblems(read('native/binding.gyp'), paths)).toEqual([]);
  });

  test('would not do without any one of the files that it must have', () => {
    for (const path of [
      'LICENSE',
      'dist/stage/worker.js',
      'dist/vendor/LICENSES.txt',
      'native/binding.gyp',
    ]) {
      const without = paths.filter((one) => one !== path);
      expect(fileProblems(without, [])).toEqual([`${path} is not in the package`]);
    }
    const withoutWriter = paths.filter((path) => path !== 'dist/journal/start.js');
    expect(importProblems(withoutWriter, read).join()).toMatch('needs dist/journal/start.js');
    const withoutTypes = paths.filter((path) => path !== 'dist/stage/api.d.ts');
    expect(declarationProblems(manifest, withoutTypes, read).join()).toMatch('needs dist/stage/api.d.ts');
  });
});

describe('rules for files', () => {
  const whole = [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'native/binding.gyp', 'native/liburing.mjs'],
    ...['dist/cli/main.js', 'dist/stage/worker.js', 'dist/journal/writer.js', 'dist/demo/index.js'],
    ...['dist/admin/page.html', 'dist/vendor/echarts.mjs', 'dist/vendor/LICENSES.txt'],
    ...['native/addon.cc', 'dashboards/ackgate.json'],
  ];
  test('a list that has all is fine', () => expect(fileProblems(whole, [])).toEqual([]));
  test.each([
    'test/fixtures/x.mjs',
    'test/20-policy.test.ts',
    'bench/20-micro.mjs',
    'src/index.ts',
    'dist/index.js.map',
    'node_modules/x/index.d.ts',
    'native/test/x.cc',
    'docs/benchmarks/cpu.json',
    'docs/api/index.api.md',
    'build/Release/ackgate.node',
    'prebuilds/darwin-x64/ackgate.node',
    '.npmrc',
  ])('%s is let in by no rule', (path) => {
    expect(fileProblems([...whole, path], [])).toEqual([`${path} is in the package, and no rule lets it in`]);
  });
  test.each(['dist/request-reply/server.js', 'dist/journal/x.test.js'])('%s is kept out', (path) => {
    expect(fileProblems([...whole, path], [])).toEqual([`${path} must not be in the package`]);
  });
  test('a release has the binaries of all targets', () => {
    const names = Object.keys(binaries);
    expect(names).toHaveLength(4);
    const has = [...whole, ...Object.values(binaries)];
    expect(fileProblems(has, names)).toEqual([]);
    expect(fileProblems(has.slice(0, -1), names)).toEqual([`${has.at(-1)} is not in the package`]);
  });
  test('globs', () => {
    expect(matchesGlob('dist/a/b.d.ts', 'dist/**/*.d.ts')).toBe(true);
    expect(matchesGlob('dist/b.d.ts', 'dist/**/*.d.ts')).toBe(true);
    expect(matchesGlob('dist/b.dots', 'dist/**/*.d.ts')).toBe(false);
    expect(matchesGlob('docs/a/b.md', 'docs/*.md')).toBe(false);
    expect(matchesGlob('x/dist/b.js', 'dist/**/*.js')).toBe(false);
    expect(matchesGlob('a/b.cc', 'a/*.{cc,h}')).toBe(true);
    expect(matchesGlob('a/b.c', 'a/*.{cc,h}')).toBe(false);
  });
});

describe('rules for sizes', () => {
  const files = [{ path: 'package.json' }];
  const most = { size: budget.packed.base, unpackedSize: budget.unpacked.base, files };
  test('what the budget allows is fine, a byte more is not', () => {
    expect(sizeProblems(most)).toEqual([]);
    expect(sizeProblems({ ...most, size: most.size + 1 })).toEqual([
      expect.stringMatching(/^packed: .* over/),
    ]);
    const unpackedSize = most.unpackedSize + 1;
    expect(sizeProblems({ ...most, unpackedSize })).toEqual([expect.stringMatching(/^unpacked: .* over/)]);
  });
  test('each binary adds to it', () => {
    const [path] = Object.values(binaries) as string[];
    const size = budget.packed.base + budget.packed.eachBinary;
    expect(sizeProblems({ ...most, size })).toHaveLength(1);
    expect(sizeProblems({ ...most, size, files: [{ path }] })).toEqual([]);
  });
});

describe('rules for package.json', () => {
  const manifest = { gypfile: false, scripts: { build: 'x', prepack: 'x' }, exports: {}, bin: {} };
  test.each(['preinstall', 'install', 'postinstall', 'prepare'])('%s would run at installation', (name) => {
    const problems = manifestProblems({ ...manifest, scripts: { [name]: 'x' } }, []);
    expect(problems).toEqual([`the script ${name} would run at installation`]);
  });
  test('npm would compile on its own accord without "gypfile": false', () => {
    expect(manifestProblems(manifest, [])).toEqual([]);
    expect(manifestProblems({ ...manifest, gypfile: undefined }, [])).toEqual(['"gypfile" must be false']);
  });
  test('entry points and commands that are not packed', () => {
    const entries = { exports: { '.': { types: './a.d.ts', default: './a.js' } }, bin: { x: './b.js' } };
    expect(manifestProblems({ ...manifest, ...entries }, ['a.js'])).toEqual([
      'package.json names a.d.ts, which is not packed',
      'package.json names b.js, which is not packed',
    ]);
  });
});

describe('rules for content', () => {
  test('a folder of the machine, in a text or a binary', () => {
    const somewhere = '/srv/builds/ackgate';
    expect(folderProblems('a.node', Buffer.from(`\0${somewhere}/x.cc\0`), [somewhere])).toHaveLength(1);
    expect(folderProblems('a.node', Buffer.from('/usr/lib'), [somewhere])).toEqual([]);
  });
  test('a source map that is not packed', () => {
    expect(mapProblems('a.js', 'x;\n//# sourceMappingURL=a.js.map')).toHaveLength(1);
    expect(mapProblems('a.js', 'x;\n')).toEqual([]);
  });
  test('modules that a compiled one imports, re-exports or starts', () => {
    const text = `import { a } from './a.js';\nimport './b.js';\nexport * from '../c.js';\nawait import('./d.js');
      new Worker(new URL('./e.js', import.meta.url));\nimport 'node:fs';\nimport x from 'pino';`;
    const named = ['dist/x/a.js', 'dist/x/b.js', 'dist/c.js', 'dist/x/d.js', 'dist/x/e.js'];
    expect(importProblems(['dist/x/m.js', ...named], (path) => (path.endsWith('m.js') ? text : ''))).toEqual(
      [],
    );
    expect(
      importProblems(['dist/x/m.js'], () => text)
        .map((problem) => problem.split(' ')[2])
        .sort(),
    ).toEqual(named.map((path) => `${path},`).sort());
  });
  test('sources of the addon, and what finds its libraries', () => {
    const gyp = "'sources': ['a.cc'], 'x': '<!(node find.mjs have)'";
    expect(sourceProblems(gyp, ['native/a.cc', 'native/find.mjs'])).toEqual([]);
    expect(sourceProblems(gyp, ['native/find.mjs'])).toEqual([
      'native/binding.gyp needs native/a.cc, which is not packed',
    ]);
  });
  test('declarations count when an entry point leads to them', () => {
    const manifest = { exports: { '.': { types: './dist/i.d.ts' }, './package.json': './package.json' } };
    const text = (path: string) =>
      path === 'dist/i.d.ts' ? "export type { A } from './a.js';" : "import './b.js'";
    expect(declarationProblems(manifest, ['dist/i.d.ts', 'dist/a.d.ts', 'dist/b.d.ts'], text)).toEqual([]);
    expect(declarationProblems(manifest, ['dist/i.d.ts', 'dist/a.d.ts'], text)).toEqual([
      'dist/a.d.ts needs dist/b.d.ts, which is not packed',
    ]);
    expect(declarationProblems(manifest, ['dist/i.d.ts', 'dist/z.d.ts'], text)).toEqual([
      'dist/i.d.ts needs dist/a.d.ts, which is not packed',
    ]);
  });
});

describe('before packing', () => {
  test('a binary that is missing, or older than a source of the addon, is refused', () => {
    const top = mkdtempSync(join(tmpdir(), 'ackgate-prepack-'));
    onTestFinished(() => rmSync(top, { recursive: true }));
    const [[name, path]] = Object.entries(binaries) as [string, string][];
    const put = (file: string, second: number) => {
      mkdirSync(dirname(join(top, file)), { recursive: true });
      writeFileSync(join(top, file), '');
      utimesSync(join(top, file), second, second);
    };
    put('native/binding.gyp', 1);
    put('native/addon.cc', 2);
    expect(binaryProblem(name, top)).toMatch(`${path} is not there, or older`);
    put(path, 3);
    expect(binaryProblem(name, top)).toBeNull();
    put('native/layout.h', 4);
    expect(binaryProblem(name, top)).toMatch(/npm run binaries/);
    rmSync(join(top, 'native/layout.h'));
    put('native/binding.gyp', 4);
    expect(binaryProblem(name, top)).toMatch(/npm run binaries/);
  });
});

describe('the report', () => {
  test('counts what failed, and says why', async () => {
    const said: string[] = [];
    const results = new Results((line: string) => said.push(line));
    await results.check('a program', () => 'a note', { node: '20.0.0', backend: 'uring' });
    await results.check('a program', () => Promise.reject(new Error('broken')), {
      node: '20.0.0',
      backend: 'posix',
    });
    await results.check('a single check', () => undefined);
    expect([results.passed, results.failed]).toEqual([2, 1]);
    expect(said[1]).toMatch(/^failed: Node 20\.0\.0, a program, posix \(\d+ ms\) broken$/);
    expect(results.table()).toEqual([
      expect.stringMatching(/^Node +program +uring +posix$/),
      expect.stringMatching(/^20\.0\.0 +a program +ok \d+ ms +failed$/),
    ]);
  });
});
