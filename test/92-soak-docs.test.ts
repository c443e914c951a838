import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findingIds } from '#ackgate/soak/findings.js';
import { scenarioNames, soakScenario } from '#ackgate/soak/scenarios.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';

const root = join(import.meta.dirname, '..');
const readText = (path: string) => readFileSync(join(root, path), 'utf8');

/** The cells of the table's row that begins with this one. */
function row(markdown: string, first: string): string[] {
  const line = markdown.split('\n').find((text) => text.startsWith(`| ${first} |`));
  if (line === undefined) throw new Error(`there is no row "${first}"`);
  return line
    .split('|')
    .map((cell) => cell.trim())
    .slice(2, -1);
}

describe('docs/SOAK.md', () => {
  const text = readText('docs/SOAK.md');

  it('has a row for each field of a configuration, findings and thresholds', () => {
    const rows = text.split('\n').filter((line) => line.startsWith('| `'));
    const first = rows.map((line) => line.split('|')[1]).join(' ');
    const config = soakScenario('moderate');
    for (const [name, value] of Object.entries(config)) {
      const grouped = name === 'chaos' || name === 'footprint' || name === 'burst';
      const names = grouped ? Object.keys(value).map((key) => `${name}.${key}`) : [name];
      for (const field of names) expect(first).toContain(`\`${field}\``);
    }
    for (const id of findingIds) expect(first).toContain(`\`${id}\``);
    const third = rows.map((line) => line.split('|')[3]).join(' ');
    for (const name of Object.keys(defaultThresholds)) expect(third).toContain(`\`${name}\``);
  });

  it('has the scenarios as they are', () => {
    const all = scenarioNames.map((name) => soakScenario(name));
    const cells = (of: (config: (typeof all)[number]) => string | number) =>
      all.map((config) => String(of(config)));
    expect(row(text, 'requests per second')).toEqual(cells((config) => config.requestsPerSecond));
    expect(row(text, 'clients')).toEqual(cells((config) => config.clients));
    expect(row(text, 'sizes (small, medium, large, huge)')).toEqual(
      cells(({ sizes }) => Object.values(sizes).join(', ')),
    );
    expect(row(text, 'disconnects, for each client and minute')).toEqual(
      cells(({ chaos }) => chaos.disconnectsPerClientMinute),
    );
    expect(row(text, 'slow readers, stuck readers, half-frames a minute')).toEqual(
      cells(({ chaos }) =>
        [chaos.slowReadersPerMinute, chaos.stuckReadersPerMinute, chaos.halfFramesPerMinute].join(', '),
      ),
    );
    expect(row(text, 'a sample every')).toEqual(cells((config) => `${config.sampleSeconds} s`));
    const hours = (seconds: number) => (seconds < 3600 ? `${seconds} s` : `${seconds / 3600} h`);
    expect(row(text, 'duration')).toEqual(cells((config) => hours(config.durationSeconds)));
    expect(row(text, 'warm-up')).toEqual(cells((config) => hours(config.warmupSeconds)));
    const stalls = all.map(({ chaos }) => chaos.server.map(({ everySeconds }) => `${everySeconds} s`).join());
    expect(row(text, 'journal stalls of 300 ms, in the mean every')).toEqual(stalls);
  });

  it('shows the driver of the example', () => {
    const found = /<!-- test: each line is one of (\S+) -->\n```ts\n([\s\S]*?)```/.exec(text);
    if (found === null) throw new Error('there is no code that is marked for this test');
    const lines = readText(found[1])
      .split('\n')
      .map((line) => line.trim());
    for (const line of found[2].split('\n').map((part) => part.trim())) {
      if (line !== '' && line !== '// …') expect(lines).toContain(line);
    }
  });

  it('has an example that is a valid configuration', async () => {
    const { checkSoakConfig } = await import('#ackgate/soak/config-check.js');
    const example = /```json\n([\s\S]*?)```/.exec(text)![1];
    expect(checkSoakConfig(JSON.parse(example))).toMatchObject({
      scenario: 'moderate',
      durationSeconds: 14_400,
    });
  });
});

describe('the nightly workflow', () => {
  const path = '.github/workflows/soak-nightly.yml';
  interface Step {
    readonly name?: string;
    readonly uses?: string;
    readonly run?: string;
    readonly if?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }
  const workflow = parse(readText(path));
  const { soak } = workflow.jobs;
  const steps = soak.steps as Step[];
  const named = (name: string) => steps.find((step) => step.name === name)!;

  it('runs every night, and when it is asked to', () => {
    expect(workflow.on.schedule).toHaveLength(1);
    expect(workflow.on.schedule[0].cron).toMatch(/^\d+ \d+ \* \* \*$/);
    expect(workflow.on.workflow_dispatch.inputs.scenario.options.toSorted()).toEqual(
      [...scenarioNames].sort(),
    );
  });

  it('ends before a hosted job is ended', () => {
    expect(soak['timeout-minutes']).toBeLessThan(360);
    expect(soak.env.DURATION).toContain("'5h'");
  });

  it('may only read, and takes actions by their major version', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/);
  });

  it('prints a fresh seed, takes inputs by the environment alone, and warns when inconclusive', () => {
    const { run } = named('Soak');
    expect(run).toContain('/dev/urandom');
    expect(run).toMatch(/echo ".*--seed \$seed"/);
    expect(run).toMatch(/-eq 3 \]; then\n\s+echo "::warning/);
    expect(run).toContain('exit "$code"');
    for (const step of steps) expect(step.run ?? '').not.toContain('${{');
  });

  it('keeps artifacts and shows the report whatever happened', () => {
    expect(named('Summary')).toMatchObject({
      if: 'always()',
      run: expect.stringContaining('GITHUB_STEP_SUMMARY'),
    });
    const report = named('Report');
    expect(report).toMatchObject({
      if: 'always()',
      uses: expect.stringMatching(/^actions\/upload-artifact@/),
    });
    expect(report.with).toMatchObject({ path: 'soak' });
  });

  it('calls what there is', () => {
    const manifest = JSON.parse(readText('package.json'));
    const scripts = steps.flatMap(({ run }) =>
      [...(run ?? '').matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name),
    );
    expect(scripts.length).toBeGreaterThan(0);
    for (const name of scripts) expect(Object.keys(manifest.scripts)).toContain(name);
  });
});

describe('the exit code of the nightly job', () => {
  // The step's script with the soak replaced, as the shell of a hosted job runs it.
  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 0],
  ])('of a soak that ends with %i is %i', async (soak, job) => {
    const { spawnSync } = await import('node:child_process');
    const step = parse(readText('.github/workflows/soak-nightly.yml')).jobs.soak.steps.find(
      ({ name }: { name?: string }) => name === 'Soak',
    );
    const script = (step.run as string).replace('node dist/cli/main.js soak', `sh -c 'exit ${soak}'`);
    const env = { ...process.env, SCENARIO: 'moderate', DURATION: '5h', SEED: '' };
    const { status, stdout } = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', script], {
      env,
      encoding: 'utf8',
    });
    expect(status).toBe(job);
    expect(stdout).toMatch(/npx ackgate soak moderate --duration 5h --seed \d+$/m);
    expect(stdout.includes('::warning')).toBe(soak === 3);
  });
});
