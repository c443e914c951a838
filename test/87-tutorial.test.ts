import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  folderWith,
  overrun,
  type Program,
  quietPort,
  shell,
  startProgram,
  until,
} from './support/examples.js';
import { codeBlocks, excerpts, expectExcerpt, expectShape, markedBlocks, outputs } from './support/pages.js';

const page = 'docs/TUTORIAL.md';
const blocks = outputs(page);
const patient = { timeout: 120_000 };

const block = (name: string) => {
  const found = blocks.get(name);
  if (found === undefined) throw new Error(`${page} has no output of ${name}`);
  return found;
};

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  folder = folderWith('tutorial');
  env = {
    PORT: String(await quietPort()),
    REPLICA_PORT: String(await quietPort()),
    ADMIN_PORT: String(await quietPort()),
  };
});

/** Starts what the page starts in the terminal of this name. */
function start(name: string): Program {
  const [node, ...args] = block(name)[0].command.split(' ');
  expect(node).toBe('node');
  return startProgram(folder, args, env);
}

async function startServer(name: string): Promise<Program> {
  const server = start(name);
  await server.said(/^listening/);
  return server;
}

/** The command of the page, with the ports of this test in place of those that it names. */
const run = (command: string) => shell(folder, command.replaceAll('9464', env.ADMIN_PORT!), env);

/** Types what the page types into the terminal of this name, and compares what is printed. */
async function follow(name: string): Promise<void> {
  for (const { command, printed } of block(name)) expectShape(await run(command), printed);
}

/** Starts a command of the page that may go on for a while. */
function startCommand(command: string): Program {
  const [node, ...args] = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word);
  expect(node).toBe('node');
  return startProgram(folder, args, env);
}

/**
 * Fails unless a terminal shows what the page has in it, in this order. A slow machine may add lines of its own, such as a
 * reminder; `listening` comes from another thread than the stage's lines, and so anywhere among them.
 */
function expectTerminal({ lines }: Program, name: string): void {
  const { printed } = block(name)[0];
  const isListening = (line: string) => line.startsWith('listening');
  expectShape(lines.filter(isListening), printed.filter(isListening));
  const others = printed.filter((line) => !isListening(line));
  expectShape(
    lines.filter((line) => !isListening(line)),
    ['…', ...others.flatMap((line) => [line, '…'])],
  );
}

function journalHas(name: string, order: string): boolean {
  const directory = join(folder, name);
  const segments = existsSync(directory)
    ? readdirSync(directory).filter((file) => file.endsWith('.segment'))
    : [];
  return segments.some((file) => readFileSync(join(directory, file)).includes(order));
}

function journalBytes(name: string): number {
  const directory = join(folder, name);
  const segments = readdirSync(directory).filter((file) => file.endsWith('.segment'));
  return segments.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
}

describe('the page', () => {
  it.each(excerpts(page).map(({ file, lines }, index) => ({ index, file, lines })))(
    'shows lines of $file (block $index)',
    ({ file, lines }) => expectExcerpt(file, lines),
  );

  it('has no code that is not one of a file', () => {
    expect(excerpts(page).length).toBe(codeBlocks(page, 'js', 'ts', 'mjs'));
  });

  it('has no mark that nobody looks at', () => {
    const known = /^(each line is one of examples\/tutorial\/\S+\.mjs|output of \S+)$/;
    for (const { mark } of markedBlocks(page)) expect(mark).toMatch(known);
  });

  it('speaks of every program', () => {
    const text = markedBlocks(page).map(({ mark, lines }) => [mark, ...lines].join('\n'));
    const others = ['frames.mjs', 'logger.mjs', 'orders.mjs', 'replicas.mjs'];
    const programs = readdirSync(folder).filter((name) => name.endsWith('.mjs') && !others.includes(name));
    for (const name of programs) expect(text.join('\n')).toContain(name);
  });
});

describe('the tutorial', () => {
  it('1: says what the machine can do', async () => {
    const [{ command, printed }] = block('doctor');
    const label = (line: string) => line.slice(0, 19).trim();
    const labels = (await run(command)).map(label);
    for (const line of printed) expect(labels).toContain(label(line));
  });

  it('2: answers with socket.write', patient, async () => {
    const server = await startServer('2-server');
    await follow('2-client');
    expectTerminal(server, '2-server');
  });

  it('3: holds an answer until its order is on disk, and loses none', patient, async () => {
    const server = await startServer('3-server');
    const [two, pause, one] = block('3-client');
    expectShape(await run(two.command), two.printed);
    expect(pause.command).toMatch(/^kill -USR2 \d+$/);
    server.child.kill('SIGUSR2');
    await server.said(/^journal paused$/);
    const client = startCommand(one.command);
    await server.said(/^order 3 taken$/);
    // Long enough for an answer that nothing holds; one that is held is not there however long this takes.
    await sleep(300);
    expect(client.lines).toEqual([]);
    server.child.kill('SIGUSR2');
    expect(await client.ended).toBe(0);
    expectShape(client.lines, block('3-released')[0].printed);
    server.child.kill('SIGKILL');
    await server.ended;
    expectTerminal(server, '3-server');
    await follow('3-list');
  });

  it.each(['3-server', '4-server'])(
    'outlives a client too many, and an order too large: %s',
    patient,
    async (name) => {
      env.POLICY = 'local';
      const server = await startServer(name);
      await overrun(Number(env.PORT), 330);
      await run(`node client.mjs ${'x'.repeat(500)}`);
      const command = "node client.mjs 'buy 10 at 99'";
      let lines = [''];
      // It may take a while to make room; until then a client is refused, and may say that it was by a reset.
      while (!/^accepted/.test(lines[0])) lines = await run(command);
      expectShape(lines, ['accepted 2 buy 10 at 99, after 12 ms']);
      expect(server.child.exitCode).toBe(null);
    },
  );

  it('4: tells what a policy makes of cursors, and tests it', patient, async () => {
    await follow('4-cli');
    await follow('4-test');
  });

  it('4: waits for a second node, whenever it is gone', patient, async () => {
    const degraded = /^warn: durability policy degraded/;
    const met = /^info: durability policy met again/;
    const server = await startServer('4-server');
    await server.said(degraded);
    const [{ command, printed }] = block('4-client');
    const first = startCommand(command);
    let replica = start('4-replica');
    await replica.said(/follows from/);
    expect(await first.ended).toBe(0);
    expectShape(first.lines, printed);
    expectShape(replica.lines, block('4-replica')[0].printed);
    await server.said(met);
    replica.child.kill('SIGKILL');
    await server.said(degraded, 2);
    const second = startCommand("node client.mjs 'sell 5 at 101'");
    await sleep(300);
    expect(second.lines).toEqual([]);
    replica = start('4-replica');
    expect(await second.ended).toBe(0);
    expectShape(second.lines, ['accepted 2 sell 5 at 101, after 2000 ms']);
    await server.said(met, 2);
    // The replica had those two as orders that it lacked; the next one is sent to it as it comes.
    expectShape(await run("node client.mjs 'buy 1 at 98'"), ['accepted 3 buy 1 at 98, after 10 ms']);
    expectTerminal(server, '4-server');
  });

  it('4: takes no replica that has other orders', patient, async () => {
    const at = { ...env, POLICY: 'local' };
    const write = async (directory: string, ...orders: string[]) => {
      const server = startProgram(folder, ['4-policy.mjs', directory], at);
      await server.said(/^listening/);
      for (const order of orders) await run(`node client.mjs '${order}'`);
      return server;
    };
    const replicaOf = (server: Program) => ({
      server,
      replica: startProgram(folder, ['4-replica.mjs', 'c', 'other-c'], at),
    });
    const end = async ({ server, replica }: Record<'server' | 'replica', Program>) => {
      server.child.kill('SIGKILL');
      await Promise.all([server.ended, replica.ended]);
    };
    const first = replicaOf(await write('other-1', 'old 1', 'old 2'));
    await until(() => journalHas('other-c', 'old 2'));
    await end(first);
    // A journal that is shorter, and one that is longer but another.
    for (const orders of [['new 1'], ['new 1', 'new 2', 'new 3']]) {
      const { server, replica } = replicaOf(await write(`other-${1 + orders.length}`, ...orders));
      await server.said(/^error: replica refused: .*"node":"c","after":2,"last":"old 2"/);
      await end({ server, replica });
      expect(replica.lines.at(-1)).toMatch(/^the primary is gone, or refuses this replica/);
    }
    expect(await run('node list.mjs other-c')).toEqual(['1 old 1', '2 old 2']);
  });

  it('5: ends who breaks a cap, and loses nothing at SIGTERM', patient, async () => {
    const server = await startServer('5-server');
    await follow('5-large');
    const [{ command, printed }] = block('5-client');
    const client = run(command);
    // The journal grows while the client sends.
    await until(() => journalBytes('journal-5') > 2000);
    server.child.kill('SIGTERM');
    expect(await server.ended).toBe(0);
    const told = await client;
    expectTerminal(server, '5-server');
    expectShape(told, printed);
    const kept = await run(block('5-list')[0].command);
    expectShape(kept, block('5-list')[0].printed);
    const acknowledged = Number(/^accepted (\d+) /.exec(told[0])![1]);
    expect(Number.parseInt(kept[0], 10)).toBeGreaterThanOrEqual(acknowledged);
  });

  it('6: shows its figures', patient, async () => {
    const server = await startServer('6-server');
    await follow('6-client');
    expect((await run('curl -s localhost:9464/'))[0]).toBe('<!doctype html>');
    server.child.kill('SIGTERM');
    expect(await server.ended).toBe(0);
    expectShape(server.lines.slice(0, 2), block('6-server')[0].printed);
  });

  it('7: runs in a simulated world', patient, () => follow('7-test'));

  it('8: passes a soak', patient, async () => {
    // The one of the page takes two minutes: a shorter one of the same server, judged by what it can tell.
    const config = {
      scenario: 'smoke',
      durationSeconds: 1,
      warmupSeconds: 0,
      settleSeconds: 0,
      footprint: { requests: 500 },
      burst: { requests: 100, concurrency: 16 },
      required: ['ready', 'completed', 'loss-missing', 'loss-duplicated', 'loss-order', 'loss-content'],
    };
    writeFileSync(join(folder, 'short.json'), JSON.stringify(config));
    const [{ command, printed }] = block('8-soak');
    const lines = await run(command.replace('soak smoke', 'soak short.json'));
    const head = (line: string) => /^(\S [\w-]+|\w+|)/.exec(line)![0];
    const heads = lines.map(head);
    for (const line of printed) if (line !== '…') expect(heads).toContain(head(line));
  });
});
