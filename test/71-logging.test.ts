import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { Console } from 'node:console';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pino from 'pino';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Logger, silentLogger } from '#ackgate/index.js';
import { noticeSlots } from '#ackgate/shared/memory.js';
import { safeLogger } from '#ackgate/shared/safe-logger.js';
import { Rig, until } from './support/stage.js';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const childMs = 55_000;

async function run(...args: string[]) {
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: childMs });
  return JSON.parse(stdout);
}

describe('what fails never stops the stage', () => {
  const planned = 'Error: planned';
  const channelNames = ['mode', 'degraded', 'dropped', 'fenced'].map((name) => `ackgate:${name}`);
  const ofLogger = (why: string) => [
    {
      name: 'AckgateWarning',
      code: 'ACKGATE_LOGGER',
      message: `the logger has failed: ${why}. What else it throws is ignored`,
    },
  ];
  const ofSubscribers = channelNames.map((name) => ({
    name: 'AckgateWarning',
    code: 'ACKGATE_SUBSCRIBER',
    message: `a subscriber of ${name} has failed: ${planned}. What else it throws is ignored`,
  }));

  test.each([
    ['logger throws', ofLogger(planned)],
    ['logger throws what can not be shown', ofLogger("a thrown object that can't be shown")],
    ['logger throws an error with a stack that throws', ofLogger(planned)],
    ['logger has a getter that throws', ofLogger(planned)],
    ['logger rejects', ofLogger(planned)],
    ['logger fails at being warned of', ofLogger(planned)],
    ['subscriber throws', ofSubscribers],
    ['subscriber rejects', ofSubscribers],
    ['subscriber ends itself and throws', ofSubscribers],
  ])('%s', async (what, warnings) => {
    const report = await run('--no-warnings', fixture('logging-throws.mjs'), what);
    // Each change of mode made it fail again, and clients were answered all the while.
    expect(report.calls).toBeGreaterThan(100);
    expect(report.answers).toBe(100);
    expect(report.warnings).toEqual(warnings);
  });

  test('a safe logger costs nothing where there is none', () => {
    expect(safeLogger(silentLogger)).toBe(silentLogger);
  });
});

/** The other end of logging-blocked.mjs. */
class BlockedServer {
  readonly clients: Socket[] = [];
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #answers: number[] = [];

  constructor(what: string, connections: number) {
    this.#child = spawn(process.execPath, [fixture('logging-blocked.mjs'), what, String(connections)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface(this.#child.stdout!).on('line', (line) => this.#lines.push(line));
    onTestFinished(() => void this.#child.kill('SIGKILL'));
    onTestFinished(() => {
      for (const client of this.clients) client.destroy();
    });
  }

  async line(): Promise<string> {
    await until('the child says something', () => this.#lines.length > 0 || this.#child.exitCode !== null);
    if (this.#lines.length === 0) throw new Error(`the child has ended with ${this.#child.exitCode}`);
    return this.#lines.shift()!;
  }

  command(command: string): void {
    this.#child.stdin!.write(command);
  }

  async connect(port: number, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const client = connect(port, '127.0.0.1');
      client.on('error', () => {});
      this.#answers.push(0);
      client.on('data', (chunk) => {
        this.#answers[i] += chunk.length / 20;
      });
      this.clients.push(client);
      await once(client, 'connect');
    }
  }

  async answered(times: number, clients = this.clients.length): Promise<void> {
    await until(`each of ${clients} clients has ${times} answers`, () =>
      this.#answers.slice(0, clients).every((count) => count === times),
    );
  }

  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }
}

describe('what blocks the control thread does not slow the stage', () => {
  test.each(['logger', 'subscriber'])('%s', async (what) => {
    const connections = 200;
    const server = new BlockedServer(what, connections);
    await server.connect(Number(await server.line()), connections);
    expect(await server.line()).toBe('stuck');

    server.command('a');
    await server.answered(1);
    // More log lines than there are places for, then answers behind them.
    server.command('ea');
    await server.answered(2);
    // The place of its last event is kept for every connection.
    const gone = connections - 1;
    for (const client of server.clients.slice(1)) client.resetAndDestroy();
    let rounds = 2;
    for (let left = connections; left > 1; rounds++) {
      server.command('ag');
      left = Number(await server.line());
    }
    await server.answered(rounds, 1);
    server.command('a');
    await server.answered(rounds + 1, 1);

    server.command('r');
    const report = JSON.parse(await server.line());
    expect(report).toMatchObject({ stuck: true, dropped: gone, distinct: gone, state: 'running' });
    expect(report.encoderErrors).toBe(5000);
    expect(report.logLinesDropped).toBeGreaterThan(5000 - noticeSlots);
    expect(report.lines + report.logLinesDropped).toBeGreaterThanOrEqual(5000);
    expect(await server.ended()).toBe(0);
  });

  test('a flood of log lines into a slow logger neither grows memory nor takes the thread for itself', async () => {
    const report = await run('--expose-gc', fixture('logging-flood.mjs'));
    expect(report.encoderErrors).toBe(report.lines);
    expect(report.logged + report.logLinesDropped).toBe(report.lines);
    expect(report.logged).toBeGreaterThan(noticeSlots / 2);
    expect(report.logLinesDropped).toBeGreaterThan(report.lines / 2);
    // 100,000 lines as objects take some 30 MB.
    expect(report.grown).toBeLessThan(8e6);
    // Two turns of the loop, each with the lines that waited at its start.
    expect(report.longestRow).toBeLessThanOrEqual(noticeSlots);
  });
});

describe('a listener that throws', () => {
  const others = process.listeners('uncaughtException');
  afterEach(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });

  test('is told to the process, also at the end of a stage that has died, which then ends all the same', async () => {
    const uncaught: unknown[] = [];
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error.message));
    const encoder = new URL('./fixtures/stage-bad-encoder.mjs', import.meta.url);
    const rig = await Rig.start({ encoder });
    for (const event of ['dropped', 'fatal'] as const) {
      rig.stage.on(event, () => {
        throw new Error(event);
      });
    }
    const clients = [await rig.attach(), await rig.attach()];
    rig.stage.producer.tryPublish({ connectionId: clients[0].id, wireSeq: 0, payload: new Uint8Array([1]) });
    await rig.stage.closed;
    await until('the process was told', () => uncaught.length === 3);
    expect(uncaught).toEqual(['dropped', 'dropped', 'fatal']);
    expect(rig.dropped).toHaveLength(2);
  });
});

/** Has its stage log one line of each level but debug. */
async function logSome(logger: Logger): Promise<void> {
  const encoder = new URL('./fixtures/stage-encoder.mjs', import.meta.url);
  const rig = await Rig.start({ logger, encoder });
  const { id, client } = await rig.attach();
  rig.stage.setMode('local');
  rig.stage.producer.tryPublish({ connectionId: id, wireSeq: 0, kind: 1, payload: new Uint8Array(16) });
  rig.publish({ id, seq: 0, number: 7 });
  await client.untilAnswers(1);
  await rig.stage.fence(1);
  await rig.stage.close();
}

const linesOfSome = [
  ['info', 'durability policy changed'],
  ['error', 'encoder failed, the answer is lost'],
  ['warn', 'fenced: a later primary has taken over'],
];

describe('loggers', () => {
  const collect = (lines: string[], delayMs = 0) =>
    new Writable({
      write(chunk, _, done) {
        lines.push(...chunk.toString().trimEnd().split('\n'));
        if (delayMs === 0) done();
        else setTimeout(done, delayMs);
      },
    });
  const pinoLines = (lines: string[]) =>
    lines
      .map((line) => JSON.parse(line))
      .map(({ level, msg }) => [pino.levels.labels[level], msg])
      .filter(([, msg]) => !/^Using the posix|^fewer/.test(msg));

  test('pino', async () => {
    const lines: string[] = [];
    await logSome(pino({}, { write: (line: string) => void lines.push(line) }));
    expect(pinoLines(lines)).toEqual(linesOfSome);
    const failed = JSON.parse(lines.find((line) => line.includes('encoder failed'))!);
    expect(failed).toMatchObject({ level: 50, wireSeq: 0, kind: 1, why: 'Error: planned' });
  });

  test('pino over a stream that is slow', async () => {
    const lines: string[] = [];
    const stream = collect(lines, 50);
    await logSome(pino(stream));
    stream.end();
    await once(stream, 'finish');
    expect(pinoLines(lines)).toEqual(linesOfSome);
  });

  test('a child of pino, with what it says about itself', async () => {
    const lines: string[] = [];
    await logSome(pino({}, { write: (line: string) => void lines.push(line) }).child({ shard: 7 }));
    expect(pinoLines(lines)).toEqual(linesOfSome);
    for (const line of lines) expect(JSON.parse(line).shard).toBe(7);
  });

  test('pino whose level changes while the stage runs', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'silent' }, { write: (line: string) => void lines.push(line) });
    const rig = await Rig.start({ logger });
    rig.stage.setMode('in_memory>=1');
    await rig.settled();
    await until('the change is in force', () => rig.stage.status().policy === 'in_memory>=1');
    logger.level = 'info';
    rig.stage.setMode('local');
    await until('it is logged', () => lines.length > 0);
    expect(pinoLines(lines)).toEqual([['info', 'durability policy changed']]);
    expect(JSON.parse(lines[0])).toMatchObject({ fromPolicy: 'in_memory>=1', to: 'local' });
  });

  test('a console', async () => {
    const out: string[] = [];
    const errors: string[] = [];
    const logger: Logger = new Console(collect(out), collect(errors));
    await logSome(logger);
    expect(out.join('\n')).toContain('durability policy changed');
    expect(errors.join('\n')).toMatch(/encoder failed.*fenced/s);
  });

  test('one whose methods need `this`', async () => {
    class Own {
      #lines: string[][] = [];
      get lines() {
        return this.#lines.filter(([, message]) => !/^Using the posix|^fewer/.test(message));
      }
      #add(level: string, message: string) {
        this.#lines.push([level, message]);
      }
      debug(_: object, message: string) {
        this.#add('debug', message);
      }
      info(_: object, message: string) {
        this.#add('info', message);
      }
      warn(_: object, message: string) {
        this.#add('warn', message);
      }
      error(_: object, message: string) {
        this.#add('error', message);
      }
    }
    const logger = new Own();
    await logSome(logger);
    expect(logger.lines).toEqual(linesOfSome);
  });
});
