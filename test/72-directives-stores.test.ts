import { describe, expect, it } from 'vitest';
import {
  DirectiveEvaluator,
  decodeDirectives,
  encodeKeptDirectives,
  InMemoryStore,
  StaticStore,
  WatchedStore,
} from '#ackgate/directives/index.js';
import { aDirective, anotherDirective, directiveStoreContract } from './support/directive-store-contract.js';
import { ScriptedSource } from './support/scripted-source.js';

directiveStoreContract('StaticStore', async (first) => ({ store: new StaticStore(first) }), {
  publishes: false,
});

directiveStoreContract(
  'InMemoryStore',
  async (first) => {
    const store = new InMemoryStore();
    if (first.length > 0) store.publish(first);
    return { store, publish: (set, options) => store.publish(set, options) };
  },
  { publishes: true },
);

directiveStoreContract(
  'WatchedStore',
  async (first) => {
    const source = new ScriptedSource();
    if (first.length > 0) source.put(encodeKeptDirectives(first));
    const store = new WatchedStore(source);
    await store.refresh();
    return { store, publish: (set, options) => store.publish(set, options), end: () => store.close() };
  },
  { publishes: true },
);

describe('StaticStore', () => {
  it('has the revision 1: its set is the only one', () => {
    const store = new StaticStore([aDirective]);
    expect(store.load().revision).toBe(1);
    expect(store.onChange(() => {})()).toBeUndefined();
  });
});

describe('InMemoryStore', () => {
  it('counts from 0, which is: nothing was published', () => {
    const store = new InMemoryStore();
    expect(store.load()).toEqual({ revision: 0, directives: [] });
    expect(store.publish([aDirective])).toBe(1);
    expect(store.publish([aDirective])).toBe(2);
    expect(store.publish([])).toBe(3);
    expect(store.load()).toEqual({ revision: 3, directives: [] });
  });

  it('has the set in force when its listeners hear of it, also of one published by a listener', () => {
    const store = new InMemoryStore();
    const seen: number[] = [];
    store.onChange(() => {
      const { revision } = store.load();
      seen.push(revision);
      if (revision === 1) expect(store.publish([anotherDirective])).toBe(2);
    });
    expect(store.publish([aDirective])).toBe(1);
    expect(seen).toEqual([1, 2]);
    expect(store.load()).toEqual({ revision: 2, directives: [anotherDirective] });
  });

  it('lets one listener end another while they are called', () => {
    const store = new InMemoryStore();
    let calls = 0;
    store.onChange(() => end());
    const end = store.onChange(() => calls++);
    store.publish([]);
    expect(calls).toBe(0);
  });
});

describe('the kinds of a store', () => {
  it('are looked up where it knows them', () => {
    const store = new InMemoryStore({ kinds: { order: 1 } });
    expect(() => store.publish([{ ...aDirective, kind: 'cancel' }])).toThrow('(unknown_kind)');
    expect(store.publish([{ ...aDirective, kind: 'order' }])).toBe(1);
    expect(() => new StaticStore([{ ...aDirective, kind: '__proto__' }], { kinds: {} })).toThrow(
      '(unknown_kind)',
    );
  });

  const source = { read: async () => null, watch: async () => () => {}, write: async () => 1 };
  const given = { now: Date.now };
  it.each([
    ['StaticStore', async (kind: string) => new StaticStore([{ ...aDirective, kind }], given)],
    ['InMemoryStore', async (kind: string) => new InMemoryStore(given).publish([{ ...aDirective, kind }])],
    [
      'WatchedStore',
      async (kind: string) => {
        await using store = new WatchedStore(source, given);
        await store.publish([{ ...aDirective, kind }]);
      },
    ],
    [
      'decodeDirectives',
      async (kind: string) => {
        const text = JSON.stringify({ directives: [{ ...aDirective, kind }] });
        const decoded = decodeDirectives(text, { nowMs: Date.now() });
        if ('slug' in decoded) throw new Error(`(${decoded.slug})`);
      },
    ],
  ])('are numbers where it was given none: %s', async (_, take) => {
    await take('0');
    await take('65535');
    for (const kind of ['65536', 'order', '01', ''])
      await expect(take(kind)).rejects.toThrow('(unknown_kind)');
  });

  it('are refused when they are none', () => {
    for (const kinds of [5, null, { order: 65_536 }, { order: '1' }] as never[]) {
      for (const make of [
        () => new InMemoryStore({ kinds }),
        () => new StaticStore([], { kinds }),
        () => new WatchedStore(source, { kinds }),
        () => new DirectiveEvaluator({ kinds }),
        () => decodeDirectives('{}', { kinds, nowMs: 0 }),
      ]) {
        expect(make).toThrow(/^kinds/);
      }
    }
  });
});

describe('the clock of a store', () => {
  it('says what is a day ahead', () => {
    const store = new InMemoryStore({ now: () => 1000 });
    const expiresAt = 1000 + 86_400_000;
    expect(store.publish([{ ...aDirective, expiresAt }])).toBe(1);
    expect(() => store.publish([{ ...aDirective, expiresAt: expiresAt + 1 }])).toThrow('(ttl_too_long)');
  });
});
