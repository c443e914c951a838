import { describe, expect, it, onTestFinished } from 'vitest';
import { type TextSource, WatchedStore, type WatchedStoreOptions } from '#ackgate/directives/index.js';
import { AckgateError, monotonicNow } from '#ackgate/index.js';
import { AdminRig } from './support/admin.js';
import { ScriptedSource } from './support/scripted-source.js';
import { Tag, until } from './support/stage.js';

// Publishing directives, changing the mode and reading captures over a socket, on a real stage.

const path = '/admin/directives';
const shape = { id: 'a', level: 'shape', ttlSecs: 60 };

describe('publishing', () => {
  it('puts a set in force, says its revision, and leaves one audit line', async () => {
    const admin = await AdminRig.start();
    const before = Date.now();
    const { status, headers, body } = await admin.publish([{ ...shape, tenant: 'acme', kind: 'order' }]);
    expect([status, headers.etag, body]).toEqual([200, '"1"', { revision: 1 }]);
    const { directives } = admin.store.load();
    expect(directives).toEqual([
      { id: 'a', level: 'shape', tenant: 'acme', kind: 'order', expiresAt: expect.any(Number) },
    ]);
    expect(directives[0].expiresAt).toBeGreaterThanOrEqual(before + 60_000);
    await until('the stage follows', () => admin.rig.stage.status().directivesRevision === 1);
    expect(admin.log).toEqual([
      {
        level: 'info',
        message: 'directives published',
        fields: {
          audit: true,
          who: { address: '127.0.0.1', token: expect.stringMatching(/^[0-9a-f]{8}$/) },
          action: 'directives',
          from: 'revision 0: none',
          to: `revision 1: "a" shape tenant "acme" kind "order" until ${new Date(directives[0].expiresAt).toISOString()}`,
          revision: 1,
          instance: 'engine-1',
        },
      },
    ]);
  });

  it('what is listed can be published again as it is, with the same ends', async () => {
    const admin = await AdminRig.start();
    await admin.publish([
      { ...shape, connection: 7, samplePerMille: 10, salt: 's' },
      { id: 'b', level: 'capture', expiresAt: Date.now() + 5000, kind: 'cancel' },
    ]);
    const listed = await admin.ask(path);
    expect([listed.status, listed.headers.etag]).toEqual([200, '"1"']);
    expect(listed.body.directives[0]).toMatchObject({ id: 'a', ttlSecs: 60, connection: 7 });
    const { directives } = admin.store.load();
    const again = await admin.ask(path, { body: listed.text });
    expect(again).toMatchObject({ status: 200, body: { revision: 2 } });
    expect(admin.store.load().directives).toEqual(directives);
  });

  it('lists only what is on', async () => {
    const admin = await AdminRig.start();
    admin.store.publish([{ id: 'over', level: 'shape', expiresAt: Date.now() - 1 }]);
    expect((await admin.ask(path)).body).toEqual({ directives: [] });
  });

  it('an empty list clears', async () => {
    const admin = await AdminRig.start();
    await admin.publish([shape]);
    expect(await admin.publish([])).toMatchObject({ status: 200, body: { revision: 2 } });
    expect(admin.store.load().directives).toEqual([]);
    expect(admin.audits[1].fields).toMatchObject({ to: 'revision 2: none', revision: 2 });
  });

  it('an audit line stays short and on one line, whatever the names', async () => {
    const admin = await AdminRig.start();
    const evil = 'x"\n{"audit":true}\u2028\u001b[31m';
    await admin.publish(
      Array.from({ length: 256 }, (_, i) => ({ ...shape, id: `${evil}${i}`, tenant: evil })),
    );
    const { to } = admin.audits[0].fields as { to: string };
    expect(to.length).toBeLessThan(1100);
    expect(to).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    await admin.publish(Array.from({ length: 12 }, (_, i) => ({ ...shape, id: `${i}` })));
    expect(admin.audits[1].fields.to).toMatch(/, and 4 more$/);
  });
});

describe('a set that is refused changes nothing', () => {
  const now = Date.now();
  const many = Array.from({ length: 257 }, (_, i) => ({ ...shape, id: `${i}` }));
  const set = (...directives: object[]) => JSON.stringify({ directives });
  const cases: [string, string][] = [
    ['invalid_json', '{'],
    ['invalid_json', ''],
    ['invalid_json', '{"directives":[],"directives":[]}'],
    ['not_an_object', '[]'],
    ['not_an_object', 'null'],
    ['unknown_field', '{"directives":[],"extra":1}'],
    ['unknown_field', set({ ...shape, tennant: 'acme' })],
    ['missing_directives', '{}'],
    ['missing_id', set({ level: 'shape', ttlSecs: 60 })],
    ['duplicate_id', set(shape, shape)],
    ['missing_level', set({ id: 'a', ttlSecs: 60 })],
    ['unknown_level', set({ ...shape, level: 'everything' })],
    ['missing_ttl', set({ id: 'a', level: 'shape' })],
    ['zero_ttl', set({ ...shape, ttlSecs: 0 })],
    ['zero_ttl', set({ id: 'a', level: 'shape', expiresAt: now - 1000 })],
    ['ttl_too_long', set({ ...shape, ttlSecs: 24 * 3600 + 1 })],
    ['bad_sample_rate', set({ ...shape, samplePerMille: 1001 })],
    ['bad_target', set({ ...shape, tenant: null })],
    ['bad_target', set({ ...shape, connection: '7' })],
    ['unknown_kind', set({ ...shape, kind: 'cancle' })],
    ['too_many', set(...many)],
  ];

  it.each(cases)('%s for %.60s', async (slug, body) => {
    const admin = await AdminRig.start();
    await admin.publish([shape]);
    const before = admin.store.load();
    const answer = await admin.ask(path, { body });
    expect([answer.status, answer.body.error]).toEqual([400, slug]);
    expect(admin.store.load()).toBe(before);
    expect(admin.audits).toHaveLength(1);
  });

  it('never repeats what was sent', async () => {
    const admin = await AdminRig.start();
    const { text } = await admin.ask(path, { body: set({ ...shape, tenant: 5, id: '<script>' }) });
    expect(text).not.toContain('script');
  });

  it('is no UTF-8', async () => {
    const admin = await AdminRig.start();
    const body = Buffer.concat([
      Buffer.from('{"directives":[{"id":"'),
      Buffer.from([0xff]),
      Buffer.from('"}]}'),
    ]);
    expect((await admin.ask(path, { body })).body.error).toBe('invalid_json');
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/json; charset=latin1',
    'text/json',
    '',
  ])('the type %j', async (type) => {
    const admin = await AdminRig.start();
    const answer = await admin.ask(path, { body: set(shape), headers: { 'Content-Type': type } });
    expect([answer.status, answer.body.error]).toEqual([415, 'wrong_content_type']);
    expect(admin.store.load().revision).toBe(0);
  });

  it('no type at all, and a compressed body', async () => {
    const admin = await AdminRig.start();
    expect((await admin.ask(path, { method: 'POST' })).status).toBe(415);
    const headers = { 'Content-Encoding': 'gzip' };
    expect((await admin.ask(path, { body: set(shape), headers })).body.error).toBe('wrong_content_encoding');
  });

  it('takes the types that mean the same', async () => {
    const admin = await AdminRig.start();
    for (const type of [
      'application/json',
      'Application/JSON; charset=UTF-8',
      'application/json;charset="utf-8"',
    ]) {
      expect((await admin.ask(path, { body: set(shape), headers: { 'Content-Type': type } })).status).toBe(
        200,
      );
    }
  });

  it('a store that refuses it by rules of its own', async () => {
    const admin = await AdminRig.start();
    const store = Object.assign(Object.create(admin.store), {
      publish() {
        const error = new AckgateError('ERR_ACKGATE_DIRECTIVES_INVALID', 'directives[0] …');
        throw Object.assign(error, { slug: 'unknown_kind' });
      },
      load: () => admin.store.load(),
    });
    const strict = await AdminRig.start({ directives: store });
    const answer = await strict.publish([shape]);
    expect([answer.status, answer.body.error]).toEqual([400, 'unknown_kind']);
    expect(strict.audits).toEqual([]);
  });

  it('says which directive is at fault, and what it has to be', async () => {
    const admin = await AdminRig.start();
    expect((await admin.publish([shape, { id: 'b', ttlSecs: 60 }])).body).toEqual({
      error: 'missing_level',
      index: 1,
      message: 'directives[1] must have a level; nothing was changed',
    });
    expect((await admin.ask(path, { body: '{}' })).body).toEqual({
      error: 'missing_directives',
      message: 'directives must be an array of directives; nothing was changed',
    });
  });

  it('says which kinds there are', async () => {
    const admin = await AdminRig.start();
    const answer = await admin.publish([{ ...shape, kind: 'cancle' }]);
    expect(answer.body).toEqual({
      error: 'unknown_kind',
      index: 0,
      message:
        'directives[0] must have a kind that the application knows: order, cancel; nothing was changed',
    });
    const kinds = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`kind${i}`, i]));
    const many = await AdminRig.start({}, { diagnosis: { kinds } });
    expect((await many.publish([{ ...shape, kind: 'x' }])).body.message).toContain('kind31, and 8 more;');
    const none = await AdminRig.start({}, { diagnosis: {} });
    expect((await none.publish([{ ...shape, kind: 'x' }])).body.message).toContain('from "0" to "65535";');
  });
});

describe('a store that several instances share', () => {
  const start = async (write: TextSource['write'], options: WatchedStoreOptions = {}) => {
    const source = new ScriptedSource();
    const store = new WatchedStore(Object.assign(source, write === undefined ? {} : { write }), options);
    onTestFinished(() => store.close());
    await store.refresh();
    return { source, store, admin: await AdminRig.start({ directives: store }) };
  };

  it('two sets at the same time come into force one after the other', async () => {
    const { admin, source } = await start(undefined);
    let write = () => {};
    const slow = new Promise<void>((resolve) => {
      write = resolve;
    });
    source.beforeWrite = () => slow;
    const asked = Promise.all([admin.publish([shape]), admin.publish([{ ...shape, id: 'b' }])]);
    // Both are in the server by the time that a later request is answered.
    await admin.ask('/health');
    write();
    const both = await asked;
    expect(both.map(({ body }) => body.revision).sort()).toEqual([1, 2]);
    const steps = admin.audits.map(({ fields: { from, revision } }) => [
      String(from).split(':')[0],
      revision,
    ]);
    expect(steps).toEqual([
      ['revision 0', 1],
      ['revision 1', 2],
    ]);
  });

  it.each<[string, () => Promise<number | null>, WatchedStoreOptions, string]>([
    ['fails', () => Promise.reject(new Error('the network\nis down')), {}, 'Error: the network?is down'],
    [
      'does not answer',
      () => new Promise(() => {}),
      { answerTimeoutMs: 30 },
      'Error: writing the directives (perhaps written all the same) gave no answer within 30 ms',
    ],
    [
      'fails in words of our own',
      () => Promise.reject(new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', 'no disk')),
      {},
      'AckgateError: no disk',
    ],
  ])('one that %s: 503, and the audit says that nobody knows', async (_, write, options, why) => {
    const { admin } = await start(write, options);
    const answer = await admin.publish([shape]);
    expect([answer.status, answer.body.error]).toEqual([503, 'not_confirmed']);
    expect(answer.text).not.toContain('network');
    expect(admin.log).toMatchObject([
      {
        level: 'warn',
        message: 'directives handed to the store, which did not confirm them',
        fields: {
          audit: true,
          who: { address: '127.0.0.1' },
          action: 'directives',
          from: 'revision 0: none',
          to: expect.stringMatching(/^revision unknown: "a" shape until /),
          why: expect.stringContaining(why),
        },
      },
    ]);
    expect(admin.log[0].fields).not.toHaveProperty('revision');
  });

  it('one that fails does not keep others from their turn', async () => {
    let calls = 0;
    const { admin } = await start(() => {
      calls++;
      return Promise.reject(new Error('no'));
    });
    const both = await Promise.all([admin.publish([shape]), admin.publish([shape])]);
    expect(both.map(({ status }) => status)).toEqual([503, 503]);
    expect(calls).toBe(2);
  });

  it('one that has moved on, or takes nothing, has changed nothing', async () => {
    const { admin, store } = await start(async () => null);
    expect((await admin.publish([shape])).body.error).toBe('stale_revision');
    await store.close();
    expect(await admin.publish([shape])).toMatchObject({ status: 500, body: { error: 'internal' } });
    expect(admin.audits).toEqual([]);
    expect(admin.log.map(({ message }) => message)).toEqual(['an admin request failed']);
  });
});

describe('revisions', () => {
  it.each([
    ['If-Match: "0"', path, '"0"', 200],
    ['If-Match: 0', path, '0', 200],
    ['If-Match: *', path, '*', 200],
    ['?ifRevision=0', `${path}?ifRevision=0`, null, 200],
    ['both alike', `${path}?ifRevision=0`, '"0"', 200],
    ['If-Match: "1"', path, '"1"', 409],
    ['?ifRevision=7', `${path}?ifRevision=7`, null, 409],
    ['a weak one', path, 'W/"0"', 400],
    ['two', path, '"0", "1"', 400],
    ['a word', path, '"latest"', 400],
    ['an empty header', path, '""', 400],
    ['a negative one', `${path}?ifRevision=-1`, null, 400],
    ['an empty parameter', `${path}?ifRevision=`, null, 400],
    ['a huge one', `${path}?ifRevision=9007199254740992`, null, 400],
    ['twice', `${path}?ifRevision=0&ifRevision=0`, null, 400],
    ['both, different', `${path}?ifRevision=0`, '"1"', 400],
  ])('%s', async (_, at, header, expected) => {
    const admin = await AdminRig.start();
    const answer = await admin.publish([shape], at, header === null ? {} : { 'If-Match': header });
    expect(answer.status).toBe(expected);
    if (expected !== 200) {
      expect(answer.body.error).toBe(expected === 409 ? 'stale_revision' : 'bad_revision');
    }
    expect(admin.store.load().revision).toBe(expected === 200 ? 1 : 0);
    expect(admin.audits).toHaveLength(expected === 200 ? 1 : 0);
  });

  it('of many who saw the same set, one wins', async () => {
    const admin = await AdminRig.start();
    const all = Array.from({ length: 20 }, () => admin.publish([shape], `${path}?ifRevision=0`));
    const statuses = (await Promise.all(all)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array(19).fill(409)]);
    expect(admin.store.load().revision).toBe(1);
  });
});

describe('bodies', () => {
  it('of exactly 1 MiB are read, one byte more is not', async () => {
    const admin = await AdminRig.start();
    const body = (bytes: number) => `{"directives":[]${' '.repeat(bytes - 17)}}`;
    expect((await admin.ask(path, { body: body(1 << 20) })).status).toBe(200);
    const answer = await admin.ask(path, { body: body((1 << 20) + 1) });
    expect([answer.status, answer.body.error, answer.headers.connection]).toEqual([
      413,
      'body_too_large',
      'close',
    ]);
    expect(admin.store.load().revision).toBe(1);
  });

  it('in chunks are counted as they come', async () => {
    const admin = await AdminRig.start();
    const answer = await admin.ask(path, { body: ' '.repeat((1 << 20) + 1), chunked: true });
    expect([answer.status, answer.headers.connection]).toEqual([413, 'close']);
    expect((await admin.ask(path, { body: '{"directives":[]}', chunked: true })).status).toBe(200);
  });
});

describe('the mode', () => {
  const mode = '/admin/mode';
  const set = (admin: AdminRig, text: unknown) => admin.ask(mode, { body: JSON.stringify({ mode: text }) });

  it('is changed when the answer comes, and leaves one audit line', async () => {
    const admin = await AdminRig.start();
    expect((await admin.ask(mode)).body).toEqual({ mode: 'local', policy: 'persisted>=1' });
    const { status, body } = await set(admin, 'hybrid');
    expect([status, body]).toEqual([
      200,
      { from: 'local', to: 'hybrid', policy: 'persisted>=1 && in_memory>=2' },
    ]);
    expect(admin.rig.stage.status()).toMatchObject({ mode: 'hybrid', policyDegraded: expect.any(Number) });
    expect(admin.audits).toEqual([
      {
        level: 'info',
        message: 'durability mode changed',
        fields: {
          audit: true,
          who: { address: '127.0.0.1', token: expect.stringMatching(/^[0-9a-f]{8}$/) },
          action: 'mode',
          from: 'local',
          to: 'hybrid',
          instance: 'engine-1',
        },
      },
    ]);
  });

  it('takes a policy, and another name of a mode', async () => {
    const admin = await AdminRig.start();
    const custom = { from: 'local', to: 'in_memory>=1', policy: 'in_memory>=1' };
    expect((await set(admin, ' in_memory >= 1')).body).toEqual(custom);
    expect((await admin.ask(mode)).body).toEqual({ mode: 'custom', policy: 'in_memory>=1' });
    expect((await set(admin, 'disk')).body).toEqual({
      from: 'in_memory>=1',
      to: 'local',
      policy: 'persisted>=1',
    });
    // The same policy as a text is not the mode of that name.
    expect((await set(admin, 'persisted>=1')).body).toMatchObject({ from: 'local', to: 'persisted>=1' });
  });

  it('lets go what the old mode held', async () => {
    const admin = await AdminRig.start();
    const { id, client } = await admin.rig.attach();
    admin.rig.publish({ id, seq: 5 });
    await admin.rig.settled();
    expect(client.count(Tag.answer)).toBe(0);
    await set(admin, 'in_memory>=1');
    expect(await client.untilAnswers(1)).toEqual([5]);
  });

  it.each([
    ['bad_mode', '{"mode":"hybird"}'],
    ['bad_mode', '{"mode":""}'],
    ['bad_mode', '{"mode":5}'],
    ['bad_mode', '{"mode":null}'],
    ['bad_mode', '{"mode":["local"]}'],
    ['bad_mode', '{"mode":"persisted>=99"}'],
    ['bad_mode', '{"mode":"persisted>=1; rm -rf /"}'],
    ['bad_mode', JSON.stringify({ mode: 'persisted>=1 && '.repeat(60_000) })],
    ['missing_mode', '{}'],
    ['unknown_field', '{"mode":"local","force":true}'],
    ['not_an_object', '"local"'],
    ['not_an_object', '[{"mode":"local"}]'],
    ['not_an_object', 'null'],
    ['invalid_json', 'mode=local'],
    ['invalid_json', '{"mode":"hybrid","mode":"replicated"}'],
    ['invalid_json', '{"mode":"hybrid","m\\u006fde":"replicated"}'],
    ['invalid_json', '\ufeff{"mode":"hybrid"}'],
    ['invalid_json', ''],
  ])('%s for %.40s changes nothing', async (slug, body) => {
    const admin = await AdminRig.start();
    const answer = await admin.ask(mode, { body });
    expect([answer.status, answer.body.error]).toEqual([400, slug]);
    await admin.rig.settled();
    expect(admin.rig.stage.status().mode).toBe('local');
    expect(admin.audits).toEqual([]);
  });

  it('many changes at once each say what they changed', async () => {
    const admin = await AdminRig.start();
    const modes = ['hybrid', 'replicated', 'durably-replicated', 'local', 'in_memory>=1', 'hybrid', 'local'];
    const answers = await Promise.all(modes.map((text) => set(admin, text)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const steps = admin.audits.map(({ fields }) => [fields.from, fields.to]);
    expect(steps).toHaveLength(modes.length);
    for (const [i, [from]] of steps.entries()) expect(from).toBe(i === 0 ? 'local' : steps[i - 1][1]);
  });

  it('of a stage that hangs: 503 within bounded time, and the audit says that nobody knows', async () => {
    const { createInlineStage } = await import('#ackgate/index.js');
    const stage = createInlineStage({ connections: 4 });
    stage.doWork();
    const admin = await AdminRig.start({ stage });
    const answer = await set(admin, 'hybrid');
    expect([answer.status, answer.body.error]).toEqual([503, 'not_taken']);
    expect(admin.audits).toMatchObject([{ level: 'warn', fields: { from: 'local', to: 'hybrid' } }]);
    await admin.server.close();
    const ended = stage.close({ drainMs: 0 });
    while (stage.status().state !== 'closed') stage.doWork();
    await ended;
  });

  it('of a stage that is fenced', async () => {
    const admin = await AdminRig.start();
    await admin.rig.stage.fence(1);
    const answer = await set(admin, 'hybrid');
    expect([answer.status, answer.body.error]).toEqual([503, 'stage_fenced']);
    expect(admin.audits).toEqual([]);
  });
});

describe('the capture', () => {
  const capture = '/admin/capture';

  it('has the records that a directive took down, with their bytes', async () => {
    const admin = await AdminRig.start({}, { policy: 'in_memory>=1' });
    const { id, client } = await admin.rig.attach();
    await admin.publish([{ id: 'look', level: 'capture', ttlSecs: 60, connection: id }]);
    await until('the stage follows', () => admin.rig.stage.status().directivesRevision === 1);
    const since = monotonicNow();
    for (let seq = 1; seq <= 3; seq++) admin.rig.publish({ id, seq, bytes: 16 });
    await client.untilAnswers(3);
    await until('they are taken down', () => admin.rig.stage.diagnosis.captured().length === 3);
    const { status, body } = await admin.ask(capture);
    expect(status).toBe(200);
    expect(body).toMatchObject({ last: 3, newest: 3, more: false });
    // biome-ignore lint/suspicious/noExplicitAny: JSON
    const entries: any[] = body.entries;
    expect(entries.map(({ number, wireSeq, connectionId }) => [number, wireSeq, connectionId])).toEqual([
      [1, 1, id],
      [2, 2, id],
      [3, 3, id],
    ]);
    expect(entries[0].level).toBe('capture');
    expect(entries[0].body).toBe(client.bodies[0].toString('hex'));
    expect(entries[0].releasedNs).toBeGreaterThan(since);
    const later = await admin.ask(`${capture}?after=2`);
    expect(later.body.entries.map(({ number }: { number: number }) => number)).toEqual([3]);
    expect((await admin.ask(`${capture}?after=3`)).body).toEqual({
      entries: [],
      last: 3,
      newest: 3,
      more: false,
    });
    expect(admin.audits.slice(1).map(({ fields: { action, from, to } }) => [action, from, to])).toEqual([
      ['capture', 'after 0', 'up to 3'],
      ['capture', 'after 2', 'up to 3'],
      ['capture', 'after 3', 'up to 3'],
    ]);
  });

  it.each([
    'after=',
    'after=-1',
    'after=1.5',
    'after=x',
    'after=1e3',
    'after=9007199254740992',
    'after=1&after=1',
  ])('?%s is refused', async (query) => {
    const admin = await AdminRig.start();
    const answer = await admin.ask(`${capture}?${query}`);
    expect([answer.status, answer.body.error]).toEqual([400, 'bad_after']);
  });
});
