import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  type Directive,
  encodeKeptDirectives,
  WatchedStore,
  type WatchedStoreOptions,
} from '#ackgate/directives/index.js';
import { ScriptedSource } from './support/scripted-source.js';

// A store over a source that others write to as well, with everything that can go wrong in between. Time is the test's.

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise(() => {});
const set = (...ids: string[]): Directive[] =>
  ids.map((id) => ({ id, level: 'shape', expiresAt: Date.now() + 3_600_000 }));
const text = (...ids: string[]) => encodeKeptDirectives(set(...ids));
const idsOf = (store: WatchedStore) => store.load().directives.map(({ id }) => id);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function open(source: ScriptedSource, options: WatchedStoreOptions = {}): WatchedStore {
  const store = new WatchedStore(source, options);
  onTestFinished(() => void store.close());
  return store;
}

async function started(source: ScriptedSource, options?: WatchedStoreOptions): Promise<WatchedStore> {
  const store = open(source, options);
  await pass(0);
  return store;
}

/** A promise that the test resolves. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('beginning', () => {
  it('has an empty set at once, before the source said anything', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = open(source);
    expect(store.load()).toEqual({ revision: 0, directives: [] });
    await pass(0);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.load().revision).toBe(1);
    expect(source).toMatchObject({ reads: 1, watches: 1 });
  });

  it('is ready when the first reading is', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = open(source);
    expect(await store.refresh()).toBe(true);
    expect(idsOf(store)).toEqual(['a']);
  });

  it('goes on without a source, and takes the set when there is one', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const down = () => {
      throw new Error('refused');
    };
    source.beforeRead = down;
    source.beforeWatch = down;
    const store = open(source);
    expect(await store.refresh()).toBe(false);
    expect(store.load()).toEqual({ revision: 0, directives: [] });
    expect(store.lastError?.message).toBe('refused');
    source.beforeRead = () => {};
    source.beforeWatch = () => {};
    await pass(1000);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.lastError).toBeNull();
    expect(source.watching.size).toBe(1);
  });

  it('tells nobody of a source that keeps nothing', async () => {
    const store = open(new ScriptedSource());
    let calls = 0;
    store.onChange(() => calls++);
    await pass(60_000);
    expect(calls).toBe(0);
    expect(store.lastError).toBeNull();
  });

  it.each(['refreshMs', 'answerTimeoutMs', 'retryMsMin', 'retryMsMax'])('refuses a bad %s', (name) => {
    for (const value of [0, -1, Number.NaN, 2 ** 31, '5']) {
      expect(() => new WatchedStore(new ScriptedSource(), { [name]: value })).toThrow(name);
    }
  });
});

describe('a change', () => {
  it('is taken as soon as it is told', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    const seen: string[][] = [];
    store.onChange(() => seen.push(idsOf(store)));
    await pass(100);
    source.put(text('a'));
    await pass(0);
    source.put(text('b', 'c'));
    await pass(20);
    expect(seen).toEqual([['a'], ['b', 'c']]);
    expect(store.load().revision).toBe(2);
  });

  it('between reading and watching is not missed', async () => {
    // Watched before it is read: whatever the order of the two, the last write wins.
    for (const hook of ['beforeWatch', 'afterWatch', 'beforeRead', 'afterRead'] as const) {
      const source = new ScriptedSource();
      source.put(text('old'));
      let once = true;
      source[hook] = () => {
        if (once) source.put(text('new'));
        once = false;
      };
      const store = open(source, { refreshMs: 1e9 });
      await pass(100);
      expect([hook, idsOf(store)]).toEqual([hook, ['new']]);
      expect(source.watching.size).toBe(1);
    }
  });

  it('during a reading is read again', async () => {
    const source = new ScriptedSource();
    const store = await started(source, { refreshMs: 1e9 });
    await pass(100);
    const slow = gate();
    source.afterRead = () => slow.opened;
    source.put(text('a'));
    await pass(30);
    source.put(text('b'));
    expect(idsOf(store)).toEqual([]);
    source.afterRead = () => {};
    slow.open();
    await pass(0);
    expect(idsOf(store)).toEqual(['b']);
  });

  it('that was told late, twice or for nothing changes nothing more', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    let calls = 0;
    store.onChange(() => calls++);
    source.put(text('a'));
    await pass(100);
    const snapshot = store.load();
    for (let i = 0; i < 5; i++) source.tell();
    await pass(100);
    expect(calls).toBe(1);
    expect(store.load()).toBe(snapshot);
  });

  it('that is told without end is read now and then', async () => {
    const source = new ScriptedSource();
    // A source whose every reading counts as a change; in the end it stops, or a tight loop would never.
    source.afterRead = () => source.reads < 500 && source.tell();
    const store = await started(source);
    for (let ms = 0; ms < 1000; ms++) {
      source.tell();
      await pass(1);
    }
    expect(source.reads).toBeGreaterThan(10);
    expect(source.reads).toBeLessThan(60);
    await store.close();
  });

  it('that went untold is found by reading now and then', async () => {
    const source = new ScriptedSource();
    const store = await started(source, { refreshMs: 5000 });
    source.tells = false;
    source.put(text('a'));
    await pass(4999);
    expect(idsOf(store)).toEqual([]);
    await pass(1);
    expect(idsOf(store)).toEqual(['a']);
  });

  it('that an answer overtook is not undone by it', async () => {
    const source = new ScriptedSource();
    source.put(text('old'));
    const store = await started(source, { answerTimeoutMs: 1000, retryMsMin: 100 });
    const stuck = gate();
    source.afterRead = () => stuck.opened;
    source.tells = false;
    const reading = store.refresh();
    await pass(1000);
    expect(await reading).toBe(false);
    source.afterRead = () => {};
    source.put(text('new'));
    await pass(100);
    expect(idsOf(store)).toEqual(['new']);
    stuck.open();
    await pass(100);
    expect(idsOf(store)).toEqual(['new']);
  });
});

describe('a deletion', () => {
  it('turns everything off', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source);
    source.delete();
    await pass(100);
    expect(store.load()).toEqual({ revision: 0, directives: [] });
    expect(store.lastError).toBeNull();
  });

  it('while it was away is applied', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source, { refreshMs: 1e9, retryMsMin: 100 });
    source.cut();
    source.delete();
    expect(idsOf(store)).toEqual(['a']);
    await pass(100);
    expect(idsOf(store)).toEqual([]);
  });

  it('with another set written afterwards under the same revision is applied too', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source);
    source.kept = { revision: 1, text: text('b') };
    source.tell();
    await pass(100);
    expect(idsOf(store)).toEqual(['b']);
  });
});

describe('a bad value', () => {
  const bad: [string, (good: string) => string][] = [
    ['invalid_json', () => 'no'],
    ['bad_target', (good) => good.replace('"id":"b"', '"id":"b","tenant":null')],
    ['unknown_kind', (good) => good.replace('"id":"b"', '"id":"b","kind":"wat"')],
    ['unknown_field', (good) => good.replace('"id":"b"', '"id":"b","ttlSecs":5')],
    ['ttl_too_long', (good) => good.replace(/"expiresAt":\d+/, `"expiresAt":${Date.now() * 2}`)],
  ];
  it.each(bad)('leaves the last good set in force: %s', async (slug, spoil) => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source, { refreshMs: 1000 });
    let calls = 0;
    store.onChange(() => calls++);
    const before = store.load();
    source.put(spoil(text('b')));
    await pass(100);
    expect(store.load()).toBe(before);
    expect(store.lastError).toMatchObject({ code: 'ERR_ACKGATE_DIRECTIVES_INVALID', slug });
    const age = store.ageMs();
    await pass(10_000);
    expect(store.ageMs()).toBe(age + 10_000);
    expect(store.load()).toBe(before);
    expect(calls).toBe(0);
    source.put(text('c'));
    await pass(100);
    expect(idsOf(store)).toEqual(['c']);
    expect(store.lastError).toBeNull();
    expect(store.ageMs()).toBeLessThanOrEqual(100);
  });

  it.each([0, -1, 0.5, Number.NaN, '1', null])('may be its revision: %j', async (revision) => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source);
    source.kept = { revision: revision as number, text: text('b') };
    source.tell();
    await pass(100);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.lastError).toMatchObject({ code: 'ERR_ACKGATE_OUT_OF_RANGE' });
  });

  it.each([undefined, 5, {}])('may be no set at all: %j', async (kept) => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source);
    source.kept = kept as never;
    source.tell();
    await pass(100);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.lastError).toBeInstanceOf(Error);
  });

  it('that is deleted leaves nothing on', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source);
    source.put('no');
    await pass(100);
    source.delete();
    await pass(100);
    expect(idsOf(store)).toEqual([]);
    expect(store.lastError).toBeNull();
  });
});

describe('a reading that fails', () => {
  it('leaves the set in force, grows its age, and is tried again, less and less often', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source, { refreshMs: 1000, retryMsMin: 100 });
    source.beforeRead = () => {
      throw new Error('gone');
    };
    source.put(text('b'));
    await pass(50);
    expect(source.reads).toBe(2);
    for (const [ms, reads] of [
      [100, 3],
      [200, 4],
      [400, 5],
      [800, 6],
      [1000, 7],
      [1000, 8],
    ]) {
      await pass(ms);
      expect(source.reads).toBe(reads);
    }
    expect(store.lastError?.message).toBe('gone');
    expect(idsOf(store)).toEqual(['a']);
    expect(store.ageMs()).toBeGreaterThan(3000);
    source.beforeRead = () => {};
    await pass(1000);
    expect(store.lastError).toBeNull();
    expect(idsOf(store)).toEqual(['b']);
  });

  it('may never end', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source, { answerTimeoutMs: 500 });
    source.beforeRead = never;
    source.put(text('b'));
    await pass(600);
    expect(store.lastError?.message).toContain('within 500 ms');
    source.beforeRead = () => {};
    await pass(100);
    expect(idsOf(store)).toEqual(['b']);
  });

  it('may throw what is no error', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    source.beforeRead = () => {
      throw null;
    };
    await store.refresh();
    expect(store.lastError?.message).toContain('null');
  });
});

describe('a watch that fails', () => {
  it('is set up again, less and less often, and what changed meanwhile is taken', async () => {
    const source = new ScriptedSource();
    const store = await started(source, { refreshMs: 1e9, retryMsMin: 100, retryMsMax: 1000 });
    source.beforeWatch = () => {
      throw new Error('refused');
    };
    source.cut();
    expect(store.lastError?.message).toBe('connection lost');
    const seen: number[] = [];
    for (const ms of [100, 200, 400, 800, 1000, 1000]) {
      await pass(ms);
      seen.push(source.watches);
    }
    expect(seen).toEqual([2, 3, 4, 5, 6, 7]);
    expect(store.lastError?.message).toBe('refused');
    source.tells = false;
    source.put(text('a'));
    source.beforeWatch = () => {};
    await pass(1000);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.lastError).toBeNull();
    expect(source.watching.size).toBe(1);
  });

  it.each([
    ['as', (source: ScriptedSource) => source.cut()],
    ['soon after', (source: ScriptedSource) => void setTimeout(() => source.cut(), 1)],
  ])('%s it stands is not set up in a tight loop', async (_, cut) => {
    const source = new ScriptedSource();
    source.afterWatch = () => cut(source);
    await started(source, { retryMsMin: 100, retryMsMax: 10_000 });
    await pass(60_000);
    expect(source.watches).toBeGreaterThan(5);
    expect(source.watches).toBeLessThan(15);
    expect(source.watching.size).toBe(0);
  });

  it('is set up soon again when it stood for long', async () => {
    const source = new ScriptedSource();
    await started(source, { retryMsMin: 100, retryMsMax: 1000 });
    for (let i = 0; i < 5; i++) {
      await pass(1000);
      source.cut();
      await pass(100);
      expect(source.watching.size).toBe(1);
    }
  });

  it('may say so twice, or after it was replaced', async () => {
    const source = new ScriptedSource();
    await started(source, { retryMsMin: 100 });
    const [old] = source.watching;
    source.cut();
    old.failed(new Error('again'));
    await pass(100);
    old.failed(new Error('and again'));
    old.changed();
    await pass(1000);
    expect(source.watches).toBe(2);
    expect(source.watching.size).toBe(1);
  });

  it('may never stand; one that stands too late is ended', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const late = gate();
    source.beforeWatch = () => late.opened;
    const store = await started(source, { answerTimeoutMs: 500, retryMsMin: 100 });
    await pass(500);
    expect(store.lastError?.message).toContain('within 500 ms');
    expect(idsOf(store)).toEqual(['a']);
    source.beforeWatch = () => {};
    await pass(100);
    expect(source.watching.size).toBe(1);
    late.open();
    await pass(0);
    expect(source.watching.size).toBe(1);
    source.put(text('b'));
    await pass(100);
    expect(idsOf(store)).toEqual(['b']);
  });

  it('may throw at once, or what is no error', async () => {
    const source = new ScriptedSource();
    source.watch = () => {
      throw undefined;
    };
    const store = await started(source);
    expect(store.lastError?.message).toContain('undefined');
  });
});

describe('publishing', () => {
  it('is in force here when it resolves, and kept with absolute times', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    const directives = set('a');
    expect(await store.publish(directives)).toBe(1);
    expect(store.load()).toEqual({ revision: 1, directives });
    expect(JSON.parse(source.kept?.text ?? '')).toEqual({ directives });
  });

  it('after another one, unseen, is refused, and what that one wrote is in force', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    source.tells = false;
    source.put(text('theirs'));
    await expect(store.publish(set('ours'), { ifRevision: 0 })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_DIRECTIVES_STALE',
    });
    expect(idsOf(store)).toEqual(['theirs']);
  });

  it('that fails is told', async () => {
    const source = new ScriptedSource();
    const store = await started(source, { answerTimeoutMs: 500 });
    source.beforeWrite = () => {
      throw new Error('read only');
    };
    await expect(store.publish(set('a'))).rejects.toThrow('read only');
    source.beforeWrite = never;
    const stuck = expect(store.publish(set('a'))).rejects.toThrow('written all the same');
    await pass(500);
    await stuck;
  });

  it('has succeeded although it could not be read back', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    source.beforeRead = () => {
      throw new Error('gone');
    };
    expect(await store.publish(set('a'))).toBe(1);
    expect(idsOf(store)).toEqual([]);
    expect(store.lastError?.message).toBe('gone');
  });

  it('is refused where it can not be, or not any more', async () => {
    const source = new ScriptedSource();
    const readOnly = new WatchedStore({ read: () => source.read(), watch: (a, b) => source.watch(a, b) });
    await expect(readOnly.publish(set('a'))).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
    await readOnly.close();
    const store = await started(source);
    await store.close();
    await expect(store.publish(set('a'))).rejects.toThrow('closed');
    expect(source.kept).toBeNull();
  });
});

describe('closing', () => {
  it('ends the watch; the set stays in force, and nothing is read any more', async () => {
    const source = new ScriptedSource();
    source.put(text('a'));
    const store = await started(source, { refreshMs: 1000 });
    await store.close();
    await store.close();
    expect(source.watching.size).toBe(0);
    const { reads } = source;
    source.put(text('b'));
    expect(await store.refresh()).toBe(false);
    await pass(60_000);
    expect(source.reads).toBe(reads);
    expect(idsOf(store)).toEqual(['a']);
    expect(store.ageMs()).toBe(60_000);
  });

  it('waits for a reading under way, and does not take it', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    const slow = gate();
    source.afterRead = () => slow.opened;
    source.put(text('a'));
    const reading = store.refresh();
    const following = store.refresh();
    let closed = false;
    const closing = store.close().then(() => {
      closed = true;
    });
    await pass(100);
    expect(closed).toBe(false);
    slow.open();
    await closing;
    expect([await reading, await following]).toEqual([false, false]);
    expect(idsOf(store)).toEqual([]);
  });

  it('while the watch is being set up ends it when it stands', async () => {
    const source = new ScriptedSource();
    const slow = gate();
    source.beforeWatch = () => slow.opened;
    const store = await started(source);
    await store.close();
    slow.open();
    await pass(1000);
    expect(source.watching.size).toBe(0);
    expect(source).toMatchObject({ watches: 1, reads: 0 });
  });

  it('while a retry is due forgets it', async () => {
    const source = new ScriptedSource();
    const store = await started(source);
    source.cut();
    await store.close();
    await pass(60_000);
    expect(source.watches).toBe(1);
  });

  it('is not held up by a source that fails or hangs', async () => {
    const source = new ScriptedSource();
    for (const onStop of [
      () => {
        throw new Error('no');
      },
      never,
    ]) {
      source.onStop = onStop;
      const store = await started(source, { answerTimeoutMs: 500 });
      const closing = store.close();
      await pass(500);
      await closing;
    }
    expect(source.watching.size).toBe(0);
  });
});

it('keeps no process alive', () => {
  const program = `
    import { WatchedStore } from '#ackgate/directives/index.js';
    const never = () => new Promise(() => {});
    new WatchedStore({ read: async () => null, watch: async () => () => {} });
    new WatchedStore({ read: never, watch: never });
    new WatchedStore({ read: async () => { throw 1 }, watch: async () => { throw 1 } });
    console.log('done');`;
  const args = ['--input-type=module', '--eval', program];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 })).toBe('done\n');
});
