import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { jobs, readText, root, shells, workflows } from './support/workflows.js';

const manifest = JSON.parse(readText('package.json'));
const installed = { ...manifest.dependencies, ...manifest.devDependencies } as Record<string, string>;

describe('workflows', () => {
  it.each(workflows)('$file may read and no more, takes turns, and stops at a failing pipe', (workflow) => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(workflow.concurrency).toMatchObject({ group: expect.any(String) });
    expect(workflow.defaults).toEqual({ run: { shell: 'bash' } });
    expect(workflow.text).toMatch(/^# \w/);
  });

  it('run no code of strangers with rights, and know no secrets', () => {
    for (const { on, text } of workflows) {
      expect(Object.keys(on)).not.toContain('pull_request_target');
      expect(text).not.toContain('secrets.');
    }
  });

  it('start at night one after another', () => {
    const crons = workflows.flatMap(({ on }) => (on.schedule as { cron: string }[] | undefined) ?? []);
    const times = crons.map(({ cron }) => cron);
    expect(times.length).toBeGreaterThan(3);
    for (const cron of times) expect(cron).toMatch(/^[1-9]\d? \d+ \* \* (\*|\d)$/);
    expect(new Set(times.map((cron) => cron.split(' ').slice(0, 2).join(' '))).size).toBe(times.length);
  });

  it('are all told of in CONTRIBUTING.md', () => {
    const rows = [...readText('CONTRIBUTING.md').matchAll(/^\| `([\w-]+\.yml)` \|/gm)].map(
      ([, file]) => file,
    );
    expect(rows.toSorted()).toEqual(workflows.map(({ file }) => file).toSorted());
  });
});

describe('jobs', () => {
  it('end by themselves', () => {
    for (const { name, job } of jobs.filter(({ job }) => job.uses === undefined)) {
      expect(job['timeout-minutes'], name).toBeLessThan(360);
    }
  });

  it('that may write are those that publish', () => {
    const more = jobs.filter(({ job }) => job.permissions !== undefined);
    expect(Object.fromEntries(more.map(({ name, job }) => [name, job.permissions]))).toEqual({
      'release.yml publish': { contents: 'read', 'id-token': 'write' },
      'release.yml announce': { contents: 'write' },
      'release.yml deploy-pages': { pages: 'write', 'id-token': 'write' },
    });
    const publish = jobs.find(({ name }) => name === 'release.yml publish');
    expect(publish?.job.environment).toBe('npm');
    // What may sign runs nothing that came with the project or its dependencies.
    expect(publish?.steps.map(({ uses }) => uses?.split('@')[0])).not.toContain('actions/checkout');
  });

  it('take actions of the platform alone, each in one version', () => {
    const uses = workflows.flatMap(({ text }) => [...text.matchAll(/^\s*(?:- )?uses: (.*)$/gm)]);
    const actions = uses.map(([, action]) => action).filter((action) => !action.startsWith('./'));
    expect(actions.length).toBeGreaterThan(20);
    // A major version, or a commit with the version that it is, as Dependabot keeps them.
    for (const action of actions)
      expect(action).toMatch(/^actions\/[\w-]+@(v\d+|[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
    const names = [...new Set(actions)].map((action) => action.split('@')[0]);
    expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
  });

  it('leave no token behind in the checkout', () => {
    for (const { name, steps } of jobs) {
      for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) {
        expect(step.with, name).toMatchObject({ 'persist-credentials': false });
      }
    }
  });

  it('keep their artifacts apart', () => {
    for (const { jobs: all, file } of workflows) {
      const names = Object.values(all).flatMap(({ steps = [] }) =>
        steps.flatMap((step) => (step.uses?.startsWith('actions/upload-artifact@') ? [step.with?.name] : [])),
      );
      expect(new Set(names).size, file).toBe(names.length);
      expect(names, file).not.toContain(undefined);
    }
  });

  it('run on the machines of a list', () => {
    const known = ['ubuntu-22.04', 'ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15'];
    for (const { name, job } of jobs.filter(({ job }) => job.uses === undefined)) {
      const on = job['runs-on']?.includes('matrix.os') ? job.strategy?.matrix.os : [job['runs-on']];
      for (const label of on ?? ['none']) expect(known, name).toContain(label);
    }
  });

  it('try the oldest Node that package.json allows, and every one of the matrix', () => {
    const supported = [20, 22, 24, 26];
    expect(manifest.engines.node).toMatch(new RegExp(`^>=${supported[0]}\\.`));
    const matrixOf = (id: string) => jobs.find(({ name }) => name === id)?.job.strategy?.matrix;
    expect(matrixOf('matrix.yml linux')?.node).toEqual(supported);
    expect(matrixOf('matrix.yml alpine')?.node).toEqual(supported);
    expect(matrixOf('release.yml machines')?.node).toEqual(supported);
    for (const version of supported)
      expect(matrixOf('release.yml containers')?.image).toContain(`${version}-alpine`);
    const single = jobs.flatMap(({ steps }) => steps.flatMap((step) => step.with?.['node-version'] ?? []));
    for (const version of single.filter((each) => typeof each === 'number'))
      expect(supported).toContain(version);
  });
});

describe('the check that pull requests need', () => {
  it('runs for all of them, as one that is skipped counts as passed', () => {
    const ci = workflows.find(({ file }) => file === 'ci.yml');
    // No branches, no paths.
    expect(ci?.on).toHaveProperty('pull_request', null);
    for (const { name, job } of jobs.filter(({ file }) => file === 'ci.yml'))
      expect(job.if, name).toBeUndefined();
  });
});

describe('a release', () => {
  const release = workflows.find(({ file }) => file === 'release.yml');
  const all = release?.jobs ?? {};
  const withTarball = ['package', 'binaries', 'emulated', 'machines', 'containers'];

  it('waits for everything else, the matrix and the sanitizers among it', () => {
    const before = Object.keys(all).filter((id) => !/^(publish|announce|deploy-pages|agree)$/.test(id));
    expect(before).toEqual(expect.arrayContaining(['ci', 'matrix', 'sanitizers']));
    expect([...(all.publish?.needs ?? [])].toSorted()).toEqual(before.toSorted());
    for (const id of before) expect(all[id]?.needs, id).toBe(withTarball.includes(id) ? 'pack' : 'agree');
  });

  it('calls workflows that can be called, and that a push to main does not cancel', () => {
    const called = Object.values(all).flatMap(({ uses }) => uses ?? []);
    expect(called.length).toBe(3);
    for (const path of called) {
      const [workflow] = workflows.filter(({ file }) => path === `./.github/workflows/${file}`);
      expect(Object.keys(workflow.on), path).toContain('workflow_call');
      const { group } = workflow.concurrency as { group: string };
      expect(group, path).toContain('github.workflow }}');
    }
  });

  it('hands its tarball on before anything that is not pinned runs', () => {
    const { steps = [] } = all.pack ?? {};
    const commands = steps.map(({ run }) => run ?? '').join('\n');
    expect(commands).not.toMatch(/test:package|--try|npx |npm (install|i|test)\b/);
    expect(steps.at(-1)?.uses).toMatch(/^actions\/upload-artifact@/);
  });

  it('runs the tests with the binaries that ship, on both architectures and both C libraries', () => {
    const { env, strategy, steps = [] } = all.binaries ?? {};
    expect(env).toEqual({ PREBUILDS_ONLY: '1' });
    expect(strategy?.matrix.os).toEqual(['ubuntu-24.04', 'ubuntu-24.04-arm']);
    const commands = steps.map(({ run }) => run ?? '').join('\n');
    expect(commands).toContain('-e PREBUILDS_ONLY');
    expect(commands).toMatch(/npm test -- .*test\/50- test\/60- test\/70- test\/80-/);
  });

  it('leaves the pages alone when it is one before a version', () => {
    expect(all['deploy-pages']?.if).toBe("vars.PAGES == 'true' && !contains(github.ref_name, '-')");
  });
});

describe('shell', () => {
  it('is well formed', () => {
    const known = new Map(shells.map((each) => [each.run, each.name]));
    for (const [input, name] of known) {
      const shell = /^\.ci\/(alpine|try-package)$/.test(name) ? 'sh' : 'bash';
      const { status, stderr } = spawnSync(shell, ['-n'], { input, encoding: 'utf8' });
      expect({ status, stderr }, name).toEqual({ status: 0, stderr: '' });
    }
  });

  it('takes what others write from the environment alone', () => {
    for (const { name, run } of shells) expect(run, name).not.toContain('${{');
  });
});

/** Lines that call something: of every shell, and of CONTRIBUTING.md and SECURITY.md between backquotes. */
const lines = [
  ...shells.flatMap(({ run }) => run.replaceAll('\\\n', ' ').split('\n')),
  ...[
    'CONTRIBUTING.md',
    'SECURITY.md',
    '.github/PULL_REQUEST_TEMPLATE.md',
    '.github/ISSUE_TEMPLATE/bug.yml',
  ].flatMap((path) => [...readText(path).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code)),
].filter((line) => !line.trimStart().startsWith('#'));

const calls = (pattern: RegExp) => lines.flatMap((line) => [...line.matchAll(pattern)]);
const flagsOf = (text: string) => [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, flag]) => flag);

describe('what is called', () => {
  it('is a script of package.json, with options that it knows', () => {
    const found = calls(/npm run ([\w:-]+)(?: -- ([^|;&)]*))?/g);
    expect(found.length).toBeGreaterThan(20);
    for (const [text, script, args = ''] of found) {
      expect(manifest.scripts, text).toHaveProperty([script]);
      const [file] = /scripts\/[\w-]+\.mjs|bench\/[\w-]+\.mjs/.exec(manifest.scripts[script]) ?? [];
      for (const flag of flagsOf(args)) {
        if (file === undefined) expect.fail(`${text}: ${script} calls no script of ours`);
        expect(readText(file), text).toMatch(new RegExp(`['\\s-]${flag}\\b`));
      }
    }
  });

  it('is a file that there is', () => {
    const found = calls(/(?:node|bash|sh) (?:\/source\/)?((?:scripts|bench|\.ci)\/[\w.-]+)/g);
    expect(found.length).toBeGreaterThan(10);
    for (const [text, path] of found.filter(([, path]) => path !== 'bench/NAME.mjs')) {
      expect(existsSync(join(root, path)), text).toBe(true);
    }
  });

  it('is a command of ackgate, with options that it knows', () => {
    const help = new Map<string, string>();
    const helpOf = (words: string[]) => {
      const key = words.join(' ');
      const args = [join(root, 'dist/cli/main.js'), ...words, '--help'];
      if (!help.has(key)) help.set(key, spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout);
      return help.get(key) ?? '';
    };
    const found = calls(/(?:node dist\/cli\/main\.js|npx ackgate)((?: (?:"[^"]*"|[\w./:=$%-]+))*)/g);
    expect(found.length).toBeGreaterThan(10);
    for (const [text, rest] of found) {
      const words = rest.trim().split(/\s+/);
      const path: string[] = [];
      for (const word of words) {
        if (!/^[a-z]+$/.test(word) || !new RegExp(`^  ${word} `, 'm').test(helpOf(path))) break;
        path.push(word);
      }
      expect(path.length > 0 || words[0] === '--version', text).toBe(true);
      for (const flag of flagsOf(rest)) expect(helpOf(path), text).toMatch(new RegExp(`--${flag}\\b`));
    }
  });
});

describe('what is asked of others', () => {
  it.each(['bug.yml', 'feature.yml'])('%s asks for what is needed, once', (file) => {
    const form = parse(readText(`.github/ISSUE_TEMPLATE/${file}`));
    expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
    const asked = form.body.filter(({ type }: { type: string }) => type !== 'markdown') as { id: string }[];
    const ids = asked.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).not.toContain(undefined);
  });

  it('includes what a defect can be found by', () => {
    const text = readText('.github/ISSUE_TEMPLATE/bug.yml');
    for (const word of [
      'npx ackgate doctor --json',
      'npx ackgate --version',
      'ackgate sim --seed',
      'report.md',
    ]) {
      expect(text).toContain(word);
    }
  });
});

describe('dependencies that are held back', () => {
  const dependabot = parse(readText('.github/dependabot.yml'));
  const { ignore } = dependabot.updates[0] as {
    ignore: { 'dependency-name': string; versions: [string] }[];
  };

  it.each(ignore)('$dependency-name is one of ours, and below what is refused', (held) => {
    const bound = Number(/^>=(\d+)$/.exec(held.versions[0])?.[1]);
    expect(Number(installed[held['dependency-name']]?.split('.')[0])).toBe(bound - 1);
  });

  it('are looked at for npm and for actions', () => {
    const of = dependabot.updates.map((update: Record<string, string>) => update['package-ecosystem']);
    expect(of).toEqual(['npm', 'github-actions']);
  });
});

describe('CONTRIBUTING.md', () => {
  it('has a row for every number of a test', () => {
    const files = spawnSync('git', ['ls-files', '-co', '--exclude-standard', 'test/*.test.ts'], {
      cwd: root,
      encoding: 'utf8',
    }).stdout;
    const numbers = new Set([...files.matchAll(/^test\/(\d\d)-/gm)].map(([, number]) => number));
    expect(numbers.size).toBeGreaterThan(30);
    const rows = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
      .split('\n')
      .flatMap((line) => /^\| (\d\d(?:, \d\d)*) \|/.exec(line)?.[1].split(', ') ?? []);
    expect([...numbers].filter((number) => !rows.includes(number))).toEqual([]);
    expect(new Set(rows).size).toBe(rows.length);
  });
});
