import { describe, expect, it } from 'vitest';
import type { Directive, DirectiveStore, PublishableStore } from '#ackgate/directives/index.js';
import { AckgateError } from '#ackgate/errors.js';

export interface StoreUnderTest {
  readonly store: DirectiveStore;
  /** Resolves once the set is in force; missing where a set never changes. */
  readonly publish?: PublishableStore['publish'];
  readonly end?: () => unknown;
}

const inAnHour = Date.now() + 3_600_000;
export const aDirective: Directive = { id: 'a', level: 'shape', expiresAt: inAnHour };
export const anotherDirective: Directive = {
  id: 'b',
  level: 'capture',
  expiresAt: inAnHour + 1,
  tenant: 'acme',
  connection: 7,
  kind: '3',
  samplePerMille: 10,
  salt: 'x',
};

/** Sets that no store takes, with the word that tells why. */
export const badSets: readonly [string, unknown][] = [
  ['missing_directives', null],
  ['missing_directives', {}],
  ['not_an_object', [aDirective, null]],
  ['unknown_field', [{ ...aDirective, ttlSecs: 5 }]],
  ['missing_id', [{ ...aDirective, id: '' }]],
  ['duplicate_id', [aDirective, aDirective]],
  ['unknown_level', [{ ...aDirective, level: 'wat' }]],
  ['missing_ttl', [{ ...aDirective, expiresAt: new Date(inAnHour) }]],
  ['missing_ttl', [{ ...aDirective, expiresAt: Number.NaN }]],
  ['ttl_too_long', [{ ...aDirective, expiresAt: inAnHour + 86_400_000 }]],
  ['bad_sample_rate', [{ ...aDirective, samplePerMille: 1001 }]],
  ['bad_target', [{ ...aDirective, tenant: null }]],
  ['bad_target', [{ ...aDirective, tenant: undefined }]],
  ['bad_target', [{ ...aDirective, connection: '7' }]],
  ['bad_target', [{ ...aDirective, kind: 7 }]],
  ['unknown_kind', [{ ...aDirective, kind: '' }]],
  ['too_many', Array.from({ length: 257 }, (_, i) => ({ ...aDirective, id: `d${i}` }))],
];

async function failure(call: () => unknown): Promise<AckgateError> {
  try {
    await call();
  } catch (error) {
    return error as AckgateError;
  }
  throw new Error('nothing was thrown');
}

/** What every store of directives holds to. `open` gives one in which `first` is in force. */
export function directiveStoreContract(
  name: string,
  open: (first: readonly Directive[]) => Promise<StoreUnderTest>,
  { publishes }: { publishes: boolean },
): void {
  const opened = async (first: readonly Directive[] = []) => {
    const under = await open(first);
    expect(under.publish !== undefined).toBe(publishes);
    const publish: PublishableStore['publish'] = (...args) => under.publish!(...args);
    return { ...under, publish, [Symbol.asyncDispose]: async () => void (await under.end?.()) };
  };

  describe(`${name}: what every store does`, () => {
    it('gives the set in force at once, the same one until it changes', async () => {
      await using under = await opened([aDirective, anotherDirective]);
      const snapshot = under.store.load();
      expect(snapshot.directives).toEqual([aDirective, anotherDirective]);
      expect(under.store.load()).toBe(snapshot);
      expect(under.store.lastError).toBeNull();
      expect(under.store.ageMs()).toBeGreaterThanOrEqual(0);
    });

    it('gives a set that nobody can change', async () => {
      const given = [{ ...aDirective }];
      await using under = await opened(given);
      const snapshot = under.store.load();
      for (const part of [snapshot, snapshot.directives, snapshot.directives[0]]) {
        expect(Object.isFrozen(part)).toBe(true);
      }
      given[0].level = 'capture';
      given.push(anotherDirective);
      expect(under.store.load().directives).toEqual([aDirective]);
    });

    it('keeps a directive that is over: it turns itself off', async () => {
      const over = { ...aDirective, expiresAt: 5 };
      await using under = await opened([over]);
      expect(under.store.load().directives).toEqual([over]);
    });

    it('takes listeners and lets them go', async () => {
      await using under = await opened();
      let calls = 0;
      const end = under.store.onChange(() => calls++);
      end();
      end();
      if (publishes) await under.publish([aDirective]);
      expect(calls).toBe(0);
    });

    it.each(badSets)('refuses a bad set: %s', async (slug, set) => {
      const expected = {
        code: 'ERR_ACKGATE_DIRECTIVES_INVALID',
        slug,
        message: expect.stringMatching(/^directives(\[\d+\])? .*\(/),
      };
      await using under = await opened([aDirective]);
      const { publish } = under;
      const bad = set as Directive[];
      const error = await failure(publishes ? () => publish(bad) : () => open(bad));
      expect(error).toBeInstanceOf(AckgateError);
      expect(error).toMatchObject(expected);
      expect(under.store.load().directives).toEqual([aDirective]);
    });
  });

  if (!publishes) return;
  describe(`${name}: what a store does that is published to`, () => {
    it('swaps the whole set and counts its revision up', async () => {
      await using under = await opened([aDirective]);
      const before = under.store.load();
      const seen: unknown[] = [];
      under.store.onChange(() => seen.push(under.store.load().directives));
      const revision = await under.publish([anotherDirective]);
      expect(revision).toBeGreaterThan(before.revision);
      expect(under.store.load()).toEqual({ revision, directives: [anotherDirective] });
      expect(before.directives).toEqual([aDirective]);
      const cleared = await under.publish([]);
      expect(cleared).toBeGreaterThan(revision);
      expect(under.store.load()).toEqual({ revision: cleared, directives: [] });
      expect(seen).toEqual([[anotherDirective], []]);
    });

    it('refuses a stale revision and stays as it is', async () => {
      await using under = await opened([aDirective]);
      const { publish } = under;
      const { revision } = under.store.load();
      const error = await failure(() => publish([], { ifRevision: revision + 1 }));
      expect(error).toBeInstanceOf(AckgateError);
      expect(error.code).toBe('ERR_ACKGATE_DIRECTIVES_STALE');
      expect(under.store.load()).toEqual({ revision, directives: [aDirective] });
      const next = await publish([anotherDirective], { ifRevision: revision });
      expect((await failure(() => publish([], { ifRevision: revision }))).code).toBe(
        'ERR_ACKGATE_DIRECTIVES_STALE',
      );
      expect(under.store.load()).toEqual({ revision: next, directives: [anotherDirective] });
    });

    it('publishes over nothing only when nothing was published', async () => {
      await using under = await opened();
      const { publish } = under;
      const { revision } = under.store.load();
      await publish([aDirective], { ifRevision: revision });
      expect(under.store.load().directives).toEqual([aDirective]);
      expect((await failure(() => publish([], { ifRevision: 0 }))).code).toBe('ERR_ACKGATE_DIRECTIVES_STALE');
    });

    it.each([
      ['ERR_ACKGATE_INVALID_ARGUMENT', '1'],
      ['ERR_ACKGATE_INVALID_ARGUMENT', null],
      ['ERR_ACKGATE_OUT_OF_RANGE', -1],
      ['ERR_ACKGATE_OUT_OF_RANGE', 0.5],
      ['ERR_ACKGATE_OUT_OF_RANGE', Number.NaN],
    ])('refuses a revision that is none: %s %j', async (code, ifRevision) => {
      await using under = await opened([aDirective]);
      const { publish } = under;
      const error = await failure(() => publish([], { ifRevision: ifRevision as number }));
      expect(error).toMatchObject({ code, message: expect.stringContaining('ifRevision') });
      expect(under.store.load().directives).toEqual([aDirective]);
    });

    it('goes on when a listener throws, and tells the others', async () => {
      await using under = await opened();
      const warnings: Error[] = [];
      const heard = (warning: Error) => warnings.push(warning);
      process.on('warning', heard);
      try {
        let calls = 0;
        under.store.onChange(() => {
          throw new Error('not mine');
        });
        under.store.onChange(() => calls++);
        await under.publish([aDirective]);
        expect(under.store.load().directives).toEqual([aDirective]);
        expect(calls).toBe(1);
        await new Promise(setImmediate);
        expect(warnings.map(String)).toEqual([expect.stringContaining('not mine')]);
      } finally {
        process.off('warning', heard);
      }
    });
  });
}
