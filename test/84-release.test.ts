import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addCommands } from '#ackgate/cli/commands.js';
import { changelogProblems, releaseNotes, releaseProblems } from '../scripts/support/release.mjs';

const root = join(import.meta.dirname, '..');
const readText = (path: string) => readFileSync(join(root, path), 'utf8');

const changelog = `# Changelog

Words before the first version.

## [1.3.0] - 2026-03-01

### Added

- A thing.

### Fixed

- Another.

## [1.2.3-rc.1] - 2026-01-31

### Removed

- The third.
`;
const program = new Command();
addCommands(program);
const commands = program.commands.flatMap((each) => [
  each.name(),
  ...each.commands.map((sub) => `${each.name()} ${sub.name()}`),
]);

const agreed = {
  tag: 'v1.3.0',
  manifest: { name: 'x', version: '1.3.0' },
  lock: { version: '1.3.0', packages: { '': { version: '1.3.0' } } },
  changelog,
};

describe('what has to agree before a release', () => {
  it('does so', () => {
    expect(releaseProblems(agreed)).toEqual([]);
  });

  it.each([
    ['a tag of another version', { tag: 'v1.3.1' }, 'the tag is v1.3.1, package.json says 1.3.0'],
    ['a tag without its v', { tag: '1.3.0' }, 'v1.3.0 was due'],
    [
      'a lock that was forgotten',
      { lock: { version: '1.3.0', packages: { '': { version: '1.2.0' } } } },
      'package-lock.json says 1.2.0',
    ],
    [
      'a changelog without the version',
      { changelog: changelog.replaceAll('1.3.0', '1.2.9') },
      'has no "## [1.3.0] - YYYY-MM-DD"',
    ],
    [
      'a changelog that calls it unreleased',
      { changelog: changelog.replace('2026-03-01', 'unreleased') },
      'says that 1.3.0 is unreleased',
    ],
    [
      'a changelog with a newer version',
      {
        changelog: changelog.replace(
          '## [1.3.0]',
          '## [1.4.0] - 2026-04-01\n\n### Fixed\n\n- It.\n\n## [1.3.0]',
        ),
      },
      '1.3.0 is not the newest',
    ],
    ['a private package', { manifest: { ...agreed.manifest, private: true } }, '"private"'],
  ])('%s is a problem, and the only one', (_, change, problem) => {
    expect(releaseProblems({ ...agreed, ...change })).toEqual([expect.stringContaining(problem)]);
  });
});

describe('the notes of a release', () => {
  it('are what stands below its version', () => {
    expect(releaseNotes(changelog, '1.3.0')).toBe('### Added\n\n- A thing.\n\n### Fixed\n\n- Another.');
    expect(releaseNotes(changelog, '1.2.3-rc.1')).toBe('### Removed\n\n- The third.');
    expect(releaseNotes(changelog, '1.2.3')).toBeNull();
  });
});

describe('the style of a changelog', () => {
  it('is that of CHANGELOG.md', () => {
    expect(changelogProblems(readText('CHANGELOG.md'))).toEqual([]);
  });

  it('has the version of package.json on top', () => {
    const { version } = JSON.parse(readText('package.json'));
    expect(/^## \[(.+?)\]/m.exec(readText('CHANGELOG.md'))?.[1]).toBe(version);
  });

  it('names what there is', () => {
    const { exports, scripts } = JSON.parse(readText('package.json'));
    const names = [...readText('CHANGELOG.md').matchAll(/`(ackgate\/|ackgate |npm run )([\w /:-]+)`/g)];
    expect(names.length).toBeGreaterThan(15);
    for (const [text, kind, name] of names) {
      if (kind === 'npm run ') expect(scripts, text).toHaveProperty([name]);
      else if (kind === 'ackgate/') expect(exports, text).toHaveProperty([`./${name}`]);
      else expect(commands, text).toContain(name);
    }
  });

  it.each([
    ['another date', changelog.replace('2026-03-01', '1 March 2026'), '"## [1.3.0] - 1 March 2026" is not'],
    ['a category of its own', changelog.replace('### Added', '### News'), '"News" is none of Added'],
    ['categories in disorder', changelog.replace('### Added', '### Security'), '"Fixed" is out of order'],
    ['a category without entries', changelog.replace('- A thing.\n', ''), '1.3.0: "Added" has no entries'],
    ['entries below no category', changelog.replace('### Removed', ''), '1.2.3-rc.1 has no ### heading'],
    ['an older version unreleased', changelog.replace('2026-01-31', 'unreleased'), 'below a newer version'],
    ['no version', '# Changelog\n', 'it has no version'],
  ])('%s is a problem', (_, text, problem) => {
    expect(changelogProblems(text)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('scripts/release-check.mjs', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ackgate-release-'));
    mkdirSync(join(folder, 'scripts/support'), { recursive: true });
    for (const path of ['release-check.mjs', 'support/release.mjs', 'support/run.mjs']) {
      cpSync(join(root, 'scripts', path), join(folder, 'scripts', path));
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(agreed.manifest));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(agreed.lock));
    writeFileSync(join(folder, 'CHANGELOG.md'), changelog);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const check = (...args: string[]) =>
    spawnSync(process.execPath, [join(folder, 'scripts/release-check.mjs'), ...args], { encoding: 'utf8' });

  it('writes the notes of a version that can be published', () => {
    const notes = join(folder, 'notes.md');
    expect(check('v1.3.0', '--notes', notes)).toMatchObject({
      status: 0,
      stdout: 'x 1.3.0 can be published\n',
    });
    expect(readFileSync(notes, 'utf8')).toBe('### Added\n\n- A thing.\n\n### Fixed\n\n- Another.\n');
  });

  it('names the problem of one that can not, and writes nothing', () => {
    const notes = join(folder, 'notes.md');
    expect(check('v1.4.0', '--notes', notes)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('the tag is v1.4.0'),
    });
    expect(existsSync(notes)).toBe(false);
  });

  it.each([[[]], [['v1.3.0', 'v1.4.0']], [['v1.3.0', '--note', 'x']]])('refuses %j', (args) => {
    expect(check(...args).status).toBe(2);
  });
});
