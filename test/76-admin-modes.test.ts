import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer } from '#ackgate/admin/index.js';
import { type FollowOptions, WatchedMode, type WatchedModeOptions } from '#ackgate/cluster/index.js';
import { AckgateError } from '#ackgate/errors.js';
import type { Policy } from '#ackgate/policy/index.js';
import { AdminRig } from './support/admin.js';
import { ScriptedSource } from './support/scripted-source.js';
import { until } from './support/stage.js';

// The mode of several instances, published over the admin server of one of them.

const mode = '/admin/mode';
const by = expect.stringMatching(/^127\.0\.0\.1 \(token [0-9a-f]{8}\) at engine-1$/);

interface Options {
  follow?: Partial<FollowOptions> | null;
  source?: ScriptedSource;
  watch?: WatchedModeOptions;
}

async function start({ follow = {}, source = new ScriptedSource(), watch = {} }: Options = {}) {
  const modes = new WatchedMode(source, watch);
  onTestFinished(() => modes.close());
  const admin = await AdminRig.start({ mode: modes });
  if (follow !== null) modes.follow(admin.rig.stage, { fallback: 'local', ...follow });
  await modes.refresh();
  const set = (body: object, path = mode, headers = {}) =>
    admin.ask(path, { body: JSON.stringify(body), headers });
  return { source, modes, admin, set };
}

describe('publishing a mode', () => {
  it('moves all instances, and leaves a line that says who did what', async () => {
    const { source, admin, set } = await start();
    const other = await start({ source });
    const before = Date.now();
    const { status, body, headers } = await set({ mode: 'disk+ram', ttlSecs: 600 });
    expect([status, body]).toEqual([
      200,
      {
        from: 'local',
        to: 'hybrid',
        policy: 'persisted>=1 && in_memory>=2',
        revision: 1,
        expiresAt: expect.any(Number),
        by,
      },
    ]);
    expect(headers.etag).toBe('"1"');
    expect(body.expiresAt - before).toBeGreaterThanOrEqual(600_000);
    expect(body.expiresAt - Date.now()).toBeLessThanOrEqual(600_000);
    expect(admin.rig.stage.status().mode).toBe('hybrid');
    await until('the other one follows', () => other.admin.rig.stage.status().mode === 'hybrid');
    expect(JSON.parse(source.kept?.text ?? '')).toEqual({ policy: 'hybrid', expiresAt: body.expiresAt, by });
    expect(admin.audits).toEqual([
      {
        level: 'info',
        message: 'durability mode published',
        fields: {
          audit: true,
          who: { address: '127.0.0.1', token: expect.stringMatching(/^[0-9a-f]{8}$/) },
          action: 'mode',
          from: 'local',
          to: `hybrid until ${new Date(body.expiresAt).toISOString()}`,
          revision: 1,
          instance: 'engine-1',
        },
      },
    ]);
  });

  it('shows what overrides, by whom and until when, with the revision to change it', async () => {
    const { source, modes, admin, set } = await start();
    const nothing = { revision: 0, override: null, fallback: 'local', refused: null, lastError: null };
    const first = await admin.ask(mode);
    expect(first.body).toEqual({
      mode: 'local',
      policy: 'persisted>=1',
      store: { ...nothing, ageMs: expect.any(Number) },
    });
    expect(first.headers.etag).toBe('"0"');
    const { body } = await set({ mode: 'persisted>=2 zones', ttlSecs: 600 });
    const { headers, body: shown } = await admin.ask(mode);
    expect(headers.etag).toBe('"1"');
    expect(shown).toMatchObject({
      mode: 'custom',
      policy: 'persisted>=2 zones',
      store: {
        revision: 1,
        override: { mode: 'persisted>=2 zones', expiresAt: body.expiresAt, ttlSecs: expect.any(Number), by },
      },
    });
    expect(shown.store.override.ttlSecs).toBeGreaterThan(590);
    source.put('{"policy":"quorum"}');
    await until('it is seen', () => modes.lastError !== null);
    expect((await admin.ask(mode)).body).toMatchObject({
      mode: 'custom',
      store: { refused: expect.stringContaining('quorum'), lastError: expect.stringContaining('quorum') },
    });
  });

  it('fallback ends what overrides', async () => {
    const { admin, set } = await start({ follow: { fallback: 'durably-replicated' } });
    await set({ mode: 'local' });
    const { body } = await set({ mode: 'fallback' });
    expect(body).toMatchObject({ from: 'local', to: 'durably-replicated', revision: 2, expiresAt: null });
    expect(admin.rig.stage.status().mode).toBe('durably-replicated');
    expect((await admin.ask(mode)).body.store.override).toBeNull();
    expect(admin.audits.at(-1)?.fields).toMatchObject({ from: 'local', to: 'fallback', revision: 2 });
  });

  it('takes an end as a time, and of two the earlier one', async () => {
    const { set } = await start();
    const expiresAt = Date.now() + 60_000;
    expect((await set({ mode: 'hybrid', expiresAt })).body.expiresAt).toBe(expiresAt);
    expect((await set({ mode: 'hybrid', expiresAt, ttlSecs: 600 })).body.expiresAt).toBe(expiresAt);
  });

  it.each([
    ['If-Match', mode, { 'If-Match': '"5"' }],
    ['ifRevision', `${mode}?ifRevision=5`, {}],
  ])('of a stale revision, by %s: 409, and nothing changes', async (_, path, headers) => {
    const { source, admin, set } = await start();
    await set({ mode: 'hybrid' });
    const { status, body } = await set({ mode: 'replicated' }, path, headers);
    expect([status, body.error]).toEqual([409, 'stale_revision']);
    expect(source.kept?.revision).toBe(1);
    expect(admin.rig.stage.status().mode).toBe('hybrid');
    expect(admin.audits).toHaveLength(1);
    expect((await set({ mode: 'replicated' }, `${mode}?ifRevision=1`)).status).toBe(200);
  });

  it.each<[string, object, string?]>([
    ['bad_mode', { mode: 'hybird' }],
    ['bad_mode', { mode: null }],
    ['missing_mode', { ttlSecs: 5 }],
    ['unknown_field', { mode: 'local', by: 'me' }],
    ['bad_end', { mode: 'local', ttlSecs: 0 }],
    ['bad_end', { mode: 'local', ttlSecs: '5m' }],
    ['bad_end', { mode: 'local', ttlSecs: null }],
    ['bad_end', { mode: 'local', ttlSecs: 31_622_401 }],
    ['bad_end', { mode: 'local', expiresAt: 1_790_000_000 }],
    ['bad_end', { mode: 'local', expiresAt: 9e15 }],
    ['bad_revision', { mode: 'local' }, '?ifRevision=x'],
    ['bad_revision', { mode: 'local' }, '?ifRevision=1&ifRevision=1'],
  ])('%s for %j%s changes nothing', async (slug, body, query = '') => {
    const { source, admin, set } = await start();
    const answer = await set(body, `${mode}${query}`);
    expect([answer.status, answer.body.error]).toEqual([400, slug]);
    expect(source.kept).toBeNull();
    expect(admin.audits).toEqual([]);
  });

  it('that the server could not keep: 400 with the reason, and nothing is published', async () => {
    const check = ({ clauses }: Policy) => {
      if (clauses.some(({ level }) => level === 'persisted')) return;
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'memory alone\nis not enough here');
    };
    const { source, admin, set } = await start({ follow: { check } });
    const { status, body } = await set({ mode: 'replicated' });
    expect([status, body]).toEqual([
      400,
      { error: 'unsupported_mode', message: 'memory alone?is not enough here' },
    ]);
    expect(source.kept).toBeNull();
    expect(admin.audits).toEqual([]);
  });

  it('many at once each say what they took the place of', async () => {
    const { admin, set } = await start();
    const modes = ['hybrid', 'replicated', 'local', 'persisted>=2', 'fallback', 'hybrid'];
    const answers = await Promise.all(modes.map((text) => set({ mode: text })));
    expect(answers.map(({ status }) => status)).toEqual(modes.map(() => 200));
    const steps = answers.map(({ body }) => body).sort((a, b) => a.revision - b.revision);
    for (const [i, { from, revision }] of steps.entries()) {
      expect([from, revision]).toEqual([i === 0 ? 'local' : steps[i - 1].to, i + 1]);
    }
    expect(admin.audits.map(({ fields }) => fields.revision)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('a mode store that', () => {
  it.each<[string, () => unknown, WatchedModeOptions, string]>([
    ['fails', () => Promise.reject(new Error('the network\nis down')), {}, 'Error: the network?is down'],
    [
      'does not answer',
      () => new Promise(() => {}),
      { answerTimeoutMs: 30 },
      'Error: writing the mode (perhaps written all the same) gave no answer within 30 ms',
    ],
  ])('%s: 503, and the audit says that nobody knows', async (_, write, watch, why) => {
    const { source, admin, set } = await start({ watch });
    source.beforeWrite = write;
    const answer = await set({ mode: 'hybrid' });
    expect([answer.status, answer.body.error]).toEqual([503, 'not_confirmed']);
    expect(answer.text).not.toContain('network');
    expect(admin.log).toMatchObject([
      {
        level: 'warn',
        message: 'durability mode handed to the mode store, which did not confirm it',
        fields: { audit: true, action: 'mode', from: 'local', to: 'hybrid', why },
      },
    ]);
  });

  it('can not be read back: the mode is published, but this stage has not taken it', async () => {
    const { source, admin, set } = await start();
    source.beforeRead = () => {
      throw new Error('gone');
    };
    const answer = await set({ mode: 'hybrid' });
    expect([answer.status, answer.body.error]).toEqual([503, 'not_taken']);
    expect(admin.audits).toMatchObject([
      { level: 'info', message: 'durability mode published', fields: { revision: 1 } },
      { level: 'warn', message: 'durability mode published, but the stage has not taken it' },
    ]);
  });

  it('nothing follows: the mode is published, with a warning', async () => {
    const { admin, set } = await start({ follow: null });
    const { status, body } = await set({ mode: 'fallback' });
    expect([status, body]).toMatchObject([200, { from: 'local', to: 'fallback', policy: null, revision: 1 }]);
    expect(admin.log.at(-1)).toMatchObject({
      level: 'warn',
      message: 'a mode was published that this stage does not follow: see WatchedMode.follow',
      fields: { revision: 1 },
    });
    expect((await admin.ask(mode)).body.store.fallback).toBeNull();
  });

  it('is closed, or takes nothing: 500, and nothing was changed', async () => {
    const { source, modes, admin, set } = await start();
    await modes.close();
    const answer = await set({ mode: 'hybrid' });
    expect([answer.status, answer.body.error]).toEqual([500, 'internal']);
    expect(source.kept).toBeNull();
    expect(admin.audits).toEqual([]);
  });

  it('is none is refused as an option', async () => {
    const { admin } = await start();
    const options = { stage: admin.rig.stage, mode: {} as WatchedMode };
    await expect(startAdminServer(options)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
      message: expect.stringContaining('mode'),
    });
  });
});

describe('without a mode store', () => {
  it.each<[object, string, Record<string, string>]>([
    [{ mode: 'fallback' }, '', {}],
    [{ mode: 'hybrid', ttlSecs: 5 }, '', {}],
    [{ mode: 'hybrid', expiresAt: 5 }, '', {}],
    [{ mode: 'hybrid' }, '?ifRevision=1', {}],
    [{ mode: 'hybrid' }, '', { 'If-Match': '"1"' }],
  ])('%j%s %j is refused, for it would promise what nobody keeps', async (body, query, headers) => {
    const admin = await AdminRig.start();
    const answer = await admin.ask(`${mode}${query}`, { body: JSON.stringify(body), headers });
    expect([answer.status, answer.body.error]).toEqual([400, 'no_mode_store']);
    expect(admin.rig.stage.status().mode).toBe('local');
    expect(admin.audits).toEqual([]);
  });
});
