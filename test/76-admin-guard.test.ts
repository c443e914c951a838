import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer } from '#ackgate/admin/index.js';
import { AdminRig, ask, RawClient, type Reply, token } from './support/admin.js';
import { Rig } from './support/stage.js';

// Who may call what. Nothing here may change anything: the mode and the revision are looked at after every refusal.

const change = { body: '{"mode":"hybrid"}' };

async function expectUnchanged({ rig, store }: AdminRig) {
  await rig.settled();
  expect(rig.stage.status().mode).toBe('local');
  expect(store.load().revision).toBe(0);
}

describe('without a token or a store', () => {
  it.each([undefined, ''])(
    'token %j: everything under /admin answers like any path that is not there',
    async (none) => {
      const rig = await Rig.start();
      const server = await startAdminServer({ stage: rig.stage, ...(none !== undefined && { token: none }) });
      onTestFinished(() => server.close());
      const nowhere = await ask(server.port, '/nowhere');
      for (const path of ['/admin/mode', '/admin/directives', '/admin/capture']) {
        for (const headers of [{}, { Authorization: 'Bearer ' }, { Authorization: 'Bearer' }]) {
          const { status, text } = await ask(server.port, path, { authorized: false, headers });
          expect([path, status, text]).toEqual([path, 404, nowhere.text]);
        }
        expect((await ask(server.port, path, { method: 'DELETE' })).status).toBe(404);
      }
    },
  );

  it('there are no directives without a store, but a mode', async () => {
    const rig = await Rig.start();
    const server = await startAdminServer({ stage: rig.stage, token });
    onTestFinished(() => server.close());
    expect((await ask(server.port, '/admin/directives')).status).toBe(404);
    expect((await ask(server.port, '/admin/mode')).status).toBe(200);
  });
});

describe('the token', () => {
  const almost = token.slice(0, -1);
  const cases: [string, string | string[] | undefined][] = [
    ['none', undefined],
    ['an empty header', ''],
    ['no token', 'Bearer'],
    ['an empty token', 'Bearer '],
    ['another token', 'Bearer wrong'],
    ['one character less', `Bearer ${almost}`],
    ['one character more', `Bearer ${token}x`],
    ['another last character', `Bearer ${almost}8`],
    ['another case', `Bearer ${token.toUpperCase()}`],
    ['another scheme', `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`],
    ['no scheme', token],
    ['two tokens', `Bearer ${token} ${token}`],
    ['a list', `Bearer ${token}, Bearer ${token}`],
    ['a tab between', `Bearer\t${token}`],
    ['the words true and null', 'Bearer null'],
    ['a very long one', `Bearer ${'a'.repeat(10_000)}`],
  ];

  it.each(cases)('%s is refused with 401', async (_, header) => {
    const admin = await AdminRig.start();
    const headers = header === undefined ? {} : { Authorization: header };
    for (const path of ['/admin/mode', '/admin/directives', '/admin/capture']) {
      const { status, headers: answered, body } = await admin.ask(path, { authorized: false, headers });
      expect([path, status, body.error]).toEqual([path, 401, 'unauthorized']);
      expect(answered['www-authenticate']).toBe('Bearer realm="ackgate"');
    }
    const post = await admin.ask('/admin/mode', { ...change, authorized: false, headers });
    expect(post.status).toBe(401);
    await expectUnchanged(admin);
  });

  it('is refused when it comes twice, even if one of them is right', async () => {
    const admin = await AdminRig.start();
    for (const other of ['wrong', token]) {
      const text = `GET /admin/mode HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nAuthorization: Bearer ${other}\r\nConnection: close\r\n\r\n`;
      expect(await RawClient.untilClosed(admin.port, text)).toMatch(/^HTTP\/1.1 401 /);
    }
  });

  it('is taken with the scheme in any case, and never from the query or a cookie', async () => {
    const admin = await AdminRig.start();
    const headers = { Authorization: `bEARER ${token}` };
    expect((await admin.ask('/admin/mode', { authorized: false, headers })).status).toBe(200);
    const query = await admin.ask(`/admin/mode?token=${token}&access_token=${token}`, { authorized: false });
    expect(query.status).toBe(401);
    const cookie = { Cookie: `token=${token}; Authorization=Bearer ${token}` };
    expect((await admin.ask('/admin/mode', { authorized: false, headers: cookie })).status).toBe(401);
  });

  it('is asked for before anything of the body is looked at', async () => {
    const admin = await AdminRig.start();
    const wrong = { authorized: false, headers: { 'Content-Type': 'text/plain' } };
    expect((await admin.ask('/admin/mode', { ...wrong, body: 'x'.repeat(2 << 20) })).status).toBe(401);
    expect((await admin.ask('/admin/directives', { ...wrong, body: '{' })).status).toBe(401);
    expect((await admin.ask('/admin/mode', { ...wrong, method: 'DELETE' })).status).toBe(405);
  });
});

describe('pages of other sites', () => {
  it.each([
    'evil.example',
    'evil.example:80',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    'evil.example#localhost',
    '192.0.2.9',
    '[2001:db8::1]',
    '128.0.0.1',
    '1127.0.0.1',
    '127.999.1.1',
    '127.0.0.1.1',
    'localhost localhost',
  ])('a name that only leads here, %s, is refused everywhere on loopback', async (host) => {
    const admin = await AdminRig.start();
    for (const path of ['/', '/health', '/status', '/metrics', '/admin/mode', '/nothing']) {
      const { status, body } = await admin.ask(path, { headers: { Host: host } });
      expect([path, status, body.error]).toEqual([path, 421, 'foreign_host']);
    }
    expect((await admin.ask('/admin/mode', { ...change, headers: { Host: host } })).status).toBe(421);
    await expectUnchanged(admin);
  });

  it.each(['localhost', 'LOCALHOST:9464', '127.0.0.1', '127.0.0.1:1', '127.9.9.9', '[::1]', '[::1]:9464'])(
    'loopback by the name %s is served',
    async (host) => {
      const admin = await AdminRig.start();
      expect((await admin.ask('/admin/mode', { headers: { Host: host } })).status).toBe(200);
    },
  );

  it('names that are configured are served', async () => {
    const admin = await AdminRig.start({ hostNames: ['Engine-3.example'] });
    expect((await admin.ask('/health', { headers: { Host: 'engine-3.example:9464' } })).status).toBe(200);
    expect((await admin.ask('/health', { headers: { Host: 'engine-4.example' } })).status).toBe(421);
  });

  it('a probe of HTTP/1.0 needs no Host, one of 1.1 does', async () => {
    const admin = await AdminRig.start();
    expect(await RawClient.untilClosed(admin.port, 'GET /health HTTP/1.0\r\n\r\n')).toMatch(
      /^HTTP\/1.1 200 /,
    );
    expect(await RawClient.untilClosed(admin.port, 'GET /health HTTP/1.1\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 /,
    );
  });

  it.each([
    'https://evil.example',
    'http://localhost.evil.example',
    'null',
    'http://127.0.0.1',
    'http://127.0.0.1:1',
    'file://',
    'http://user@127.0.0.1',
    '',
  ])('a call of a page at %j is refused, even with the token', async (origin) => {
    const admin = await AdminRig.start();
    for (const path of ['/admin/mode', '/admin/directives']) {
      const { status, body } = await admin.ask(path, { ...change, headers: { Origin: origin } });
      expect([status, body.error]).toEqual([403, 'foreign_origin']);
    }
    expect((await admin.ask('/admin/capture', { headers: { Origin: origin } })).status).toBe(403);
    await expectUnchanged(admin);
  });

  it("the server's own page may call", async () => {
    const admin = await AdminRig.start();
    for (const host of [`127.0.0.1:${admin.port}`, `localhost:${admin.port}`]) {
      const headers = { Host: host, Origin: `http://${host}` };
      expect((await admin.ask('/admin/mode', { headers, body: '{"mode":"local"}' })).status).toBe(200);
    }
  });

  it('a preflight is answered without leave', async () => {
    const admin = await AdminRig.start();
    const headers = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' };
    const { status, headers: answered } = await admin.ask('/admin/mode', { method: 'OPTIONS', headers });
    expect(status).toBe(405);
    expect(Object.keys(answered).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

/** An address of this machine that is not loopback's: connections to it come from it. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((at) => at?.family === 'IPv4' && !at.internal)?.address;
if (outside === undefined)
  console.warn('skipped: calls from another host, for this machine has loopback only');

describe.skipIf(outside === undefined)('from another host than loopback', () => {
  it('cleartext admin calls are refused before the token is looked at, the rest is served', async () => {
    const admin = await AdminRig.start({ host: '0.0.0.0' });
    expect(admin.server.url).toBe(`http://127.0.0.1:${admin.port}`);
    for (const authorized of [true, false]) {
      const { status, body } = await ask(admin.port, '/admin/mode', { ...change, authorized }, outside);
      expect([status, body.error]).toEqual([403, 'cleartext']);
    }
    expect((await ask(admin.port, '/admin/mode', { method: 'DELETE' }, outside)).status).toBe(405);
    for (const path of ['/health', '/ready', '/status', '/metrics', '/']) {
      expect([path, (await ask(admin.port, path, {}, outside)).status]).toEqual([path, 200]);
    }
    // A header says nothing about who is at the other end.
    const forwarded = {
      'X-Forwarded-For': '127.0.0.1',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'for=127.0.0.1',
    };
    expect((await ask(admin.port, '/admin/mode', { headers: forwarded }, outside)).status).toBe(403);
    await expectUnchanged(admin);
    expect((await admin.ask('/admin/mode')).status).toBe(200);
    expect(admin.log[0]).toEqual({
      level: 'warn',
      fields: { address: '0.0.0.0' },
      message: 'admin calls from other hosts are refused, for they would come over cleartext: configure tls',
    });
  });

  it('are taken when that is allowed, with a warning at the start', async () => {
    const admin = await AdminRig.start({ host: '0.0.0.0', allowCleartext: true });
    expect((await ask(admin.port, '/admin/mode', change, outside)).status).toBe(200);
    expect((await ask(admin.port, '/admin/mode', { authorized: false }, outside)).status).toBe(401);
    expect(admin.log[0]).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('can be read on the way'),
    });
  });

  it('are taken over TLS', async (context) => {
    const tls = certificate();
    if (tls === null) return context.skip('there is no openssl to make a certificate with');
    const admin = await AdminRig.start({ host: '0.0.0.0', tls });
    expect(admin.log).toEqual([]);
    expect(admin.server.url).toBe(`https://127.0.0.1:${admin.port}`);
    const headers = { Authorization: `Bearer ${token}` };
    expect(await askTls(admin.port, '/admin/mode', outside!, headers)).toMatchObject({ status: 200 });
    expect(await askTls(admin.port, '/admin/mode', outside!, {})).toMatchObject({ status: 401 });
    const host = `${outside}:${admin.port}`;
    const own = { ...headers, Host: host, Origin: `https://${host}` };
    expect(await askTls(admin.port, '/admin/mode', outside!, own)).toMatchObject({ status: 200 });
    const downgraded = { ...headers, Host: host, Origin: `http://${host}` };
    expect(await askTls(admin.port, '/admin/mode', outside!, downgraded)).toMatchObject({ status: 403 });
    // Cleartext to a TLS port is no HTTP.
    expect(await RawClient.untilClosed(admin.port, 'GET /health HTTP/1.0\r\n\r\n')).not.toContain('200');
    expect(await askTls(admin.port, '/health', outside!, {})).toMatchObject({ status: 200 });
  });
});

function certificate(): { key: string; cert: string } | null {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  try {
    const subject = ['-subj', '/CN=localhost', '-days', '1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    execFileSync('openssl', ['req', '-x509', '-nodes', ...curve, '-keyout', key, '-out', cert, ...subject], {
      stdio: 'ignore',
    });
  } catch {
    return null;
  }
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

function askTls(port: number, path: string, host: string, headers: Record<string, string>) {
  return new Promise<Pick<Reply, 'status' | 'text'>>((resolve, reject) => {
    const options = { host, port, path, headers, agent: false, rejectUnauthorized: false };
    const request = httpsRequest(options, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

describe('the audit', () => {
  it('names who, what and why for every refusal, and not the token', async () => {
    const admin = await AdminRig.start();
    await admin.ask('/admin/mode', { authorized: false, headers: { Authorization: 'Bearer guess-1' } });
    await admin.ask('/admin/mode', { authorized: false, headers: { Authorization: 'Bearer guess-1' } });
    await admin.ask('/admin/directives', { ...change, authorized: false });
    await admin.ask('/admin/mode', { ...change, headers: { Origin: 'https://evil.example' } });
    const [first, second, third, fourth] = admin.audits;
    const print = expect.stringMatching(/^[0-9a-f]{8}$/);
    expect(first).toEqual({
      level: 'warn',
      message: 'admin call refused',
      fields: {
        audit: true,
        who: { address: '127.0.0.1', token: print },
        action: 'GET /admin/mode',
        instance: 'engine-1',
        status: 401,
        reason: 'unauthorized',
      },
    });
    expect(second).toEqual(first);
    expect(third.fields).toMatchObject({
      who: { token: null },
      action: 'POST /admin/directives',
      status: 401,
    });
    expect(fourth.fields).toMatchObject({ who: { token: print }, status: 403, reason: 'foreign_origin' });
    expect(fourth.fields.who).not.toEqual(first.fields.who);
    expect(admin.audits).toHaveLength(4);
    expect(JSON.stringify(admin.log)).not.toMatch(/guess-1|a-token-of/);
  });

  it('tells tokens apart by what no other process can compute', async () => {
    const fingerprints = new Set<unknown>();
    for (let times = 0; times < 3; times++) {
      const admin = await AdminRig.start();
      await admin.ask('/admin/mode', { authorized: false, headers: { Authorization: 'Bearer guess' } });
      fingerprints.add((admin.audits[0].fields.who as { token: string }).token);
    }
    expect(fingerprints.size).toBe(3);
  });

  it('counts what a flood of refusals would have written, and tells at the end', async () => {
    const admin = await AdminRig.start();
    for (let times = 0; times < 200; times++) await admin.ask('/admin/mode', { authorized: false });
    const written = admin.audits.length;
    expect(written).toBeGreaterThanOrEqual(10);
    expect(written).toBeLessThan(50);
    await admin.server.close();
    const told = admin.audits.reduce((sum, { fields }) => sum + ((fields.unreported as number) ?? 0), 0);
    const single = admin.audits.filter(({ message }) => message === 'admin call refused').length;
    expect(told + single).toBe(200);
  });

  it('a logger that throws changes nothing', async () => {
    const boom = () => {
      throw new Error('disk full');
    };
    const logger = { debug: boom, info: boom, warn: boom, error: boom };
    const admin = await AdminRig.start({ logger });
    expect((await admin.ask('/admin/mode', { authorized: false })).status).toBe(401);
    expect((await admin.ask('/admin/mode', change)).status).toBe(200);
    expect((await admin.publish([])).status).toBe(200);
  });
});
