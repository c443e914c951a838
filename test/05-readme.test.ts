import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** The code block of the README under the mark that promises this test. */
function example(): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const block = /<!-- test: this example is run word for word -->\n```js\n([\s\S]*?)```/.exec(readme);
  if (block === null) throw new Error('the README has no example that is marked for this test');
  return block[1];
}

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

  it('answers a request, in a frame, with an end-of-batch frame behind it', async () => {
    writeFileSync(join(directory, 'example.mjs'), example());
    const port = await freePort();
    const server = spawn(process.execPath, ['example.mjs'], {
      cwd: directory,
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    try {
      const client = await connected(port);
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
    } finally {
      server.kill('SIGKILL');
    }
  });
});
