import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { DisconnectReason } from '#ackgate/supervisor/index.js';

const root = join(import.meta.dirname, '..');
const read = (name: string) => readFileSync(join(root, `examples/request-reply/${name}.ts`), 'utf8');
const sources = [
  ['server', read('server')],
  ['client', read('client')],
] as const;

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-example-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function startServer(directory: string): Promise<{ child: ChildProcess; port: number }> {
  const program = join(root, 'dist/request-reply/server.js');
  const child = spawn(process.execPath, [program, directory, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout! })) {
    const port = /^listening .*port: (\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    child.stdout!.resume();
    return { child, port: Number(port) };
  }
  throw new Error('the server has ended without listening');
}

async function client(port: number, ...requests: string[]): Promise<string[]> {
  const program = join(root, 'dist/request-reply/client.js');
  const options = { timeout: 30_000 };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [program, String(port), ...requests],
    options,
  );
  return stdout.trimEnd().split('\n');
}

test.each(sources)('%s.ts has under 60 lines, and needs nothing but what users have', (_, source) => {
  expect(source.trimEnd().split('\n').length).toBeLessThan(60);
  const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name!);
  const allowed = ['ackgate', 'ackgate/journal', 'ackgate/supervisor'];
  expect(imported.filter((name) => !name.startsWith('node:') && !allowed.includes(name))).toEqual([]);
});

test('what its page shows of it is there, line for line', () => {
  const readme = readFileSync(join(root, 'examples/request-reply/README.md'), 'utf8');
  const mark = '<!-- test: each line is one of examples/request-reply/server.ts -->\n```ts\n';
  const block = readme.split(mark)[1]!.split('```')[0]!;
  const shown = block.split('\n').filter((line) => line.trim() !== '' && line.trim() !== '// …');
  expect(shown.length).toBeGreaterThan(5);
  const [[, server]] = sources;
  for (const line of shown) expect(server.split('\n')).toContain(line);
});

test('requests, a push with its reply, a shutdown that tells, and what is found again after it', async () => {
  const directory = temporaryDirectory();
  const { child, port } = await startServer(directory);
  expect(await client(port, 'subscribe color', 'set color deep red', 'get color', 'get size')).toEqual([
    '> subscribe color',
    '? who are you?',
    '< welcome, the example client',
    '> set color deep red',
    '< changed color deep red',
    '< done',
    '> get color',
    '< is deep red',
    '> get size',
    '< is not set',
  ]);
  expect(await client(port, 'nonsense', 'get color')).toEqual([
    '> nonsense',
    '! the server ends this: handlerFailed',
  ]);

  const subscriber = await FaultClient.connect({ port });
  onTestFinished(() => subscriber.close());
  await subscriber.sendFrame(Buffer.from('subscribe size'));
  const push = await subscriber.nextFrame(20_000);
  await subscriber.sendFrame(Buffer.concat([Buffer.of(7), push.subarray(1, 9), Buffer.from('a test')]));
  expect(Buffer.from(await subscriber.nextFrame(20_000)).toString()).toBe('welcome, a test');

  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await subscriber.ended).toBe('end');
  expect(await ended).toEqual([0, null]);
  const notices = subscriber.frames.filter(([tag]) => tag === 5);
  expect(notices.map((body) => [...body])).toEqual([[5, DisconnectReason.shutdown]]);

  const second = await startServer(directory);
  expect(await client(second.port, 'get color')).toEqual(['> get color', '< is deep red']);
  const endedToo = once(second.child, 'exit');
  second.child.kill('SIGTERM');
  expect(await endedToo).toEqual([0, null]);
});
