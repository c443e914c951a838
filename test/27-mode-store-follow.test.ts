import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WatchedMode, type WatchedModeOptions } from '#ackgate/cluster/index.js';
import { AckgateError } from '#ackgate/errors.js';
import { Policy } from '#ackgate/policy/index.js';
import { ModeStage } from './support/mode-stage.js';
import { ScriptedSource } from './support/scripted-source.js';

// A stage that follows a text which others write, with everything that can go wrong in between. Time is the test's.

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const text = (policy: string, rest: object = {}) => JSON.stringify({ policy, ...rest });

async function started(source: ScriptedSource, options: WatchedModeOptions = {}): Promise<WatchedMode> {
  const modes = new WatchedMode(source, options);
  onTestFinished(() => void modes.close());
  await pass(0);
  return modes;
}

describe('following', () => {
  it('leaves the stage alone until something was read, then takes the fallback', async () => {
    const source = new ScriptedSource();
    source.beforeRead = () => {
      throw new Error('refused');
    };
    const modes = await started(source);
    const stage = new ModeStage('durably-replicated');
    stage.follow(modes, { fallback: 'hybrid' });
    await pass(60_000);
    expect(stage.mode).toBe('durably-replicated');
    expect(stage.log).toEqual([]);
    source.beforeRead = () => {};
    await pass(10_000);
    expect(stage.mode).toBe('hybrid');
  });

  it('says nothing where nothing is kept and the stage has its fallback already', async () => {
    const modes = await started(new ScriptedSource());
    const stage = new ModeStage();
    stage.follow(modes);
    await pass(60_000);
    expect(stage.mode).toBe('local');
    expect([stage.log, stage.changes]).toEqual([[], []]);
  });

  it('takes what is kept at once, and tells who, from what, to what, until when', async () => {
    const source = new ScriptedSource();
    const expiresAt = Date.now() + 60_000;
    source.put(text('disk+ram', { by: 'ana', expiresAt }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    expect(stage.mode).toBe('hybrid');
    expect(stage.changes).toEqual(['local → hybrid']);
    expect(stage.log).toEqual([
      {
        level: 'info',
        message: 'durability mode set by the mode store',
        fields: {
          from: 'local',
          to: 'hybrid',
          policy: 'persisted>=1 && in_memory>=2',
          by: 'ana',
          why: 'published',
          expiresAt: new Date(expiresAt).toISOString(),
          revision: 1,
        },
      },
    ]);
    await pass(60_000);
    source.delete();
    await pass(100);
    source.put(text('replicated'));
    await pass(100);
    source.delete();
    await pass(100);
    expect(stage.log.slice(1).map(({ fields: { from, to, by, why } }) => [from, to, by, why])).toEqual([
      ['hybrid', 'local', 'ana', 'expired'],
      ['local', 'local', null, 'deleted'],
      ['local', 'replicated', null, 'published'],
      ['replicated', 'local', null, 'deleted'],
    ]);
    expect(stage.mode).toBe('local');
  });

  it('does not change a mode to itself, but tells of who prolonged it', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await modes.publish({ policy: 'hybrid', ttlSecs: 10, by: 'ana' });
    await pass(5000);
    expect(stage.mode).toBe('hybrid');
    await modes.publish({ policy: 'hybrid', ttlSecs: 10, by: 'bob' });
    await pass(6000);
    expect(stage.mode).toBe('hybrid');
    await pass(4000);
    expect(stage.mode).toBe('local');
    expect(stage.changes).toEqual(['local → hybrid', 'hybrid → local']);
    expect(stage.log.map(({ fields }) => [fields.by, fields.why])).toEqual([
      ['ana', 'published'],
      ['bob', 'published'],
      ['bob', 'expired'],
    ]);
  });

  it('takes changes in their order, also those that the stage has not seen yet', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await modes.publish({ policy: 'hybrid' });
    await modes.publish({ policy: 'local' });
    expect(stage.mode).toBe('local');
    expect(stage.changes).toEqual(['local → hybrid', 'hybrid → local']);
  });

  it('takes what is published again after somebody else set the mode', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await modes.publish({ policy: 'hybrid' });
    stage.stage.setMode('replicated');
    expect(stage.mode).toBe('replicated');
    await pass(1000);
    expect(stage.mode).toBe('replicated');
    await modes.publish({ policy: 'hybrid' });
    expect(stage.mode).toBe('hybrid');
  });

  it('ends when it is asked to, and the stage keeps its mode', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    const end = stage.follow(modes);
    await modes.publish({ policy: 'hybrid', ttlSecs: 10 });
    end();
    end();
    await pass(60_000);
    await modes.publish({ policy: 'replicated' });
    expect(stage.mode).toBe('hybrid');
    expect(modes.following(stage.stage)).toBeNull();
    stage.follow(modes);
    expect(stage.mode).toBe('replicated');
  });

  it('ends with the stage, whether that was fenced or closed', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const [fenced, closed, other] = [new ModeStage(), new ModeStage(), new ModeStage()];
    for (const stage of [fenced, closed, other]) stage.follow(modes);
    void fenced.stage.fence(1);
    expect(fenced.mode).toBe('local');
    await closed.close();
    await modes.publish({ policy: 'hybrid', ttlSecs: 10 });
    expect(other.mode).toBe('hybrid');
    for (const { stage } of [fenced, closed]) expect(modes.following(stage)).toBeNull();
    expect(modes.following(other.stage)).toEqual({ fallback: 'local', refused: null });
  });

  it('tries again when the stage takes no more calls just now', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    expect(() => {
      for (;;) stage.stage.setMode('local');
    }).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_CONTROL_FULL' }));
    await modes.publish({ policy: 'hybrid' });
    expect(stage.log).toEqual([]);
    expect(stage.mode).toBe('local');
    await pass(100);
    expect(stage.mode).toBe('hybrid');
    expect(stage.log).toHaveLength(1);
  });

  it('is of one stage once', async () => {
    const modes = await started(new ScriptedSource());
    const stage = new ModeStage();
    stage.follow(modes);
    expect(() => stage.follow(modes)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
    );
  });

  it.each([
    ['ERR_ACKGATE_POLICY_UNKNOWN_LEVEL', { fallback: 'locall' }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { fallback: undefined }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { fallback: 5 }],
    ['ERR_ACKGATE_POLICY_UNKNOWN_LEVEL', { fallback: 'fallback' }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { check: 5 }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { logger: {} }],
    ['ERR_ACKGATE_UNKNOWN_OPTION', { falback: 'local' }],
  ])('refuses options that can not be meant: %s %j', async (code, options) => {
    const modes = await started(new ScriptedSource());
    const stage = new ModeStage();
    expect(() => stage.follow(modes, options as object)).toThrow(expect.objectContaining({ code }));
    expect(modes.following(stage.stage)).toBeNull();
  });
});

describe('an end', () => {
  it('is exact to the millisecond, also when the source is gone by then', async () => {
    const source = new ScriptedSource();
    const expiresAt = Date.now() + 2500;
    source.put(text('hybrid', { expiresAt }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    source.beforeRead = () => {
      throw new Error('gone');
    };
    source.cut();
    await pass(2499);
    expect(stage.mode).toBe('hybrid');
    expect(modes.override()).toEqual({ policy: 'hybrid', expiresAt });
    await pass(1);
    expect(stage.mode).toBe('local');
    expect(modes.override()).toBeNull();
    expect(modes.load()).toEqual({ revision: 1, setting: { policy: 'hybrid', expiresAt } });
  });

  it('comes also when the store is closed', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid', { expiresAt: Date.now() + 5000 }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await modes.close();
    await pass(4999);
    expect(stage.mode).toBe('hybrid');
    await pass(1);
    expect(stage.mode).toBe('local');
  });

  it('is seen within a second when the machine has slept beyond it', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid', { expiresAt: Date.now() + 3_600_000 }));
    const modes = await started(source, { refreshMs: 2 ** 31 - 1 });
    const stage = new ModeStage();
    stage.follow(modes);
    await pass(10_000);
    // Timers have not counted the hours in between.
    vi.setSystemTime(Date.now() + 4_000_000);
    await pass(1000);
    expect(stage.mode).toBe('local');
  });

  it('may be further ahead than any timer counts', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid', { expiresAt: Number.MAX_SAFE_INTEGER }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await pass(10_000);
    expect(stage.mode).toBe('hybrid');
    expect(stage.log[0].fields.expiresAt).toBe(String(Number.MAX_SAFE_INTEGER));
  });

  it('that is over when it is read changes nothing', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid', { expiresAt: Date.now(), by: 'ana' }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    await pass(10_000);
    expect(stage.mode).toBe('local');
    expect(stage.changes).toEqual([]);
    expect(modes.override()).toBeNull();
  });

  it('of another one that is over when it is read, ends the one before it', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid'));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    source.put(text('replicated', { expiresAt: 5 }));
    await pass(100);
    expect(stage.mode).toBe('local');
  });
});

describe('what can not be meant', () => {
  const bad: [string, unknown][] = [
    ['an unknown mode', text('quorum')],
    ['an unknown level', text('persisted>=1 && on_tape>=1')],
    ['a byte of a later version', '{"mode":7}'],
    ['a policy that is too long', text(Array(60).fill('persisted>=1').join(' && '))],
    ['no policy', '{}'],
    ['a policy that got lost', '{"policy":null}'],
    ['an unknown field', text('local', { until: 5 })],
    ['an end that got lost', text('local', { expiresAt: null })],
    ['an end that is no number', text('local', { expiresAt: '1790000000000' })],
    ['an end that is no whole number', text('local', { expiresAt: 1.5 })],
    ['an end that JSON can not hold', '{"policy":"local","expiresAt":1e999}'],
    ['a relative end', text('local', { ttlSecs: 5 })],
    ['a name that is none', text('local', { by: '' })],
    ['a name with a line break', text('local', { by: 'ana\nbob' })],
    ['a name given twice', '{"policy":"local","policy":"hybrid"}'],
    ['a word', '"local"'],
    ['a list', '[]'],
    ['no JSON', 'local'],
    ['nothing', ''],
    ['no text', undefined],
    ['too much', text('local', { by: ' '.repeat(5000) })],
  ];

  it.each(bad)('%s: what is in force stays, and it is told once', async (_, kept) => {
    const source = new ScriptedSource();
    source.put(text('durably-replicated'));
    const modes = await started(source, { refreshMs: 1000 });
    const stage = new ModeStage();
    stage.follow(modes);
    stage.log.length = 0;
    source.put(kept as string);
    await pass(10_000);
    expect(stage.mode).toBe('durably-replicated');
    expect(stage.log).toEqual([
      {
        level: 'error',
        message: 'unknown mode in the mode store, the one in force stays',
        fields: { revision: 2, why: expect.stringContaining('the mode kept as revision 2: ') },
      },
    ]);
    expect(modes.lastError).toMatchObject({ code: 'ERR_ACKGATE_MODE_INVALID' });
    expect(modes.following(stage.stage)?.refused).toBe(modes.lastError);
    expect(modes.load().setting).toEqual({ policy: 'durably-replicated' });
    source.put(text('hybrid'));
    await pass(1000);
    expect(stage.mode).toBe('hybrid');
    expect([modes.lastError, modes.following(stage.stage)?.refused]).toEqual([null, null]);
  });

  it('leaves the stage with the mode that it was started with', async () => {
    const source = new ScriptedSource();
    source.put('{"policy":"quorum"}');
    const modes = await started(source);
    const stage = new ModeStage('durably-replicated');
    stage.follow(modes);
    await pass(10_000);
    expect(stage.mode).toBe('durably-replicated');
    expect(stage.log).toHaveLength(1);
  });

  it('does not lengthen the one before it', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid', { expiresAt: Date.now() + 5000 }));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    source.put(text('quorum'));
    await pass(4999);
    expect(stage.mode).toBe('hybrid');
    await pass(1);
    expect(stage.mode).toBe('local');
  });

  it('is no fault any more when the one before it is back', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid'));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    const { kept } = source;
    source.put('{');
    await pass(100);
    source.kept = kept;
    source.tell();
    await pass(100);
    expect(modes.following(stage.stage)?.refused).toBeNull();
    const late = new ModeStage();
    late.follow(modes);
    expect(late.log.map(({ level }) => level)).toEqual(['info']);
  });

  it('is not the revision either', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    source.kept = { revision: 0, text: text('replicated') };
    source.tell();
    await pass(100);
    expect(stage.mode).toBe('local');
    expect(modes.lastError?.message).toContain('revision of the mode kept');
  });
});

describe('a policy that is refused', () => {
  const check = (policy: Policy) => {
    if (policy.clauses.every(({ level }) => level === 'in_memory')) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${policy} has no persisted clause`);
    }
  };

  it('changes nothing, and is told once', async () => {
    const source = new ScriptedSource();
    source.put(text('durably-replicated'));
    const modes = await started(source, { refreshMs: 1000 });
    const stage = new ModeStage();
    stage.follow(modes, { check });
    stage.log.length = 0;
    for (let times = 0; times < 3; times++) {
      source.put(text('replicated', { by: 'ana' }));
      await pass(5000);
      expect(stage.mode).toBe('durably-replicated');
    }
    expect(stage.log).toEqual([
      {
        level: 'error',
        message: 'mode of the mode store refused, the one in force stays',
        fields: {
          revision: 2,
          by: 'ana',
          policy: 'in_memory>=2',
          why: expect.stringContaining('no persisted clause'),
        },
      },
    ]);
    expect(modes.following(stage.stage)?.refused?.message).toContain('no persisted clause');
    expect(modes.override()).toEqual({ policy: 'replicated', by: 'ana' });
    source.put(text('hybrid'));
    await pass(1000);
    expect(stage.mode).toBe('hybrid');
    expect(modes.following(stage.stage)?.refused).toBeNull();
  });

  it('does not lengthen the one before it, nor bring it back', async () => {
    const source = new ScriptedSource();
    const begin = Date.now();
    source.put(text('durably-replicated', { expiresAt: begin + 5000 }));
    const modes = await started(source);
    const [short, long] = [new ModeStage(), new ModeStage()];
    short.follow(modes, { check });
    source.put(text('replicated', { expiresAt: begin + 8000 }));
    await pass(4999);
    expect(short.mode).toBe('durably-replicated');
    await pass(1);
    expect(short.mode).toBe('local');

    source.put(text('durably-replicated'));
    await pass(100);
    long.follow(modes, { check });
    source.put(text('replicated', { expiresAt: begin + 8000 }));
    await pass(1000);
    expect(long.mode).toBe('durably-replicated');
    await pass(3000);
    expect(long.mode).toBe('local');
    expect(modes.following(long.stage)?.refused).toBeNull();
  });

  it('is for the one who refuses it only', async () => {
    const source = new ScriptedSource();
    source.put(text('replicated'));
    const modes = await started(source);
    const [able, unable] = [new ModeStage(), new ModeStage()];
    able.follow(modes);
    unable.follow(modes, { check });
    expect([able.mode, unable.mode]).toEqual(['replicated', 'local']);
  });

  it('is not published where it is refused, nor taken as a fallback', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    expect(() => stage.follow(modes, { check, fallback: 'replicated' })).toThrow('no persisted clause');
    stage.follow(modes, { check });
    await expect(modes.publish({ policy: 'in_memory>=1' })).rejects.toThrow('no persisted clause');
    expect(source.kept).toBeNull();
  });
});

describe('being away', () => {
  it('takes a deletion that happened meanwhile', async () => {
    const source = new ScriptedSource();
    source.put(text('hybrid'));
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    const down = () => {
      throw new Error('refused');
    };
    source.beforeRead = down;
    source.beforeWatch = down;
    source.cut();
    source.delete();
    await pass(60_000);
    expect(stage.mode).toBe('hybrid');
    expect(modes.ageMs()).toBeGreaterThan(59_000);
    source.beforeRead = () => {};
    source.beforeWatch = () => {};
    await pass(10_000);
    expect(stage.mode).toBe('local');
    expect(modes.lastError).toBeNull();
  });

  it('misses nothing between reading and watching', async () => {
    const source = new ScriptedSource();
    source.afterWatch = () => {
      source.afterWatch = () => {};
      source.put(text('hybrid'));
    };
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    expect(stage.mode).toBe('hybrid');
  });
});

describe('publishing', () => {
  it('keeps absolute ends, names in their short form, and who it was', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const expiresAt = Date.now() + 90_000;
    await modes.publish({ policy: 'disk', ttlSecs: 90, by: 'ana' });
    expect(source.kept).toEqual({
      revision: 1,
      text: `{"policy":"local","expiresAt":${expiresAt},"by":"ana"}`,
    });
    await modes.publish({
      policy: Policy.parse('persisted >= 2  zones'),
      expiresAt: expiresAt - 1,
      ttlSecs: 90,
    });
    expect(source.kept?.text).toBe(`{"policy":"persisted>=2 zones","expiresAt":${expiresAt - 1}}`);
    await modes.publish({ policy: 'fallback' });
    expect(source.kept?.text).toBe('{"policy":"fallback"}');
    expect(modes.override()).toBeNull();
  });

  it.each([
    ['ERR_ACKGATE_POLICY_UNKNOWN_LEVEL', { policy: 'quorum' }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: undefined }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: null }],
    ['ERR_ACKGATE_UNKNOWN_OPTION', { policy: 'local', ttl: 5 }],
    ['ERR_ACKGATE_OUT_OF_RANGE', { policy: 'local', ttlSecs: 0 }],
    ['ERR_ACKGATE_OUT_OF_RANGE', { policy: 'local', ttlSecs: 0.5 }],
    ['ERR_ACKGATE_OUT_OF_RANGE', { policy: 'local', ttlSecs: 31_622_401 }],
    ['ERR_ACKGATE_OUT_OF_RANGE', { policy: 'local', expiresAt: 1_790_000 }],
    ['ERR_ACKGATE_OUT_OF_RANGE', { policy: 'local', expiresAt: Number.NaN }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: 'local', expiresAt: null }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: 'local', expiresAt: new Date() }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: 'local', by: '' }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: 'local', by: 'a\tb' }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', { policy: 'local', by: 'x'.repeat(257) }],
    ['ERR_ACKGATE_INVALID_ARGUMENT', null],
  ])('refuses what can not be meant: %s %j', async (code, change) => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const expected = { code, name: 'AckgateError' };
    await expect(modes.publish(change as never)).rejects.toMatchObject(expected);
    expect(source.kept).toBeNull();
  });

  it('refuses a stale revision, one that is none, and a source that takes nothing', async () => {
    const source = new ScriptedSource();
    const modes = await started(source);
    const stage = new ModeStage();
    stage.follow(modes);
    source.tells = false;
    source.put(text('replicated'));
    const stale = modes.publish({ policy: 'hybrid' }, { ifRevision: 0 });
    await expect(stale).rejects.toMatchObject({ code: 'ERR_ACKGATE_MODE_STALE' });
    expect(stage.mode).toBe('replicated');
    const none = modes.publish({ policy: 'hybrid' }, { ifRevision: -1 });
    await expect(none).rejects.toMatchObject({ code: 'ERR_ACKGATE_OUT_OF_RANGE' });
    const readOnly = new WatchedMode({ read: () => source.read(), watch: (a, b) => source.watch(a, b) });
    onTestFinished(() => readOnly.close());
    await expect(readOnly.publish({ policy: 'hybrid' })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
    });
    expect(source.kept?.revision).toBe(1);
  });

  it('that fails or hangs is told, and says that it may be written all the same', async () => {
    const source = new ScriptedSource();
    const modes = await started(source, { answerTimeoutMs: 500 });
    source.beforeWrite = () => new Promise(() => {});
    const stuck = expect(modes.publish({ policy: 'hybrid' })).rejects.toThrow(
      'writing the mode (perhaps written all the same) gave no answer within 500 ms',
    );
    await pass(500);
    await stuck;
  });
});

it('tells listeners of changes, with what is kept in force already', async () => {
  const source = new ScriptedSource();
  const modes = await started(source);
  const stage = new ModeStage();
  stage.follow(modes);
  const seen: unknown[] = [];
  const end = modes.onChange(() => seen.push([modes.load().revision, modes.override()?.policy, stage.mode]));
  await modes.publish({ policy: 'hybrid' });
  source.delete();
  await pass(100);
  end();
  await modes.publish({ policy: 'replicated' });
  expect(seen).toEqual([
    [1, 'hybrid', 'hybrid'],
    [0, undefined, 'local'],
  ]);
});

it.each(['refreshMs', 'answerTimeoutMs', 'retryMsMin', 'retryMsMax', 'now', 'wat'])(
  'refuses a bad %s',
  (name) => {
    expect(() => new WatchedMode(new ScriptedSource(), { [name]: '5' })).toThrow(name);
  },
);

it('keeps no process alive, not even with an end far ahead', () => {
  const program = `
    import { WatchedMode } from '#ackgate/cluster/index.js';
    const never = () => new Promise(() => {});
    const stage = { setMode() {}, status: () => ({ mode: 'local', modeByte: 0, policy: 'persisted>=1' }) };
    const text = JSON.stringify({ policy: 'hybrid', expiresAt: Date.now() + 3_600_000 });
    const modes = new WatchedMode({ read: async () => ({ revision: 1, text }), watch: async () => () => {} });
    modes.follow(stage, { fallback: 'local' });
    await modes.refresh();
    new WatchedMode({ read: never, watch: never }).follow(stage, { fallback: 'local' });
    console.log(modes.override().policy);`;
  const args = ['--input-type=module', '--eval', program];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 })).toBe('hybrid\n');
});
