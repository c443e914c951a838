import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AdminRig, RawClient, token } from './support/admin.js';
import { until } from './support/stage.js';

// Slow, broken and hostile clients: they are answered or thrown out, the server goes on, and the stage never notices.

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
const post = (path: string, more: string, body = '') =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}\r\n\r\n${body}`;

/** Times that a test can wait for. */
const hasty = { headersMs: 150, requestMs: 300, idleMs: 400, keepAliveMs: 150 };

async function expectAlive(admin: AdminRig) {
  expect((await admin.ask('/health')).body).toMatchObject({ ok: true });
}

describe('what is not HTTP as it should be', () => {
  it.each<[string, string]>([
    ['noise', '\x00\x01\x02\xff\xfe'.repeat(20)],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/0.9', 'GET /health\r\n\r\n'],
    ['HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9.9', 'GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n'],
    ['an unknown method', 'STEAL /health HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a method in lower case', 'get /health HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['another site', get('http://evil.example/admin/mode')],
    ['this site as an absolute URL', get('http://localhost/health')],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a line break in the path', 'GET /hea\nlth HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a space in the path', 'GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a folded header', get('/health', 'X-A: b\r\n continued: yes\r\n')],
    ['a bare line feed', 'GET /health HTTP/1.1\nHost: localhost\n\n'],
    ['a carriage return in a header', get('/health', 'X-A: b\rX-B: c\r\n')],
    ['a NUL in a header', get('/health', 'X-A: b\x00c\r\n')],
    ['a space before the colon', get('/health', 'Authorization : Bearer x\r\n')],
    ['two hosts', get('/health', 'Host: evil.example\r\n')],
  ])('%s is answered with 400 and closed', async (_, text) => {
    const admin = await AdminRig.start();
    const received = await RawClient.untilClosed(admin.port, withClose(text));
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(received.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    await expectAlive(admin);
  });

  it.each<[string, string]>([
    [
      'a length and chunks',
      post('/admin/mode', 'Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    ],
    ['two lengths', post('/admin/mode', 'Content-Length: 0\r\nContent-Length: 40', get('/admin/mode'))],
    ['a list of lengths', post('/admin/mode', 'Content-Length: 0, 40', get('/admin/mode'))],
    ['a negative length', post('/admin/mode', 'Content-Length: -1')],
    ['a length with a sign', post('/admin/mode', 'Content-Length: +2', '{}')],
    ['a hexadecimal length', post('/admin/mode', 'Content-Length: 0x2', '{}')],
    ['an endless length', post('/admin/mode', `Content-Length: ${'9'.repeat(40)}`)],
    ['another coding', post('/admin/mode', 'Transfer-Encoding: xchunked', '0\r\n\r\n')],
    ['a coding after chunks', post('/admin/mode', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n')],
    ['a chunk that is no number', post('/admin/mode', 'Transfer-Encoding: chunked', 'zz\r\n{}\r\n0\r\n\r\n')],
    ['a negative chunk', post('/admin/mode', 'Transfer-Encoding: chunked', '-2\r\n{}\r\n0\r\n\r\n')],
  ])('a body that could be read in two ways, %s, smuggles nothing', async (_, text) => {
    const admin = await AdminRig.start();
    // What comes behind must not be taken for a request of its own.
    const received = await RawClient.untilClosed(
      admin.port,
      `${text}${post('/admin/mode', 'Content-Length: 17', '{"mode":"hybrid"}')}`,
    );
    expect(received).not.toContain(' 200 ');
    expect(received.match(/HTTP\/1\.1 \d+/g)?.length ?? 0).toBeLessThanOrEqual(1);
    await admin.rig.settled();
    expect(admin.rig.stage.status().mode).toBe('local');
    await expectAlive(admin);
  });

  it('a path that would split a header of the answer stays where it is', async () => {
    const admin = await AdminRig.start();
    const { headers, status } = await admin.ask('/x%0d%0aSet-Cookie:%20a=b');
    expect([status, headers['set-cookie']]).toEqual([404, undefined]);
  });

  it('a long path is 414, long headers are 431', async () => {
    const admin = await AdminRig.start();
    expect((await admin.ask(`/${'a'.repeat(2048)}`)).status).toBe(414);
    expect((await admin.ask(`/health?${'a'.repeat(2000)}`)).status).toBe(200);
    const headers = get('/health', `X-A: ${'a'.repeat(17_000)}\r\n`);
    expect(await RawClient.untilClosed(admin.port, headers)).toMatch(/^HTTP\/1\.1 431 /);
    const many = get('/health', `X-A: ${'a'.repeat(100)}\r\n`.repeat(200));
    expect(await RawClient.untilClosed(admin.port, many)).toMatch(/^HTTP\/1\.1 431 /);
    await expectAlive(admin);
  });

  it('CONNECT and upgrades lead nowhere', async () => {
    const admin = await AdminRig.start();
    const connect = 'CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n';
    expect(await RawClient.untilClosed(admin.port, connect)).not.toContain(' 200 ');
    const upgrade = get('/health', 'Connection: Upgrade\r\nUpgrade: websocket\r\n');
    const client = await RawClient.connect(admin.port);
    client.socket.write(upgrade);
    await until('it is answered', () => client.received.includes('"ok":true'));
    expect(client.received).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('a body is asked for only after all that can be wrong without it', async () => {
    const admin = await AdminRig.start();
    const expecting = 'Expect: 100-continue\r\nContent-Length: 17';
    const wrong = post('/admin/mode', expecting).replace(token, 'wrong');
    const refused = await RawClient.untilClosed(admin.port, wrong);
    expect(refused).toMatch(/^HTTP\/1\.1 401 /);
    const large = post('/admin/mode', 'Expect: 100-continue\r\nContent-Length: 2000000');
    expect(await RawClient.untilClosed(admin.port, large)).toMatch(/^HTTP\/1\.1 413 /);
    const client = await RawClient.connect(admin.port);
    client.socket.write(post('/admin/mode', `${expecting}\r\nConnection: close`));
    await until('it may go on', () => client.received === 'HTTP/1.1 100 Continue\r\n\r\n');
    client.socket.write('{"mode":"hybrid"}');
    expect(await client.untilClosed()).toContain('HTTP/1.1 200 OK');
  });
});

/** Open in this process, which is both ends of every connection. */
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Where the text leaves the connection open, the next request is the last. */
function withClose(text: string): string {
  return text.replace(/Host: localhost\r\n/, 'Host: localhost\r\nConnection: close\r\n');
}

describe('clients that are slow', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['half a request line', 'GET /hea'],
    ['half a header', 'GET /health HTTP/1.1\r\nHost: loc'],
    ['half a body', post('/admin/mode', 'Content-Length: 17', '{"mode":')],
    ['half a chunk', post('/admin/mode', 'Transfer-Encoding: chunked', '11\r\n{"mode":')],
    ['nothing of the body', post('/admin/directives', 'Content-Length: 1000000')],
  ])('%s, and then silence, ends', async (_, text) => {
    const admin = await AdminRig.start({ limits: hasty });
    const received = await RawClient.untilClosed(admin.port, text);
    expect(received === '' || received.startsWith('HTTP/1.1 408 ')).toBe(true);
    expect(admin.rig.stage.status().mode).toBe('local');
    await expectAlive(admin);
  });

  it('a header that trickles, and a body that trickles, end', async () => {
    const admin = await AdminRig.start({ limits: hasty });
    const starts = ['GET /health HTTP/1.1\r\nX: ', post('/admin/mode', 'Content-Length: 10000')];
    for (const start of starts) {
      const client = await RawClient.connect(admin.port);
      client.socket.write(start);
      const trickle = setInterval(() => client.socket.write(' '), 20);
      await client.untilClosed();
      clearInterval(trickle);
    }
    await expectAlive(admin);
  });

  it('bodies that never end leave room for others', async () => {
    const admin = await AdminRig.start({ limits: { bodies: 2, headersMs: 1000, requestMs: 2000 } });
    const half = post('/admin/mode', 'Content-Length: 17', '{"mode":');
    const slow = [await RawClient.connect(admin.port), await RawClient.connect(admin.port)];
    for (const client of slow) client.socket.write(half);
    for (;;) {
      const { status, headers, body } = await admin.ask('/admin/mode', { body: '{"mode":"local"}' });
      if (status === 200) continue; // the slow ones are not in yet
      expect([status, body.error, headers['retry-after']]).toEqual([503, 'busy', '1']);
      break;
    }
    await Promise.all(slow.map((client) => client.untilClosed()));
    expect((await admin.ask('/admin/mode', { body: '{"mode":"local"}' })).status).toBe(200);
  });

  it('one that asks and asks and never reads ends, and costs little', async () => {
    const admin = await AdminRig.start({ limits: { requestsPerConnection: 1_000_000 } });
    const client = await RawClient.connect(admin.port);
    client.socket.pause();
    const before = process.memoryUsage().rss;
    // A socket that is paused hears of its end only when it writes.
    for (let asked = 0; !client.closed; asked++) {
      client.socket.write(get('/'));
      if (asked % 4 === 3) await admin.ask('/health');
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
    await expectAlive(admin);
  });

  it('one that does not read a large answer ends', async () => {
    // More than the kernel keeps.
    const admin = await AdminRig.start({ limits: hasty, metrics: () => 'x'.repeat(30 << 20) });
    const client = await RawClient.connect(admin.port);
    client.socket.pause();
    const both = descriptors();
    client.socket.write(get('/metrics'));
    // A paused socket does not hear of its end, but the server's is ours too.
    await until("the server's end is gone", () => descriptors() < both);
    client.socket.resume();
    expect((await client.untilClosed()).length).toBeLessThan(30 << 20);
    await expectAlive(admin);
  });

  it('one that does not wait for answers before it asks again has its connection ended', async () => {
    const admin = await AdminRig.start();
    const few = await RawClient.untilClosed(
      admin.port,
      get('/health').repeat(7) + get('/health', 'Connection: close\r\n'),
    );
    expect(few.match(/"ok":true/g)).toHaveLength(8);
    const many = await RawClient.untilClosed(admin.port, get('/').repeat(2000));
    expect(many.match(/<!doctype/gi)?.length ?? 0).toBeLessThanOrEqual(8);
    await expectAlive(admin);
  });

  it('1,000 idle connections keep nobody out, and are not kept', async () => {
    const patient = { headersMs: 60_000, requestMs: 60_000, idleMs: 60_000 };
    const admin = await AdminRig.start({ limits: { connections: 64, ...patient } });
    const before = descriptors();
    const idle: RawClient[] = [];
    for (let times = 0; times < 1000; times++) idle.push(await RawClient.connect(admin.port));
    await expectAlive(admin);
    await until('the oldest are gone', () => idle.filter(({ closed }) => !closed).length <= 64);
    expect(descriptors() - before).toBeLessThan(64 * 2 + 20);
    expect((await admin.ask('/admin/mode')).status).toBe(200);
  });

  it('a request under way is not what makes room', async () => {
    let give = (_: string) => {};
    const slow = new Promise<string>((resolve) => {
      give = resolve;
    });
    const admin = await AdminRig.start({ limits: { connections: 8 }, metrics: () => slow });
    const client = await RawClient.connect(admin.port);
    client.socket.write(get('/metrics', 'Connection: close\r\n'));
    await admin.ask('/health');
    const idle: RawClient[] = [];
    for (let times = 0; times < 30; times++) idle.push(await RawClient.connect(admin.port));
    await until('some are gone', () => idle.filter(({ closed }) => closed).length >= 20);
    give('fine 1\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 200 [\s\S]*fine 1\n$/);
  });

  it('one connection asks only so often', async () => {
    const admin = await AdminRig.start({ limits: { requestsPerConnection: 3 } });
    const received = await RawClient.untilClosed(admin.port, get('/health').repeat(6));
    expect(received.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });
});

describe('close', () => {
  it('ends at once with every kind of connection open', async () => {
    const never = new Promise<string>(() => {});
    const admin = await AdminRig.start({ metrics: () => never });
    const texts = [
      '',
      'GET /hea',
      get('/health'),
      get('/metrics'),
      post('/admin/mode', 'Content-Length: 17', '{"mode":'),
    ];
    const clients = await Promise.all(texts.map(() => RawClient.connect(admin.port)));
    for (const [i, text] of texts.entries()) clients[i].socket.write(text);
    clients[2].socket.pause();
    await admin.ask('/health');
    const since = performance.now();
    await admin.server.close();
    // Nothing that is waited for here takes less than five seconds.
    expect(performance.now() - since).toBeLessThan(2500);
    clients[2].socket.resume();
    await Promise.all(clients.map((client) => client.untilClosed()));
    expect(admin.rig.stage.status().state).toBe('running');
  });
});

describe('a flood', () => {
  it('of thousands of bad requests: every client of the stage still gets every answer', async () => {
    const admin = await AdminRig.start({}, { policy: 'in_memory>=1' });
    const { id, client } = await admin.rig.attach();
    const bad = [
      get('/admin/mode', 'Authorization: Bearer wrong\r\n'),
      get('/nothing'),
      get('/health', 'Origin: https://evil.example\r\n'),
      get('/status'),
      post('/admin/mode', 'Content-Length: 2', '{}'),
      post('/admin/directives', 'Content-Length: 5', '{"a":'),
      post('/admin/directives', 'Content-Length: 2000000'),
      'noise\r\n\r\n',
    ];
    let sent = 0;
    let over = false;
    const flood = async (first: number) => {
      for (let i = first; !over; i++) {
        const text = bad[i % bad.length].repeat(i % 10 === 0 ? 100 : 5);
        const socket = await RawClient.connect(admin.port).catch(() => null);
        socket?.socket.end(text, 'latin1');
        sent += 5;
        if (socket !== null) await Promise.race([socket.untilClosed(), sleep(200)]);
        socket?.socket.destroy();
      }
    };
    const floods = Array.from({ length: 16 }, (_, i) => flood(i));
    let published = 0;
    while (sent < 5000 || published < 2000) {
      admin.rig.publish({ id, seq: ++published });
      if (published % 10 === 0) await sleep(1);
    }
    const answers = await client.untilAnswers(published);
    over = true;
    await Promise.all(floods);
    expect(answers).toEqual(Array.from({ length: published }, (_, i) => i + 1));
    expect(admin.rig.dropped).toEqual([]);
    const { state, mode, directivesRevision } = admin.rig.stage.status();
    expect({ state, mode, directivesRevision }).toEqual({
      state: 'running',
      mode: 'custom',
      directivesRevision: 0,
    });
    expect(admin.audits.length).toBeLessThan(100);
    await expectAlive(admin);
  });
});
