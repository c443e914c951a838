import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { captureText } from '#ackgate/cli/directives-capture.js';
import { WatchedMode } from '#ackgate/cluster/index.js';
import { TokenVerifier } from '#ackgate/directives/index.js';
import { AdminRig, token } from './support/admin.js';
import { InMemoryText } from './support/in-memory-text.js';
import { until } from './support/stage.js';

// The command line against a real admin server of a real stage, in this process.

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

function ackgate(args: string[], env: Record<string, string> = {}, input = ''): Promise<Ran> {
  const { ACKGATE_ADMIN_URL: _, ACKGATE_ADMIN_TOKEN: __, ACKGATE_SIGNING_KEY: ___, ...rest } = process.env;
  const child = spawn(process.execPath, [main, ...args], { env: { ...rest, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

/** A server, and the command line told where it is and what the token is. */
async function start() {
  const admin = await AdminRig.start({}, { policy: 'in_memory>=1' });
  const env = { ACKGATE_ADMIN_URL: admin.server.url, ACKGATE_ADMIN_TOKEN: token };
  return { admin, run: (args: string[], input?: string) => ackgate(args, env, input) };
}

function temporary(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'file');
  writeFileSync(file, content);
  return file;
}

describe('ackgate directives', () => {
  it('publishes from options, lists and clears', async () => {
    const { admin, run } = await start();
    const args = [
      '--id',
      'slow-acme',
      '--level',
      'timing',
      '--ttl',
      '10m',
      '--tenant',
      'acme',
      '--kind',
      'order',
    ];
    const more = ['--connection', '7', '--sample', '10', '--salt', 's'];
    expect(await run(['directives', 'publish', ...args, ...more])).toEqual({
      status: 0,
      stdout: 'revision 1\n',
      stderr: '',
    });
    const [directive] = admin.store.load().directives;
    expect(directive).toEqual({
      id: 'slow-acme',
      level: 'timing',
      tenant: 'acme',
      connection: 7,
      kind: 'order',
      samplePerMille: 10,
      salt: 's',
      expiresAt: expect.any(Number),
    });
    expect(directive.expiresAt - Date.now()).toBeGreaterThan(540_000);
    expect(directive.expiresAt - Date.now()).toBeLessThanOrEqual(600_000);

    const { stdout } = await run(['directives', 'list']);
    expect(stdout).toMatch(
      /^revision 1\nslow-acme {2}timing {2}(10m00s|9m\d\ds) left {2}tenant acme, connection 7, kind order, samplePerMille 10, salt s\n$/,
    );
    expect(await run(['directives', 'clear'])).toMatchObject({ status: 0, stdout: 'revision 2\n' });
    expect((await run(['directives', 'list'])).stdout).toBe('revision 2: nothing in force\n');
  });

  it('publishes what it listed, from a file and from standard input', async () => {
    const { admin, run } = await start();
    await admin.publish([{ id: 'a', level: 'shape', ttlSecs: 600 }]);
    const { directives } = admin.store.load();
    const listed = await run(['directives', 'list', '--json']);
    expect(JSON.parse(listed.stdout).directives).toHaveLength(1);
    const file = await run(['directives', 'publish', temporary(listed.stdout), '--json']);
    expect(file).toEqual({ status: 0, stdout: '{"revision":2}\n', stderr: '' });
    expect((await run(['directives', 'publish', '-'], listed.stdout)).stdout).toBe('revision 3\n');
    expect(admin.store.load().directives).toEqual(directives);
  });

  it('adds to what is in force only with --add, and replaces its own id', async () => {
    const { admin, run } = await start();
    const ids = () => admin.store.load().directives.map(({ id, level }) => `${id} ${level}`);
    const publish = (id: string, level: string, ...more: string[]) =>
      run(['directives', 'publish', '--id', id, '--level', level, '--ttl', '1h', ...more]);
    await publish('a', 'shape');
    await publish('b', 'timing', '--add');
    expect(ids()).toEqual(['a shape', 'b timing']);
    await publish('a', 'capture', '--add');
    expect(ids()).toEqual(['b timing', 'a capture']);
    expect(await publish('c', 'shape', '--add', '--if-revision', '1')).toMatchObject({ status: 1 });
    await publish('c', 'shape');
    expect(ids()).toEqual(['c shape']);
  });

  it('refuses a stale revision with 1, and says what to do', async () => {
    const { admin, run } = await start();
    const set = temporary('{"directives":[]}');
    expect((await run(['directives', 'publish', set, '--if-revision', '0'])).status).toBe(0);
    const { status, stderr } = await run(['directives', 'publish', set, '--if-revision', '0']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: .* 409 \(stale_revision: .*ackgate directives list.*ERR_ACKGATE_ADMIN_REFUSED\)\n$/,
    );
    const json = await run(['directives', 'clear', '--if-revision', '9', '--json']);
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout).error.code).toBe('ERR_ACKGATE_ADMIN_REFUSED');
    expect(admin.store.load().revision).toBe(1);
  });

  it('a set that is wrong is a wrong call, with the slug', async () => {
    const { admin, run } = await start();
    const { status, stderr } = await run(['directives', 'publish', '-'], '{"directives":[{"id":"a"}]}');
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining('400 (missing_level: directives[0] must have a level; nothing was changed)'),
    ]);
    const kind = ['--id', 'a', '--level', 'shape', '--ttl', '1m', '--kind', 'cancle'];
    expect((await run(['directives', 'publish', ...kind])).stderr).toContain(
      'unknown_kind: directives[0] must have a kind that the application knows: order, cancel;',
    );
    const args = ['--id', 'a', '--level', 'shape', '--ttl', '25h'];
    const json = await run(['directives', 'publish', ...args, '--json']);
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stdout).error.message).toContain('ttl_too_long');
    expect(admin.store.load().revision).toBe(0);
  });

  it.each<[string[], RegExp]>([
    [['publish'], /--id is missing: give a file/],
    [['publish', '--id', 'a', '--level', 'shape'], /--ttl is missing/],
    [['publish', '--id', 'a', '--ttl', '1m'], /--level is missing/],
    [
      ['publish', '--id', 'a', '--level', 'loud', '--ttl', '1m'],
      /Allowed choices are off, shape, timing, capture/,
    ],
    [['publish', '--id', 'a', '--level', 'shape', '--ttl', 'soon'], /--ttl "soon" must be a time/],
    [['publish', '--id', 'a', '--level', 'shape', '--ttl', '1m', '--connection', '-1'], /--connection/],
    [['publish', 'set.json', '--id', 'a'], /--id and a file: give one or the other/],
    [['publish', '/nowhere/set.json'], /file "\/nowhere\/set.json": it can't be read/],
    [['publish', '-', '--if-revision', 'x'], /--if-revision must be a whole number .*got "x"/],
    [['list', '--url', 'ftp://x'], /--url "ftp:\/\/x" must be such as http/],
    [['list', '--url', 'http://user:pass@localhost'], /must have no user or password/],
    [['list', '--token', token], /there is no --token: arguments can be read by everybody/],
    [['list', '--token-file', '/nowhere'], /--token-file: it can't be read/],
    [['list', '--timeout', '0'], /--timeout "0" must be from 1s to 1h/],
    [['capture', '--after', 'x'], /--after must be a whole number .*got "x"/],
    [['lst'], /unknown command 'lst'/],
  ])('%j is a wrong call', async (args, message) => {
    const { status, stdout, stderr } = await ackgate(['directives', ...args], { ACKGATE_ADMIN_TOKEN: token });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(token);
  });

  it('prints what was captured, and as JSON from a number on', async () => {
    const { admin, run } = await start();
    expect((await run(['directives', 'capture'])).stdout).toBe('nothing was taken down\n');
    const { id, client } = await admin.rig.attach();
    await run(['directives', 'publish', '--id', 'look', '--level', 'capture', '--ttl', '1m']);
    await until('the stage follows', () => admin.rig.stage.status().directivesRevision === 1);
    admin.rig.publish({ id, seq: 1, bytes: 20 });
    admin.rig.publish({ id, seq: 2, bytes: 20 });
    await client.untilAnswers(2);
    await until('they are taken down', () => admin.rig.stage.diagnosis.captured().length === 2);
    const { status, stdout } = await run(['directives', 'capture']);
    expect(status).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(
      /^#1 {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}capture {2}connection \d+ {2}sequence 1 {2}request 0 {2}kind 0 {2}flags \d+ {2}20 bytes$/,
    );
    const hex = client.bodies[0].toString('hex').replace(/..(?=.)/g, '$& ');
    expect(stdout).toContain(`    0000  ${hex.slice(0, 47)}  `);
    expect(stdout).toContain(`    0016  ${hex.slice(48)}`);
    const json = JSON.parse((await run(['directives', 'capture', '--after', '1', '--json'])).stdout);
    expect(json).toMatchObject({ entries: [{ number: 2, body: client.bodies[1].toString('hex') }], last: 2 });
  });
});

describe('the text of a capture', () => {
  const ns = 1_000_000;
  const record = {
    number: 7,
    unixMs: 1,
    level: 'timing',
    receivedNs: ns,
    finishedNs: 2 * ns,
    seenNs: 4 * ns,
    releasedNs: 7 * ns,
    deliveredNs: 11 * ns,
    encodeNs: 500,
  };
  const known = {
    engine: '1000.0 µs',
    ring: '2000.0 µs',
    held: '3000.0 µs',
    'to the kernel': '4000.0 µs',
    encode: '0.5 µs',
  };
  const times = (changes: object) =>
    captureText([{ ...record, ...changes }])
      .split('\n')[1]
      .trim();
  const line = (changes: Partial<typeof known>) =>
    Object.entries({ ...known, ...changes })
      .map(([name, time]) => `${name} ${time}`)
      .join(', ');

  it('has how long each step took', () => {
    expect(times({})).toBe(line({}));
  });

  it.each<[string, Partial<typeof known>]>([
    ['receivedNs', { engine: 'unknown' }],
    ['finishedNs', { engine: 'unknown', ring: 'unknown' }],
    // It waited already when diagnosis was switched on.
    ['seenNs', { ring: 'unknown', held: 'unknown' }],
    ['releasedNs', { held: 'unknown', 'to the kernel': 'unknown' }],
    ['deliveredNs', { 'to the kernel': 'unknown' }],
    ['encodeNs', { encode: 'unknown' }],
  ])('counts nothing from %s when that is not known', (name, changes) => {
    expect(times({ [name]: 0 })).toBe(line(changes));
  });

  it('has no date when that is not known', () => {
    expect(captureText([{ ...record, unixMs: 0 }])).toContain('#7  at an unknown time  timing');
  });
});

describe('reading a capture that grows', () => {
  it('ends at what was the newest record when it began', async () => {
    let calls = 0;
    const server = createHttpServer((request, response) => {
      calls++;
      const after = Number(/after=(\d+)/.exec(request.url ?? '')?.[1]);
      // A thousand at once, and always five hundred more than it gives.
      const entries = Array.from({ length: 1000 }, (_, i) => ({ number: after + i + 1 }));
      response.end(JSON.stringify({ entries, last: after + 1000, newest: after + 1500, more: true }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    const args = ['directives', 'capture', '--url', url, '--json'];
    const { status, stdout } = await ackgate(args, { ACKGATE_ADMIN_TOKEN: token });
    expect([status, calls]).toEqual([0, 2]);
    expect(JSON.parse(stdout).last).toBe(2000);
  });
});

describe('ackgate directives sign', () => {
  const key = 'operator-shared-secret';
  const args = ['directives', 'sign', '--level', 'capture', '--ttl', '10m', '--kid', 'k1'];

  it('prints a token that a verifier with the key takes, from a file or the environment', async () => {
    const verifier = new TokenVerifier({ keys: { k1: key } });
    const fromEnvironment = await ackgate(args, { ACKGATE_SIGNING_KEY: key });
    expect(fromEnvironment).toMatchObject({ status: 0, stderr: '' });
    expect(verifier.verify(fromEnvironment.stdout.trim())).toMatchObject({ level: 'capture' });
    const fromFile = await ackgate([...args, '--key-file', temporary(`${key}\n`), '--json']);
    const document = JSON.parse(fromFile.stdout);
    expect(document).toMatchObject({ kid: 'k1', level: 'capture', exp: expect.any(Number) });
    expect(verifier.verify(document.token)?.expiresAt).toBe(document.exp * 1000);
  });

  it('binds to an instance', async () => {
    const { stdout } = await ackgate([...args, '--instance', 'engine-1'], { ACKGATE_SIGNING_KEY: key });
    const verifiers = ['engine-1', 'engine-2'].map(
      (instance) => new TokenVerifier({ keys: { k1: key }, instance }),
    );
    expect(verifiers.map((verifier) => verifier.verify(stdout.trim()) !== null)).toEqual([true, false]);
  });

  it.each<[string[], Record<string, string>, RegExp]>([
    [args, {}, /signing needs a key/],
    [args, { ACKGATE_SIGNING_KEY: 'short' }, /at least 16 bytes/],
    [[...args, '--ttl', '2h'], { ACKGATE_SIGNING_KEY: key }, /--ttl "2h" must be from 1s to 1h/],
    [[...args, '--level', 'off'], { ACKGATE_SIGNING_KEY: key }, /Allowed choices are shape, timing, capture/],
    [args.slice(0, 4), { ACKGATE_SIGNING_KEY: key }, /required option/],
    [[...args, '--kid', ''], { ACKGATE_SIGNING_KEY: key }, /kid/],
  ])('%j is a wrong call', async (given, env, message) => {
    const { status, stdout, stderr } = await ackgate(given, env);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(key);
  });
});

describe('ackgate mode', () => {
  it('shows and changes it', async () => {
    const { admin, run } = await start();
    expect(await run(['mode'])).toEqual({
      status: 0,
      stdout: 'mode    custom\npolicy  in_memory>=1\n',
      stderr: '',
    });
    expect((await run(['mode', 'hybrid'])).stdout).toBe(
      'in_memory>=1 → hybrid (persisted>=1 && in_memory>=2)\n',
    );
    expect(admin.rig.stage.status().mode).toBe('hybrid');
    const json = await run(['mode', 'persisted>=1', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ from: 'hybrid', to: 'persisted>=1', policy: 'persisted>=1' });
    expect(admin.audits.map(({ fields }) => [fields.from, fields.to])).toEqual([
      ['in_memory>=1', 'hybrid'],
      ['hybrid', 'persisted>=1'],
    ]);
  });

  it('asked to "show" says that the word is to be left out', async () => {
    const { admin, run } = await start();
    const { status, stderr } = await run(['mode', 'show']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/"show" is no mode: leave the word out/);
    expect(admin.audits).toEqual([]);
  });

  it('a text that is no policy is pointed at, without asking the server', async () => {
    const { admin, run } = await start();
    const { status, stderr } = await run(['mode', 'persisted>=1 && disk>=2']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/unknown level "disk".*\n {2}persisted>=1 && disk>=2\n {18}\^\n$/);
    expect(admin.audits).toEqual([]);
  });
});

describe('ackgate mode, of a server with a mode store', () => {
  const startShared = async () => {
    const text = new InMemoryText();
    const modes = new WatchedMode(text.source());
    onTestFinished(() => modes.close());
    const admin = await AdminRig.start({ mode: modes });
    modes.follow(admin.rig.stage, { fallback: 'local' });
    await modes.refresh();
    const env = { ACKGATE_ADMIN_URL: admin.server.url, ACKGATE_ADMIN_TOKEN: token };
    return { text, run: (...args: string[]) => ackgate(['mode', ...args], env) };
  };

  it('overrides for a while, shows by whom and for how long, and ends it', async () => {
    const { text, run } = await startShared();
    const none = 'mode      local\npolicy    persisted>=1\nrevision  0\noverride  none\nfallback  local\n';
    expect(await run()).toEqual({ status: 0, stdout: none, stderr: '' });
    const changed = await run('hybrid', '--ttl', '2h');
    expect(changed.stdout).toMatch(
      /^local → hybrid \(persisted>=1 && in_memory>=2\), until \d{4}-\d\d-\d\dT[\d:.]+Z\n$/,
    );
    const { stdout } = await run();
    expect(stdout).toMatch(
      /^override {2}hybrid, (2h00m|1h59m) left\nset by {4}127\.0\.0\.1 \(token [0-9a-f]{8}\)/m,
    );
    expect(JSON.parse((await run('--json')).stdout).store).toMatchObject({ revision: 1, fallback: 'local' });
    expect((await run('fallback', '--if-revision', '1')).stdout).toBe('hybrid → local (persisted>=1)\n');
    expect(text.kept?.text).toContain('"fallback"');
  });

  it('of another revision is refused, and says what to do', async () => {
    const { text, run } = await startShared();
    const { status, stderr } = await run('hybrid', '--if-revision', '7');
    expect(status).toBe(1);
    expect(stderr).toMatch(/409 \(stale_revision: .*ackgate mode\), then publish again/);
    expect(text.kept).toBeNull();
  });

  it('an end needs a mode to end, and a store', async () => {
    const { run } = await startShared();
    expect(await run('--ttl', '5m')).toMatchObject({ status: 2, stderr: expect.stringContaining('--ttl') });
    const { run: alone, admin } = await start();
    for (const args of [['hybrid', '--ttl', '5m'], ['fallback'], ['hybrid', '--if-revision', '1']]) {
      const { status, stderr } = await alone(['mode', ...args]);
      expect([status, stderr]).toEqual([2, expect.stringContaining('no_mode_store')]);
    }
    expect(admin.audits).toEqual([]);
  });
});

describe('reaching the server', () => {
  it('takes the token from a file, with its line break', async () => {
    const { admin } = await start();
    const file = temporary(`${token}\n`);
    const ran = await ackgate(['mode', '--url', admin.server.url, '--token-file', file]);
    expect(ran.status).toBe(0);
  });

  it('without a token, or with the wrong one', async () => {
    const { admin } = await start();
    const none = await ackgate(['mode', '--url', admin.server.url]);
    expect(none).toMatchObject({
      status: 2,
      stderr: 'error: this call needs a token: give --token-file, or set ACKGATE_ADMIN_TOKEN\n',
    });
    const wrong = await ackgate(['mode', '--url', admin.server.url], { ACKGATE_ADMIN_TOKEN: 'wrong' });
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/ 401 \(unauthorized.*is not the one of the server/);
    const lines = await ackgate(['mode', '--url', admin.server.url, '--token-file', temporary('a\nb\n')]);
    expect(lines).toMatchObject({ status: 2, stderr: expect.stringContaining('one word of visible ASCII') });
  });

  it('a server without the call says what it lacks', async () => {
    const admin = await AdminRig.start({ token: '' });
    const { status, stderr } = await ackgate(['mode', '--url', admin.server.url], {
      ACKGATE_ADMIN_TOKEN: token,
    });
    expect([status, stderr]).toEqual([1, expect.stringContaining('no such call: it needs a token')]);
  });

  it('nothing listens: says what to start', async () => {
    const { admin, run } = await start();
    await admin.server.close();
    const { status, stderr } = await run(['mode']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/nothing listens there: start the server .*\(ERR_ACKGATE_ADMIN_UNREACHABLE\)\n$/);
  });

  it('nobody answers: gives up in time', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const args = ['directives', 'list', '--url', `http://127.0.0.1:${port}`, '--timeout', '1'];
    const { status, stderr } = await ackgate(args, { ACKGATE_ADMIN_TOKEN: token });
    expect([status, stderr]).toEqual([1, expect.stringContaining('no answer within 1 s')]);
  });

  it('no token goes over cleartext to another host, unless told to', async () => {
    const env = { ACKGATE_ADMIN_TOKEN: token };
    const refused = await ackgate(['mode', '--url', 'http://engine-3.invalid:9464'], env);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/the token would go to another host over cleartext/);
    // Told to, it tries; there is no such host.
    const tried = await ackgate(['mode', '--url', 'http://engine-3.invalid:9464', '--allow-cleartext'], env);
    expect([tried.status, tried.stderr]).toEqual([
      1,
      expect.stringContaining('ERR_ACKGATE_ADMIN_UNREACHABLE'),
    ]);
    const encrypted = await ackgate(['mode', '--url', 'https://engine-3.invalid:9464'], env);
    expect(encrypted.status).toBe(1);
  });

  it('does not follow a redirect with the token, and shows no control characters of a server', async () => {
    let second = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (chunk) => {
        if (String(chunk).includes('/elsewhere')) second++;
        const body = '{"error":"a\\u001b[31m","message":"b\\nc"}';
        socket.end(
          String(chunk).includes('/admin/mode')
            ? 'HTTP/1.1 307 Over There\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'
            : `HTTP/1.1 500 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    const redirected = await ackgate(['mode', '--url', url], { ACKGATE_ADMIN_TOKEN: token });
    expect([redirected.status, second]).toEqual([1, 0]);
    const { stderr } = await ackgate(['directives', 'list', '--url', url], { ACKGATE_ADMIN_TOKEN: token });
    expect(stderr).toContain('answered 500 (a?[31m: b?c)');
  });
});
