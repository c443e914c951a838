import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { newestResults } from '../scripts/support/bench/results.mjs';
import { findCase } from '../scripts/support/bench/variants.mjs';
import { overrun } from './support/examples.js';

const root = join(import.meta.dirname, '..');
const patient = { timeout: 60_000 };

/** The code block of the README under the mark that promises this test. */
function block(mark: string): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const found = readme.split(`<!-- test: ${mark} -->\n`)[1];
  const text = /^```\w*\n([\s\S]*?)```/.exec(found ?? '')?.[1];
  if (text === undefined) throw new Error(`the README has no block that is marked "${mark}"`);
  return text;
}

const example = () => block('this example is run word for word');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Connects as soon as the server listens; the test's own time limit bounds it. */
function connected(port: number): Promise<ReturnType<typeof connect>> {
  return new Promise((resolve) => {
    const attempt = () => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(socket));
      socket.once('error', () => setTimeout(attempt, 20));
    };
    attempt();
  });
}

describe('the example of the README', () => {
  let directory: string;

  beforeEach(() => {
    // Inside the project, so that `ackgate` is found by its own name.
    mkdirSync(join(root, 'build'), { recursive: true });
    directory = mkdtempSync(join(root, 'build', 'readme-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('has ten to fifteen lines', () => {
    const lines = example()
      .split('\n')
      .filter((line) => line.trim() !== '');
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.length).toBeLessThanOrEqual(15);
  });

  /** The example, on a port of its own, until the test is over. */
  async function startExample(options = "{ policy: 'local' }"): Promise<number> {
    writeFileSync(join(directory, 'server.mjs'), example().replace("{ policy: 'local' }", options));
    const port = await freePort();
    const server = spawn(process.execPath, ['server.mjs'], {
      cwd: directory,
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    onTestFinished(() => void server.kill('SIGKILL'));
    return port;
  }

  it('prints what the README says, with the client of the README', async () => {
    const port = await startExample();
    (await connected(port)).destroy();
    writeFileSync(join(directory, 'client.mjs'), block('this client is run word for word'));
    const options = { cwd: directory, env: { ...process.env, PORT: String(port) }, timeout: 30_000 };
    const { stdout } = await promisify(execFile)(process.execPath, ['client.mjs'], options);
    expect(stdout).toBe(block('this is what the client prints'));
  });

  it('answers a request, in a frame, with an end-of-batch frame behind it', async () => {
    const client = await connected(await startExample());
    const request = Buffer.from([0x10, 1, 2, 3]);
    client.write(request);
    const expected = Buffer.concat([Buffer.from([4, 0, 0, 0]), request, Buffer.from([1, 0, 0, 0, 2])]);
    const chunks: Buffer[] = [];
    await new Promise<void>((resolve) => {
      client.on('data', (chunk) => {
        chunks.push(chunk);
        if (Buffer.concat(chunks).length >= expected.length) resolve();
      });
    });
    expect(Buffer.concat(chunks)).toEqual(expected);
    const ended = new Promise((resolve) => client.once('close', resolve));
    client.end();
    await ended;
  });

  it('outlives more clients than there is room for', patient, async () => {
    const port = await startExample("{ policy: 'local', connections: 4 }");
    (await connected(port)).destroy();
    await overrun(port, 12);
    await answeredOn(port);
  });

  it('ends a client whose request is too large, and serves the next', patient, async () => {
    const port = await startExample();
    const large = await connected(port);
    const ended = new Promise((resolve) => large.once('close', resolve));
    large.on('error', () => {});
    large.resume();
    large.write(Buffer.alloc(8000, 0x10));
    await ended;
    await answeredOn(port);
  });

  async function answeredOn(port: number): Promise<void> {
    let answered = false;
    while (!answered) {
      const client = await connected(port); // ended again while those before are still let go of
      client.write(Buffer.from([0x10, 1]));
      answered = await new Promise<boolean>((resolve) => {
        client.once('data', () => resolve(true));
        client.once('close', () => resolve(false));
      });
      client.destroy();
    }
  }
});

/** What is read here of bench/results/. */
interface Results {
  egress: { cases: unknown[] };
  latency: { pingPong: { variant: string; idle: string | null; us: { p50: number } }[] };
  isolation: { cases: { variant: string; sickness: string; p99Ratio: { low: number } }[] };
}

describe('the README', () => {
  const lines = readFileSync(join(root, 'README.md'), 'utf8').split('\n');

  it('has the two commands that do all of the set-up', () => {
    expect(lines.filter((line) => /^npm (start|test) /.test(line))).toHaveLength(2);
  });

  it('has the figures that npm run bench:page puts there', () => {
    const [, figures] = lines
      .join('\n')
      .split(/<!-- (?:figures: made by npm run bench:page|end of figures) -->/);
    expect(figures!.match(/^\| .*\d.* \|$/gm)!.length).toBeGreaterThan(5);
    expect(figures).not.toMatch(/undefined|NaN|not measured/);
  });

  it('says in words, as docs/COMPARISON.md does, what the figures say', () => {
    const { egress, latency, isolation } = newestResults(join(root, 'bench/results')) as Results;
    const small = { connections: 256, frames: 4, bytes: 64 };
    const large = { connections: 256, frames: 16, bytes: 1024 };
    const mixed = { connections: 256, frames: 16, bytes: 64, order: 'interleaved' };
    const cpu = (shape: typeof small & { order?: string }, variant: string) =>
      findCase(egress.cases, shape, shape.order).variants[variant].cpuNs.median;
    for (const shape of [small, large, mixed]) {
      expect(cpu(shape, 'socket')).toBeGreaterThan(cpu(shape, 'uring'));
      expect(cpu(shape, 'limit')).toBeLessThan(cpu(shape, 'uring'));
      expect(cpu(shape, 'classic')).toBeLessThan(cpu(shape, 'uring'));
    }
    expect(cpu(small, 'corked')).toBeGreaterThan(cpu(small, 'uring'));
    expect(cpu(large, 'corked')).toBeLessThan(cpu(large, 'uring'));
    expect(cpu(mixed, 'corked') * 2).toBeLessThan(cpu(mixed, 'uring')); // "much less"
    const roundTrip = (variant: string, idle: string | null) =>
      latency.pingPong.find((one) => one.variant === variant && one.idle === idle)!.us.p50;
    expect(roundTrip('net.Socket', null)).toBeLessThan(roundTrip('ackgate', 'spin'));
    // "Lost in the noise": what it costs is less than the rounds differ by.
    const stuck = (variant: string) =>
      isolation.cases.find((one) => one.variant === variant && one.sickness === 'stopped')!.p99Ratio;
    expect(stuck('ackgate').low).toBeLessThanOrEqual(1);
    expect(stuck('classic').low).toBeGreaterThan(100);
  });

  it('quotes in docs/COMPARISON.md what was measured', () => {
    const { egress } = newestResults(join(root, 'bench/results')) as Results;
    const text = readFileSync(join(root, 'docs/COMPARISON.md'), 'utf8').replace(/\s+/g, ' ');
    const quoted = (frames: number, bytes: number, order: string) =>
      ['corked', 'uring'].map((variant) => {
        const { cpuNs } = findCase(egress.cases, { connections: 256, frames, bytes }, order).variants[
          variant
        ];
        return Math.round(cpuNs.median).toLocaleString('en');
      });
    const words = (frames: number, bytes: number, order = 'grouped') =>
      quoted(frames, bytes, order).join(' ns against ');
    for (const figures of [words(4, 64), words(16, 1024), words(16, 64, 'interleaved')]) {
      expect(text).toContain(figures);
    }
    expect(text).toContain(quoted(16, 64, 'grouped').join(' against '));
  });

  it('has lines of 120 columns at most', () => {
    expect(lines.filter((line) => [...line].length > 120)).toEqual([]);
  });
});
