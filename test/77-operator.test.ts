import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { parsePrometheusText } from './support/prometheus-text.js';
import { until } from './support/stage.js';

/*
 * A night shift, with the commands that the operations page names: is it healthy, why do answers wait, look at some of
 * them, change the mode, and see who did what.
 */
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const token = 'the-token-of-this-night';

class Demo {
  stderr = '';
  stdout = '';
  readonly process: ChildProcess;
  readonly ended: Promise<unknown[]>;

  constructor(args: readonly string[]) {
    const env = { ...process.env, ACKGATE_ADMIN_TOKEN: token };
    this.process = spawn(process.execPath, [cli, 'demo', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.ended = once(this.process, 'close');
  }

  get url(): string | undefined {
    return /live page +(http:\S+)/.exec(this.stderr)?.[1].replace(/\/$/, '');
  }

  /** Log lines of the server. */
  lines(): Record<string, unknown>[] {
    const whole = this.stderr.slice(0, this.stderr.lastIndexOf('\n') + 1).split('\n');
    return whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  async command<T>(...args: string[]): Promise<T> {
    const env = { ...process.env, ACKGATE_ADMIN_TOKEN: token, ACKGATE_ADMIN_URL: this.url };
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args, '--json'], { env });
    return JSON.parse(stdout);
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const samples = parsePrometheusText(text).flatMap((family) => family.samples);
    const wanted = Object.entries(labels);
    return samples.find(
      (sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value),
    )?.value;
  }

  async untilMetric(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    }
  }
}

test('stalled journal, metric, directive, capture, mode, audit line', { timeout: 90_000 }, async () => {
  const demo = new Demo([
    ...['--admin-port', '0', '--seconds', '14', '--clients', '8', '--rate', '400', '--json'],
    ...['--pause-journal', '2,4'],
  ]);
  onTestFinished(async () => {
    if (demo.process.exitCode === null) demo.process.kill('SIGKILL');
    await demo.ended;
  });
  await until('the demo serves its page', () => demo.url !== undefined);
  expect((await fetch(`${demo.url}/health`)).status).toBe(200);
  expect((await fetch(`${demo.url}/ready`)).status).toBe(200);

  // The journal stalls: the metric says that answers wait, for how long, and for whom.
  const closedFor = async () => (await demo.metric('ackgate_gate_closed_age_seconds')) ?? 0;
  await demo.untilMetric('answers have been waiting for a second', async () => (await closedFor()) > 1);
  expect(await demo.metric('ackgate_gate_bound', { by: 'journal' })).toBe(1);
  expect(await demo.metric('ackgate_journal_unpersisted_records')).toBeGreaterThan(0);
  expect((await fetch(`${demo.url}/health`)).status).toBe(200);

  // Look closer, at fills only, while it still stalls: what waits is taken down too, once it goes.
  const published = await demo.command<{ revision: number }>(
    ...['directives', 'publish', '--id', 'why', '--level', 'capture', '--ttl', '5m', '--kind', 'fill'],
  );
  expect(published.revision).toBe(1);
  expect(await closedFor()).toBeGreaterThan(1);
  await demo.untilMetric('it goes on', async () => (await closedFor()) < 1);
  interface Capture {
    entries: { kind: number; body: string; seenNs: number; releasedNs: number; requestId: number }[];
  }
  let entries: Capture['entries'] = [];
  await demo.untilMetric('fills were captured', async () => {
    ({ entries } = await demo.command<Capture>('directives', 'capture'));
    return entries.length > 10;
  });
  expect(new Set(entries.map(({ kind }) => kind)).size).toBe(1);
  for (const { body, requestId } of entries) {
    expect(body).toMatch(/^[0-9a-f]{2,}$/);
    expect(requestId).toBeGreaterThan(0);
  }
  // One of those that waited for the journal tells so itself.
  expect(Math.max(...entries.map(({ seenNs, releasedNs }) => releasedNs - seenNs))).toBeGreaterThan(0);
  expect(await demo.metric('ackgate_server_end_to_end_seconds_count')).toBeGreaterThan(0);

  // Another mode, and back to nothing special.
  await demo.command('mode', 'persisted>=1 && in_memory>=1');
  expect(await demo.command<{ mode: string }>('mode')).toMatchObject({ mode: 'custom' });
  await demo.command('mode', 'local');
  await demo.command('directives', 'clear');
  await demo.untilMetric(
    'the stage looks no more',
    async () => (await demo.metric('ackgate_diagnosis_level')) === 0,
  );

  await demo.ended;
  expect(JSON.parse(demo.stdout)).toMatchObject({ ok: true, problems: [] });
  expect(demo.process.exitCode).toBe(0);
  const audit = demo.lines().filter(({ audit }) => audit === true);
  const changes = audit.filter(({ action }) => action === 'directives' || action === 'mode');
  expect(changes.map(({ action, revision }) => [action, revision])).toEqual([
    ['directives', 1],
    ['mode', undefined],
    ['mode', undefined],
    ['directives', 2],
  ]);
  expect(changes[0]).toMatchObject({ who: { address: '127.0.0.1' }, instance: 'matching-engine' });
  expect(changes[0].to).toContain('why');
  expect(demo.stderr).not.toContain(token);
  const messages = demo.lines().map(({ msg }) => msg);
  expect(messages).toContain('durability policy changed');
  expect(messages.some((message) => String(message).includes('journal paused'))).toBe(true);
});
