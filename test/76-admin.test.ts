import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer } from '#ackgate/admin/index.js';
import { InMemoryStore } from '#ackgate/directives/index.js';
import { createInlineStage, type StageStatus } from '#ackgate/index.js';
import { AdminRig, ask, token } from './support/admin.js';
import { Rig, until } from './support/stage.js';

// What each path answers, and that it is all there by default on loopback only.

describe('/health', () => {
  it('is 200 while the stage runs', async () => {
    const admin = await AdminRig.start();
    const { status, body } = await admin.ask('/health');
    expect({ status, body }).toEqual({
      status: 200,
      body: { ok: true, reasons: [], state: 'running', lastRoundMs: expect.any(Number) },
    });
  });

  it('stays 200 while a stage has nothing to do for longer than the limit', async () => {
    const admin = await AdminRig.start({ hangMs: 500 });
    const since = performance.now();
    await until('the limit is over twice', () => performance.now() > since + 1000);
    expect((await admin.ask('/health')).body).toMatchObject({ ok: true });
  });

  it('is 503 when the stage hangs, and 200 again when it goes on', async () => {
    // A stage whose loop is ours hangs when we don't turn it.
    const stage = createInlineStage({ connections: 4 });
    const server = await startAdminServer({ stage, hangMs: 50 });
    onTestFinished(async () => {
      await server.close();
      const ended = stage.close({ drainMs: 0 });
      while (stage.status().state !== 'closed') stage.doWork();
      await ended;
    });
    stage.doWork();
    const since = performance.now();
    await until('the limit is over', () => performance.now() > since + 60);
    expect(await ask(server.port, '/health')).toMatchObject({
      status: 503,
      body: { ok: false, reasons: ['hung'], state: 'running' },
    });
    expect((await ask(server.port, '/ready')).body.reasons).toEqual(['hung']);
    // The status is written on a tick of the stage's own.
    const turn = setInterval(() => stage.doWork(), 1);
    onTestFinished(() => clearInterval(turn));
    for (;;) {
      const { status } = await ask(server.port, '/health');
      if (status === 200) break;
    }
  });

  it('is 503 and says why when the stage is fenced, and when it is closed', async () => {
    const admin = await AdminRig.start();
    await admin.rig.stage.fence(1);
    await until('the fence shows', () => admin.rig.stage.status().state === 'fenced');
    expect(await admin.ask('/health')).toMatchObject({ status: 503, body: { reasons: ['fenced'] } });
    expect(await admin.ask('/ready')).toMatchObject({ status: 503, body: { reasons: ['fenced'] } });
    await admin.rig.stage.close({ drainMs: 0 });
    expect(await admin.ask('/health')).toMatchObject({ status: 503, body: { reasons: ['closed'] } });
  });

  it('is 200 while draining, when /ready is 503 already', async () => {
    const admin = await AdminRig.start();
    const { stage } = admin.rig;
    const { id } = await admin.rig.attach();
    // Held for ever: nothing makes it durable.
    admin.rig.publish({ id, seq: 1 });
    await admin.rig.settled();
    const closed = stage.close({ drainMs: 1000 });
    await until('it drains', () => stage.status().state === 'draining');
    const [health, ready] = await Promise.all([admin.ask('/health'), admin.ask('/ready')]);
    if (stage.status().state === 'draining') {
      expect(health).toMatchObject({ status: 200, body: { ok: true, state: 'draining' } });
      expect(ready).toMatchObject({ status: 503, body: { ok: false, reasons: ['draining'] } });
    }
    await closed;
  });
});

describe('/ready', () => {
  it('is 200 while it can acknowledge', async () => {
    const admin = await AdminRig.start({ journal: { failure: null } });
    expect(await admin.ask('/ready')).toMatchObject({ status: 200, body: { ok: true, reasons: [] } });
  });

  it('is 503 while the policy is degraded, unless that is tolerated', async () => {
    const admin = await AdminRig.start({}, { policy: 'durably-replicated' });
    const { stage } = admin.rig;
    await until('it shows', () => stage.status().policyDegraded === 1);
    expect(await admin.ask('/ready')).toMatchObject({ status: 503, body: { reasons: ['degraded'] } });
    expect((await admin.ask('/health')).status).toBe(200);
    const tolerant = await startAdminServer({ stage, readyWhenDegraded: true });
    onTestFinished(() => tolerant.close());
    expect((await ask(tolerant.port, '/ready')).status).toBe(200);
  });

  it('is 503 when the journal has failed, and lists every reason', async () => {
    const admin = await AdminRig.start({ journal: { failure: new Error('disk') } }, { policy: 'replicated' });
    await until('it shows', () => admin.rig.stage.status().policyDegraded === 1);
    const { status, body } = await admin.ask('/ready');
    expect(status).toBe(503);
    expect(body.reasons).toEqual(['degraded', 'journal_failed']);
  });

  it('is 503 from a withdrawal on, when /health and all else are as before', async () => {
    const admin = await AdminRig.start();
    const before = await admin.ask('/health');
    expect((await admin.ask('/ready')).status).toBe(200);
    admin.server.withdraw();
    admin.server.withdraw();
    expect(await admin.ask('/ready')).toMatchObject({
      status: 503,
      body: { ok: false, reasons: ['shutting_down'], state: 'running' },
    });
    expect(await admin.ask('/health')).toMatchObject({
      status: before.status,
      body: { ok: true, reasons: [] },
    });
    expect((await admin.ask('/status')).status).toBe(200);
    expect((await admin.ask('/admin/directives')).status).toBe(200);
  });

  it('names a withdrawal before what else is wrong', async () => {
    const admin = await AdminRig.start({ journal: { failure: new Error('disk') } });
    admin.server.withdraw();
    expect((await admin.ask('/ready')).body.reasons).toEqual(['shutting_down', 'journal_failed']);
  });

  const waitTooLong = async ({ rig }: AdminRig, hangMs: number) => {
    const { id } = await rig.attach();
    rig.publish({ id, seq: 5 });
    const hasWaited = ({ gateClosedSinceNs, statusNs }: StageStatus) =>
      gateClosedSinceNs > 0 && statusNs - gateClosedSinceNs > hangMs * 1e6;
    await until('it has waited too long', () => hasWaited(rig.stage.status()));
  };

  it('is 503 once the first record has waited for too long, until it goes', async () => {
    const admin = await AdminRig.start({ hangMs: 100 });
    const { stage } = admin.rig;
    expect((await admin.ask('/ready')).status).toBe(200);
    await waitTooLong(admin, 100);
    // Others are more patient.
    const patient = await startAdminServer({ stage, hangMs: 600_000 });
    onTestFinished(() => patient.close());
    expect((await ask(patient.port, '/ready')).status).toBe(200);
    const { status, body } = await admin.ask('/ready');
    expect([status, body.reasons.filter((reason: string) => reason !== 'hung')]).toEqual([
      503,
      ['gate_closed'],
    ]);
    stage.cursors.primary.advance(5);
    await until('it has gone', () => stage.status().gateClosedSinceNs === 0);
    expect((await ask(patient.port, '/ready')).body.reasons).toEqual([]);
  });

  it('tolerates what a degraded policy holds back, where that is tolerated', async () => {
    const options = { hangMs: 100, readyWhenDegraded: true };
    const admin = await AdminRig.start(options, { policy: 'durably-replicated' });
    await until('it shows', () => admin.rig.stage.status().policyDegraded === 1);
    await waitTooLong(admin, 100);
    expect((await admin.ask('/ready')).body.reasons).not.toContain('gate_closed');
  });
});

describe('/metrics', () => {
  it('is what prom-client makes of the stage', async () => {
    const admin = await AdminRig.start();
    const { status, headers, text } = await admin.ask('/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/plain; version=/);
    expect(text).toMatch(/^# TYPE ackgate_/m);
  });

  it('is what the option says, made once for calls at the same time', async () => {
    let made = 0;
    let give = (_: string) => {};
    const text = new Promise<string>((resolve) => {
      give = resolve;
    });
    const metrics = () => {
      made++;
      return text;
    };
    const admin = await AdminRig.start({ metrics });
    const asked = Promise.all(Array.from({ length: 20 }, () => admin.ask('/metrics')));
    await until('one has begun', () => made > 0);
    // All are in the server by the time that a later request is answered.
    await admin.ask('/health');
    give('my_metric 1\n');
    for (const { status, text } of await asked) expect([status, text]).toEqual([200, 'my_metric 1\n']);
    expect(made).toBeLessThan(20);
    expect(await admin.ask('/metrics')).toMatchObject({ status: 200, text: 'my_metric 1\n' });
  });

  it('is 500 when they fail, says nothing of why to the client, and works again later', async () => {
    let fails = true;
    const metrics = () => {
      if (fails) throw new Error('secret reason');
      return 'fine 1\n';
    };
    const admin = await AdminRig.start({ metrics });
    const { status, body, text } = await admin.ask('/metrics');
    expect([status, body.error]).toEqual([500, 'internal']);
    expect(text).not.toContain('secret');
    expect(admin.log.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'an admin request failed'],
    ]);
    fails = false;
    expect((await admin.ask('/metrics')).text).toBe('fine 1\n');
  });
});

describe('/status', () => {
  it('has what the page shows', async () => {
    const admin = await AdminRig.start({ extra: () => ({ orders: 5 }) });
    const { status, body } = await admin.ask('/status');
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual([
      'nowUnixMs',
      'nowNs',
      'status',
      'timings',
      'supervisor',
      'directives',
      'diagnosis',
      'admin',
      'modes',
      'instance',
      'app',
    ]);
    expect(body).toMatchObject({
      status: { state: 'running', mode: 'local', policy: 'persisted>=1' },
      directives: { revision: 0, active: 0, lastError: null },
      diagnosis: { baseline: 'off', kinds: ['order', 'cancel'] },
      admin: { directives: true, mode: true },
      modes: ['local', 'hybrid', 'durably-replicated', 'replicated'],
      instance: 'engine-1',
      app: { orders: 5 },
    });
    expect(Object.keys(body.timings)).toEqual(Object.keys(admin.rig.stage.timings));
    expect(body.timings.encode).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 });
  });

  it('writes an infinite position as a word', async () => {
    const admin = await AdminRig.start({}, { policy: 'in_memory>=1' });
    await admin.rig.settled();
    expect((await admin.ask('/status')).body.status.durablePos).toBe('unbounded');
  });

  it('counts the directives that are on, and tells of no secrets', async () => {
    const admin = await AdminRig.start();
    await admin.publish([{ id: 'a', level: 'shape', ttlSecs: 60 }]);
    const { body, text } = await admin.ask('/status');
    expect(body.directives).toMatchObject({ revision: 1, active: 1 });
    expect(text).not.toContain(token);
  });

  it('says what can not be done without a token or a store', async () => {
    const rig = await Rig.start();
    const server = await startAdminServer({ stage: rig.stage, page: false });
    onTestFinished(() => server.close());
    const { body } = await ask(server.port, '/status');
    expect(body).toMatchObject({
      directives: null,
      admin: { directives: false, mode: false },
      instance: null,
      app: null,
    });
  });

  it.each(['load', 'ageMs', 'lastError'])('goes on when %s of the store fails', async (name) => {
    const store = new InMemoryStore();
    const admin = await AdminRig.start({ directives: store });
    const get = () => {
      throw new Error('no store today');
    };
    Object.defineProperty(store, name, name === 'lastError' ? { get } : { value: get });
    const { status, body } = await admin.ask('/status');
    expect(status).toBe(200);
    expect(body.directives).toEqual({
      revision: null,
      active: null,
      ageMs: null,
      lastError: 'Error: no store today',
    });
    expect(body.status.state).toBe('running');
  });

  it('goes on when the figures of the application fail, and logs that once', async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const admin = await AdminRig.start({ extra: () => circle });
    for (let times = 0; times < 3; times++) {
      expect(await admin.ask('/status')).toMatchObject({ status: 200, body: { app: null } });
    }
    expect(admin.log.map(({ message }) => message)).toEqual(['the figures of the application failed']);
  });
});

describe('the page', () => {
  it('comes with a strict policy of its own', async () => {
    const admin = await AdminRig.start();
    const { status, headers, text } = await admin.ask('/');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(text).toMatch(/^<!doctype html>/i);
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  });

  it('is not there when it is not wanted', async () => {
    const admin = await AdminRig.start({ page: false });
    expect((await admin.ask('/')).status).toBe(404);
  });
});

describe('every answer', () => {
  const paths = [
    '/health',
    '/ready',
    '/metrics',
    '/status',
    '/',
    '/admin/mode',
    '/admin/directives',
    '/nothing',
  ];

  it.each(paths)('%s: is for no cache, frame, other site or guess at its type', async (path) => {
    const admin = await AdminRig.start();
    const { headers } = await admin.ask(path);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(
      Object.keys(headers).filter((name) => /^set-cookie|^access-control|^server$|^x-powered/.test(name)),
    ).toEqual([]);
  });

  it.each(paths)('%s: HEAD has the status of GET, and no body', async (path) => {
    const admin = await AdminRig.start();
    const [get, head] = [await admin.ask(path), await admin.ask(path, { method: 'HEAD' })];
    expect(head.status).toBe(get.status);
    expect(head.headers['content-type']).toBe(get.headers['content-type']);
    expect(head.text).toBe('');
  });

  it.each([
    ['/health', 'POST', 'GET, HEAD'],
    ['/ready', 'DELETE', 'GET, HEAD'],
    ['/metrics', 'PUT', 'GET, HEAD'],
    ['/status', 'OPTIONS', 'GET, HEAD'],
    ['/', 'POST', 'GET, HEAD'],
    ['/admin/directives', 'DELETE', 'GET, HEAD, POST'],
    ['/admin/directives', 'OPTIONS', 'GET, HEAD, POST'],
    ['/admin/mode', 'PATCH', 'GET, HEAD, POST'],
    ['/admin/mode', 'TRACE', 'GET, HEAD, POST'],
    ['/admin/capture', 'POST', 'GET, HEAD'],
    ['/admin/capture', 'PROPFIND', 'GET, HEAD'],
  ])('%s does not know %s', async (path, method, allow) => {
    const admin = await AdminRig.start();
    const { status, headers, body } = await admin.ask(path, { method });
    expect([status, headers.allow, body.error]).toEqual([405, allow, 'method_not_allowed']);
  });

  it.each([
    '/nothing',
    '/health/',
    '//health',
    '/Health',
    '/health%00',
    '/admin',
    '/admin/',
    '/admin%2fmode',
    '/admin/mode/',
    '/admin/../admin/mode',
    '/./admin/mode',
    '/admin\\mode',
    '/..%2f..%2fetc/passwd',
    '/%',
    '/%zz?%',
    '/admin/mode;x=1',
  ])('%s is not there', async (path) => {
    const admin = await AdminRig.start();
    const { status, body } = await admin.ask(path);
    expect([status, body.error]).toEqual([404, 'not_found']);
  });

  it('takes any query', async () => {
    const admin = await AdminRig.start();
    expect((await admin.ask('/health?a=%E0%A4%A&&==?&%00')).status).toBe(200);
  });
});

describe('starting and closing', () => {
  it('listens on loopback by default and says where', async () => {
    const admin = await AdminRig.start();
    expect(admin.server.url).toBe(`http://127.0.0.1:${admin.port}`);
    expect((await fetch(`${admin.server.url}/health`)).status).toBe(200);
  });

  it('says clearly that a port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const rig = await Rig.start();
    await expect(startAdminServer({ stage: rig.stage, port })).rejects.toMatchObject({
      name: 'AckgateError',
      code: 'ERR_ACKGATE_ADMIN_LISTEN',
      message: `the admin server can't listen on 127.0.0.1 port ${port}: something else listens there; choose another port, or 0 for any free one`,
    });
    await expect(startAdminServer({ stage: rig.stage, host: '203.0.113.7' })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_ADMIN_LISTEN',
      message: expect.stringContaining('this machine has no such address'),
    });
  });

  it('closes twice, leaves the stage alone, and does not answer afterwards', async () => {
    const admin = await AdminRig.start();
    await Promise.all([admin.server.close(), admin.server.close()]);
    await expect(admin.ask('/health')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(admin.rig.stage.status().state).toBe('running');
    const again = await startAdminServer({ stage: admin.rig.stage, port: admin.port });
    await again[Symbol.asyncDispose]();
  });

  it('answers on after the stage has closed', async () => {
    const admin = await AdminRig.start();
    await admin.rig.stage.close({ drainMs: 0 });
    for (const path of ['/status', '/metrics', '/', '/admin/directives', '/admin/mode', '/admin/capture']) {
      expect([path, (await admin.ask(path)).status]).toEqual([path, 200]);
    }
    const change = await admin.ask('/admin/mode', { body: '{"mode":"hybrid"}' });
    expect([change.status, change.body.error]).toEqual([503, 'stage_closed']);
  });

  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types may pass
  it.each<[any, string, string]>([
    [null, 'ERR_ACKGATE_INVALID_ARGUMENT', 'admin options'],
    [{}, 'ERR_ACKGATE_INVALID_ARGUMENT', 'stage'],
    [{ stage: {} }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'stage'],
    [{ prot: 5 }, 'ERR_ACKGATE_UNKNOWN_OPTION', 'did you mean port'],
    [{ port: -1 }, 'ERR_ACKGATE_OUT_OF_RANGE', 'port'],
    [{ port: '80' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'port'],
    [{ host: '' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'host'],
    [{ token: 5 }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'token'],
    [{ token: 'two words' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'token'],
    [{ token: 'line\n' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'token'],
    [{ token: 'schlüssel' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'token'],
    [{ directives: {} }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'directives'],
    [{ tls: {} }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'tls'],
    [{ tls: { key: 'x', cert: 'y' } }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'tls'],
    [{ logger: {} }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'logger'],
    [{ instance: '' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'instance'],
    [{ metrics: 'text' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'metrics'],
    [{ extra: {} }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'extra'],
    [{ journal: 5 }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'journal'],
    [{ hostNames: [''] }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'hostNames'],
    [{ hostNames: 'a' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'hostNames'],
    [{ hangMs: 0 }, 'ERR_ACKGATE_OUT_OF_RANGE', 'hangMs'],
    [{ allowCleartext: 'yes' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'allowCleartext'],
    [{ limits: { bodyBytes: 0 } }, 'ERR_ACKGATE_OUT_OF_RANGE', 'limits.bodyBytes'],
    [{ limits: { body: 5 } }, 'ERR_ACKGATE_UNKNOWN_OPTION', 'limits'],
  ])('refuses %j', async (options, code, names) => {
    const rig = await Rig.start();
    const given =
      options === null || 'stage' in options || Object.keys(options).length === 0 ? options : null;
    const call = startAdminServer(given ?? (options === null ? null : { stage: rig.stage, ...options }));
    await expect(call).rejects.toMatchObject({ code, message: expect.stringContaining(names) });
    await call.catch(({ message }) => expect(message).not.toMatch(/two words|schlüssel/));
  });
});
