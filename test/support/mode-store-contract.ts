import { describe, expect, it, onTestFinished } from 'vitest';
import { WatchedMode } from '#ackgate/cluster/index.js';
import type { TextSource } from '#ackgate/directives/index.js';
import { ModeStage } from './mode-stage.js';
import { until } from './stage.js';

/** One text, nothing kept in it yet, with sources for two instances. */
export interface SharedText {
  readonly sources: readonly [TextSource, TextSource];
  /** Keeps a text that no instance would write. */
  readonly put: (text: string) => unknown;
  readonly delete: () => unknown;
  readonly end?: () => unknown;
}

/** What a mode store does over every source: in real time, so that `open` may reach for a real server. */
export function modeStoreContract(name: string, open: () => SharedText | Promise<SharedText>): void {
  const opened = async () => {
    const shared = await open();
    const stores = shared.sources.map((source) => new WatchedMode(source, { refreshMs: 200 }));
    onTestFinished(async () => {
      for (const store of stores) await store.close();
      await shared.end?.();
    });
    const stages = stores.map((store) => {
      const stage = new ModeStage();
      stage.follow(store);
      return stage;
    });
    for (const store of stores) expect(await store.refresh()).toBe(true);
    const all = (mode: string) =>
      until(`all are ${mode}`, () => stages.every((stage) => stage.mode === mode));
    return { shared, stores, stages, all };
  };

  describe(`a mode store over ${name}`, () => {
    it('moves all instances, back to their own mode as well', async () => {
      const { stores, all } = await opened();
      expect(stores.map((store) => store.load())).toEqual(Array(2).fill({ revision: 0, setting: null }));
      const first = await stores[0].publish({ policy: 'hybrid', by: 'ana' });
      await all('hybrid');
      const second = await stores[1].publish({ policy: 'persisted>=2 zones' });
      expect(second).toBeGreaterThan(first);
      await all('persisted>=2 zones');
      await stores[0].publish({ policy: 'fallback' });
      await all('local');
    });

    it('has what was published in force where it was published', async () => {
      const { stores, stages } = await opened();
      const revision = await stores[0].publish({ policy: 'hybrid', by: 'ana' });
      expect(stages[0].mode).toBe('hybrid');
      expect(stores[0].load()).toEqual({ revision, setting: { policy: 'hybrid', by: 'ana' } });
    });

    it('takes one of two that are published over the same revision', async () => {
      const { stores, all } = await opened();
      const revision = await stores[0].publish({ policy: 'hybrid' }, { ifRevision: 0 });
      const stale = { code: 'ERR_ACKGATE_MODE_STALE' };
      await expect(stores[1].publish({ policy: 'local' }, { ifRevision: 0 })).rejects.toMatchObject(stale);
      const tried = await Promise.allSettled(
        stores.map((store, i) => store.publish({ policy: `persisted>=${i + 3}` }, { ifRevision: revision })),
      );
      const won = tried.findIndex(({ status }) => status === 'fulfilled');
      expect(tried[1 - won]).toMatchObject({ status: 'rejected', reason: stale });
      await all(`persisted>=${won + 3}`);
    });

    it('ends by itself everywhere', async () => {
      const { stores, stages, all } = await opened();
      await stores[0].publish({ policy: 'hybrid', expiresAt: Date.now() + 1500 });
      await until('it is over where it was published', () => {
        expect(['local', 'hybrid']).toContain(stages[0].mode);
        return stages[0].changes.length === 2;
      });
      expect(stages[0].changes).toEqual(['local → hybrid', 'hybrid → local']);
      await all('local');
      expect(stores.map((store) => store.override())).toEqual([null, null]);
    });

    it('goes back to the fallback when it is deleted', async () => {
      const { shared, stores, all } = await opened();
      await stores[0].publish({ policy: 'hybrid' });
      await all('hybrid');
      await shared.delete();
      await all('local');
      await stores[1].publish({ policy: 'replicated' }, { ifRevision: 0 });
      await all('replicated');
    });

    it('stays as it is when something unknown is kept', async () => {
      const { shared, stores, stages, all } = await opened();
      await stores[0].publish({ policy: 'durably-replicated' });
      await all('durably-replicated');
      await shared.put('{"policy":"quorum-of-the-future"}');
      await until('all have seen it', () => stores.every(({ lastError }) => lastError !== null));
      for (const [i, stage] of stages.entries()) {
        expect(stage.mode).toBe('durably-replicated');
        expect(stores[i].following(stage.stage)?.refused?.message).toContain('quorum-of-the-future');
        expect(stores[i].lastError).toMatchObject({ code: 'ERR_ACKGATE_MODE_INVALID' });
      }
      await stores[1].publish({ policy: 'hybrid' });
      await all('hybrid');
    });
  });
}
