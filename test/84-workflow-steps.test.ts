// Steps of the workflows, run as a hosted job runs them, with what they call outside of the project replaced.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobs, root, shellOf } from './support/workflows.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ackgate-steps-'));
  mkdirSync(join(folder, 'bin'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const pathOf = (name: string) => join(folder, name);
const readBack = (name: string) => readFileSync(pathOf(name), 'utf8');

/** A program of that name that does what the shell says. */
function program(name: string, shell: string): void {
  writeFileSync(pathOf(`bin/${name}`), `#!/bin/sh\n${shell}\n`);
  chmodSync(pathOf(`bin/${name}`), 0o755);
}

/** Runs a shell in the folder, with the options that GitHub gives to bash. */
function runShell(shell: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['--noprofile', '--norc', '-eo', 'pipefail', '-c', shell],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${pathOf('bin')}:${process.env.PATH}`, ...env },
    },
  );
  return { status, stdout, stderr };
}

describe('.ci/recorded', () => {
  const recorded = (command: string) =>
    runShell(`bash ${join(root, '.ci/recorded')} night ${command}`, {
      GITHUB_STEP_SUMMARY: pathOf('summary'),
    });

  it('says how to repeat it, keeps what was printed, and ends as the command did', () => {
    const { status, stdout } = recorded(`sh -c 'echo "seed 7 failed"; echo "at 3" >&2; exit 5'`);
    expect(status).toBe(5);
    const said = stdout.trimEnd().split('\n');
    expect(said[0]).toBe(
      String.raw`to repeat: sh -c echo\ \"seed\ 7\ failed\"\;\ echo\ \"at\ 3\"\ \>\&2\;\ exit\ 5 `,
    );
    expect(said.slice(1).toSorted()).toEqual(['at 3', 'seed 7 failed']);
    expect(readBack('recorded/night.log')).toBe(stdout);
    const summary = readBack('summary');
    expect(summary).toMatch(/^### night: exit code 5\n\n {4}to repeat: sh -c/);
    expect(summary).toContain('    seed 7 failed\n');
  });

  it('shows the end of much', () => {
    expect(recorded('seq 1000').status).toBe(0);
    const lines = readBack('summary').trimEnd().split('\n');
    expect(lines[0]).toBe('### night: exit code 0');
    expect(lines.at(-1)).toBe('    1000');
    expect(lines.length).toBeLessThan(70);
    expect(readBack('recorded/night.log')).toContain('\n500\n');
  });

  it('needs no hosted job', () => {
    const { status } = runShell(`unset GITHUB_STEP_SUMMARY; bash ${join(root, '.ci/recorded')} x true`);
    expect(status).toBe(0);
  });
});

describe('the seed of a night', () => {
  const draw = (seed: string) => {
    const result = runShell(shellOf('sim-nightly.yml', 'seed', 'Draw'), {
      SEED: seed,
      GITHUB_OUTPUT: pathOf('output'),
    });
    expect(result.status).toBe(0);
    const output = readBack('output');
    rmSync(pathOf('output'));
    const drawn = /^seed=(\d+)\n$/.exec(output)?.[1];
    expect(result.stdout).toContain(`with the seed ${drawn}\n`);
    return Number(drawn);
  };

  it('is another one each time, or the one that was asked for', () => {
    const drawn = [draw(''), draw(''), draw('')];
    for (const seed of drawn) expect(seed).toBeLessThan(2 ** 32);
    expect(new Set(drawn).size).toBe(3);
    expect(draw('4711')).toBe(4711);
  });

  it.each(['worlds', 'supervisor'])('may be the largest for the %s', (job) => {
    const name = job === 'worlds' ? 'Worlds' : 'Supervisor';
    const shell = shellOf('sim-nightly.yml', job, name)
      .replace('bash .ci/recorded', `bash ${join(root, '.ci/recorded')}`)
      .replace('dist/cli/main.js', join(root, 'dist/cli/main.js'))
      .replace(/--seeds \d+|--minutes "\$MINUTES"/, '--seeds 2');
    expect(shell).toContain('--seeds 2');
    const { status, stdout } = runShell(shell, { SEED: String(2 ** 32 - 1) });
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('4294967295') });
  });

  it.each([
    ['sanitizers.yml', 'cpp', 'C++ tests', /env ACKGATE_SEED=(\d+) ACKGATE_RUNS=\d+ npm run test:native/],
    ['faults-nightly.yml', 'engines', 'Faults', /npm run faults -- --engine nats --seed (\d+)/],
    ['faults-nightly.yml', 'kill', 'Kills', /npm run test:kill -- --kills \d+ --seed (\d+)/],
  ])('of %s %s is in the command that is printed', (file, job, step, command) => {
    program('npm', 'exit 0');
    const shell = shellOf(file, job, step).replace('.ci/recorded', join(root, '.ci/recorded'));
    const seeds = ['', '', '99'].map((seed) => {
      const { status, stdout } = runShell(shell, { SEED: seed, ENGINE: 'nats' });
      expect(status).toBe(0);
      return command.exec(stdout)?.[1];
    });
    expect(seeds[2]).toBe('99');
    expect(seeds[0]).toMatch(/^\d+$/);
    expect(seeds[0]).not.toBe(seeds[1]);
  });
});

describe('the release', () => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const packed = () => {
    mkdirSync(pathOf('out'));
    writeFileSync(pathOf('out/ackgate-1.2.3.tgz'), 'a tarball');
  };

  it('names the repository in the package, as provenance demands', () => {
    cpSync(join(root, 'package.json'), pathOf('package.json'));
    const shell = shellOf('release.yml', 'pack', 'Name the repository');
    const env = { GITHUB_SERVER_URL: 'https://host.test', GITHUB_REPOSITORY: 'owner/name' };
    expect(runShell(shell, env).status).toBe(0);
    const before = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const repository = { type: 'git', url: 'git+https://host.test/owner/name.git' };
    expect(JSON.parse(readBack('package.json'))).toEqual({ ...before, repository });
  });

  it('does so before set-up, since what is compiled is stale once package.json is another', () => {
    const pack = jobs.find(({ name }) => name === 'release.yml pack')!;
    const steps = pack.steps.map(({ name, run }) => name ?? run);
    expect(steps).toContain('npm run setup');
    expect(steps.indexOf('Name the repository')).toBeGreaterThanOrEqual(0);
    expect(steps.indexOf('Name the repository')).toBeLessThan(steps.indexOf('npm run setup'));
  });

  it.each([
    ['v1.2.3 on main', 'main', 0],
    ['v1.2.3 beside main', 'beside', 1],
  ])('of %s', (_, branch, status) => {
    const git = (...args: string[]) => {
      const options = ['-c', 'user.name=x', '-c', 'user.email=x@x', '-c', 'commit.gpgsign=false'];
      return execFileSync('git', [...options, ...args], { cwd: folder, encoding: 'utf8' }).trim();
    };
    git('init', '--quiet', '--initial-branch', 'main');
    git('commit', '--quiet', '--allow-empty', '-m', 'first');
    git('branch', 'beside');
    const tagged = git('commit-tree', 'HEAD^{tree}', '-p', 'HEAD', '-m', 'tagged');
    git('update-ref', `refs/heads/${branch}`, tagged);
    git('update-ref', 'refs/remotes/origin/main', 'main');
    const shell = shellOf('release.yml', 'agree', 'The tag is on main');
    const result = runShell(shell, { GITHUB_SHA: tagged, GITHUB_REF_NAME: 'v1.2.3' });
    expect(result.status).toBe(status);
    if (status !== 0) expect(result.stdout).toContain('::error::v1.2.3 is not on main');
  });

  it.each([
    ['npm has', 'exit 0', 0],
    ['npm does not have yet', 'exit 1', 1],
  ])('of a package that %s', (_, npm, status) => {
    writeFileSync(pathOf('package.json'), '{"name":"ackgate"}');
    program('npm', `[ "$*" = "view ackgate name" ] || exit 9; ${npm}`);
    expect(runShell(shellOf('release.yml', 'agree', 'The package is on npm')).status).toBe(status);
  });

  it.each([
    ['the commit that was noted', 'tag', 'c0ffee', 0],
    ['another commit', 'tag', 'beef', 1],
    ['another commit, in a rehearsal', 'branch', 'beef', 1],
    ['a commit that nobody noted', 'tag', '', 1],
    ['a commit that nobody noted, in a rehearsal', 'branch', '', 0],
  ])('builds with a liburing of %s', (_, kind, noted, status) => {
    program('git', '[ "$*" = "-C build/liburing rev-parse HEAD" ] || exit 9; echo c0ffee');
    const env = { GITHUB_REF_TYPE: kind, LIBURING_COMMIT: noted };
    const result = runShell(shellOf('release.yml', 'pack', 'The commit of liburing'), env);
    expect(result).toMatchObject({ status, stdout: expect.stringContaining('points to c0ffee\n') });
  });

  it('hands on what the tarball hashes to', () => {
    program('npm', `[ "$*" = "pack --pack-destination out" ] && printf 'a tarball' > out/ackgate-1.2.3.tgz`);
    program('node', '[ "$*" = "scripts/prepack.mjs --release" ]');
    const env = { GITHUB_OUTPUT: pathOf('output') };
    expect(runShell(shellOf('release.yml', 'pack', 'Pack'), env).status).toBe(0);
    expect(readBack('output')).toBe(`sha256=${sha256('a tarball')}\n`);
  });

  it('packs nothing that is not ready', () => {
    program('npm', 'echo "npm $*"');
    program('node', 'exit 1');
    const env = { GITHUB_OUTPUT: pathOf('output') };
    expect(runShell(shellOf('release.yml', 'pack', 'Pack'), env)).toMatchObject({ status: 1, stdout: '' });
  });

  it('tests the binary of the tarball, and no other', () => {
    const binary = `prebuilds/linux-${process.arch}/ackgate.node`;
    for (const [place, path] of [
      ['packed/package', binary],
      ['.', 'build/Release/ackgate.node'],
    ]) {
      mkdirSync(join(folder, place, path, '..'), { recursive: true });
      writeFileSync(join(folder, place, path), '');
    }
    mkdirSync(pathOf('out'));
    execFileSync('tar', ['-czf', '../out/ackgate-1.2.3.tgz', 'package'], { cwd: pathOf('packed') });
    symlinkSync(join(root, 'node_modules'), pathOf('node_modules'));
    expect(runShell(shellOf('release.yml', 'binaries', 'Take them out of the tarball')).status).toBe(0);
    const loaded = shellOf('release.yml', 'binaries', 'The binary that is loaded');
    const { status, stdout } = runShell(loaded, { PREBUILDS_ONLY: '1' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(binary) });
    expect(runShell(loaded, { PREBUILDS_ONLY: '' }).status).not.toBe(0);
  });

  it('publishes no other tarball than the one that was tested', () => {
    packed();
    const shell = shellOf('release.yml', 'publish', 'The tarball that was tested');
    expect(runShell(shell, { SHA256: sha256('a tarball') }).status).toBe(0);
    expect(runShell(shell, { SHA256: sha256('another') }).status).not.toBe(0);
    expect(runShell(shell, { SHA256: '' }).status).not.toBe(0);
  });

  it.each([
    ['v1.2.3', 'latest'],
    ['v1.2.3-rc.1', 'next'],
  ])('publishes %s as %s', (tag, distTag) => {
    packed();
    program('npm', 'echo "npm $*"');
    const shell = shellOf('release.yml', 'publish', 'Publish');
    const { status, stdout } = runShell(shell, { GITHUB_REF_NAME: tag });
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `npm publish ./out/ackgate-1.2.3.tgz --provenance --access public --tag ${distTag}\n`,
    });
  });

  it.each([
    ['v1.2.3', ''],
    ['v1.2.3-rc.1', '--prerelease '],
  ])('announces %s with its notes', (tag, flag) => {
    packed();
    program('gh', 'echo "gh $*"');
    const shell = shellOf('release.yml', 'announce', 'Release');
    const { status, stdout } = runShell(shell, { GITHUB_REF_NAME: tag, GITHUB_REPOSITORY: 'owner/name' });
    const options = `--repo owner/name --verify-tag --title ${tag} --notes-file out/notes.md`;
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `gh release create ${tag} ${options} ${flag}out/ackgate-1.2.3.tgz\n`,
    });
  });
});

describe('the backend that is expected', () => {
  it('is compared with what doctor says', () => {
    const shell = shellOf('matrix.yml', 'linux', 'The backend that is expected here');
    program('node', `[ "$3" = --json ] && echo '{"backend":"uring"}'; exit 0`);
    program('jq', `sed 's/.*:"//; s/".*//'`);
    expect(runShell(shell, { BACKEND: 'uring' }).status).toBe(0);
    expect(runShell(shell, { BACKEND: 'posix' }).status).toBe(1);
  });
});
