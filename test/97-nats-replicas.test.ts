import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileJournal } from '#ackgate/journal/index.js';
import { until as eventually } from '#ackgate/local-cluster/until.js';
import {
  NatsJournal,
  type NatsJournalOptions,
  natsStandings,
  type Replica,
  type ReplicaOptions,
  startReplica,
} from '#ackgate/nats/index.js';
import { startReplicaWith } from '#ackgate/nats/start-replica.js';
import { temporaryDirectory } from './support/journal.js';
import { Command, replicaCommand } from './support/nats-replica.js';
import { realNats } from './support/real-servers.js';
import { Rig, until } from './support/stage.js';

const server = await realNats();
const KiB = 1024;

let clusters = 0;

/** A cluster of its own, on the server that all tests share. */
class Cluster {
  readonly name = `replicas-${++clusters}`;
  readonly #parent = temporaryDirectory();

  directory(node: string): string {
    return join(this.#parent, node);
  }

  #options(node: string) {
    return { servers: server!.url, cluster: this.name, node, directory: this.directory(node) };
  }

  /** The primary, in this process. */
  async primary(node: string, more: Partial<NatsJournalOptions> = {}): Promise<NatsJournal> {
    const journal = await NatsJournal.open({ ...this.#options(node), ...more });
    onTestFinished(() => journal.close().catch(() => {}));
    return journal;
  }

  /** A replica in this process. */
  async replica(node: string, more: Partial<ReplicaOptions> = {}, clock?: () => number): Promise<Replica> {
    const options = { ...this.#options(node), ...more };
    const replica = await (clock === undefined ? startReplica(options) : startReplicaWith(options, clock));
    onTestFinished(() => replica.close().catch(() => {}));
    return replica;
  }

  /** A replica in a process of its own. */
  process(node: string, zone?: string): Command {
    return replicaCommand({ ...this.#options(node), ...(zone === undefined ? {} : { zone }) });
  }

  standings() {
    return natsStandings({ servers: server!.url, cluster: this.name });
  }

  /** What is in the journal of a node that nobody has open. */
  async records(node: string): Promise<string[]> {
    const journal = await FileJournal.open({ directory: this.directory(node) });
    try {
      return [...journal.replay()].map(({ payload }) => Buffer.from(payload).toString());
    } finally {
      await journal.close();
    }
  }
}

const texts = (from: number, to: number, word = 'order') =>
  Array.from({ length: to - from + 1 }, (_, i) => `${word} ${from + i}`);

function append(journal: NatsJournal, lines: readonly string[]): void {
  for (const line of lines)
    if (journal.append(Buffer.from(line)) === 0) throw new Error('the journal is full');
}

const persistedBy = (replica: Replica, sequence: number) =>
  until(`the replica has ${sequence}`, () => replica.status.persisted === sequence);

describe.skipIf(server === null)('replicas on NATS', () => {
  test('all four modes through frozen, killed and restarted replicas', async () => {
    const cluster = new Cluster();
    const [r1, r2] = [cluster.process('r1', 'east'), cluster.process('r2', 'west')];
    await eventually(
      () => 'both answer',
      async () => (await cluster.standings()).replicas.length === 2,
    );
    const journal = await cluster.primary('p');
    const rig = await Rig.start({ epoch: journal.epoch, policy: 'local' });
    await journal.drive(rig.stage);
    const { id, client } = await rig.attach();
    let sent = 0;
    const order = () => {
      sent = journal.append(Buffer.from(`order ${sent + 1}`));
      rig.publish({ id, seq: sent });
    };
    const answered = async () => {
      await client.untilAnswers(sent);
      expect(client.answers).toHaveLength(sent);
    };
    for (const mode of [
      'local',
      'replicated',
      'hybrid',
      'durably-replicated',
      'in_memory>=3',
      'persisted>=3 zones',
    ]) {
      rig.stage.setMode(mode);
      for (let i = 0; i < 20; i++) order();
      await answered();
    }

    // With both frozen, only the primary's own disk counts.
    for (const { child } of [r1, r2]) child.kill('SIGSTOP');
    rig.stage.setMode('local');
    order();
    await answered();
    rig.stage.setMode('replicated');
    order();
    await until('both are out of the view', () =>
      rig.stage.cursors.nodes().every(({ connected }) => !connected),
    );
    await rig.settled();
    expect(client.answers).toHaveLength(sent - 1);
    for (const { child } of [r1, r2]) child.kill('SIGCONT');
    await answered();

    // One that comes back behind counts again once it has what it missed.
    expect(await r1.end('SIGKILL')).toBe('SIGKILL');
    rig.stage.setMode('persisted>=3');
    order();
    await until('it is out of the view', () => rig.stage.cursors.nodes().some(({ connected }) => !connected));
    await rig.settled();
    expect(client.answers).toHaveLength(sent - 1);
    const again = cluster.process('r1', 'east');
    await answered();
    for (const replica of [again, r2]) expect(await replica.end('SIGTERM')).toBe(0);
    await journal.close();
    const expected = texts(1, sent);
    for (const node of ['p', 'r1', 'r2']) expect(await cluster.records(node)).toEqual(expected);
  });

  test('a server that hangs or restarts holds up no append, and what replicas missed is fetched', async () => {
    const cluster = new Cluster();
    const replica = await cluster.replica('r1');
    const journal = await cluster.primary('p', { segmentBytes: 256 * KiB });
    const batches = (count: number) => {
      for (let i = 0; i < count; i++) {
        expect(journal.appendBatch(texts(1, 100, `batch ${i}`).map((line) => Buffer.from(line)))).not.toBe(
          'full',
        );
      }
    };
    batches(10);
    await persistedBy(replica, 1_000);
    server!.freeze();
    batches(200);
    await journal.flush();
    server!.thaw();
    await persistedBy(replica, 21_000);
    await server!.stop();
    batches(300);
    await journal.flush();
    await server!.start();
    await persistedBy(replica, 51_000);
    await Promise.all([journal.close(), replica.close()]);
    expect(await cluster.records('r1')).toEqual(await cluster.records('p'));
  });

  test('a replica with an empty directory copies what there is, from the oldest that is kept', async () => {
    const cluster = new Cluster();
    const journal = await cluster.primary('p', { segmentBytes: 4 * KiB });
    for (let i = 0; i < 10; i++) {
      append(journal, texts(i * 200 + 1, i * 200 + 200));
      await journal.flush();
    }
    const all = await cluster.replica('r1');
    await persistedBy(all, 2_000);
    await all.close();
    append(journal, texts(2_001, 2_200));
    await journal.flush();
    append(journal, texts(2_201, 2_400));
    await journal.flush();
    const oldest = await journal.truncateBefore(2_300);
    expect(oldest).toBeGreaterThan(2_001);
    const rest = await cluster.replica('r2');
    await persistedBy(rest, 2_400);
    const behind = await cluster.replica('r1');
    const error = await behind.failed;
    expect([error.code, error.message]).toEqual([
      'ERR_ACKGATE_SEQUENCE',
      expect.stringContaining('empty directory'),
    ]);
    await rest.close();
    expect(await cluster.records('r2')).toEqual(texts(oldest, 2_400));
    expect(await cluster.records('r1')).toEqual(texts(1, 2_000));
  });

  test('failover: the furthest replica takes office, the old primary comes back as a replica and is cut', async () => {
    const cluster = new Cluster();
    const [r1, r2] = await Promise.all([cluster.replica('r1'), cluster.replica('r2')]);
    const old = await cluster.primary('p', { replicas: ['r1', 'r2'] });
    append(old, texts(1, 10));
    await Promise.all([r1, r2].map((replica) => persistedBy(replica, 10)));
    await r2.close();
    append(old, texts(11, 20));
    await persistedBy(r1, 20);
    await r1.close();
    append(old, texts(21, 30, 'never replicated'));
    await old.flush();
    await old.close();

    const [one, two] = await Promise.all([cluster.replica('r1'), cluster.replica('r2')]);
    const { primary, replicas } = await cluster.standings();
    expect(primary).toBeNull();
    expect(replicas.map(({ node, last, isFurthest }) => [node, last, isFurthest])).toEqual([
      ['r1', 20, true],
      ['r2', 10, false],
    ]);
    await two.close();
    await expect(cluster.primary('r2')).rejects.toMatchObject({
      code: 'ERR_ACKGATE_REPLICA_AHEAD',
      message: expect.stringContaining('"r1"'),
    });
    await one.close();
    const next = await cluster.primary('r1');
    expect(next.epoch).toBeGreaterThan(old.epoch);
    expect(next.lastSequence).toBe(20);
    append(next, texts(21, 25));
    const [back, second] = await Promise.all([cluster.replica('p'), cluster.replica('r2')]);
    await Promise.all([back, second].map((replica) => persistedBy(replica, 25)));
    await Promise.all([next, back, second].map((one) => one.close()));
    for (const node of ['p', 'r1', 'r2']) expect(await cluster.records(node)).toEqual(texts(1, 25));
  });

  test('a deposed primary ends, its stage is fenced, and what a frozen replica had queued of it does not count', async () => {
    const cluster = new Cluster();
    const [r1, r2] = [cluster.process('r1'), cluster.process('r2')];
    await eventually(
      () => 'both answer',
      async () => (await cluster.standings()).replicas.length === 2,
    );
    const old = await cluster.primary('p');
    const oldRig = await Rig.start({ epoch: old.epoch, policy: 'replicated' });
    await old.drive(oldRig.stage);
    append(old, texts(1, 10));
    await until('both have it', () => {
      const nodes = oldRig.stage.cursors.nodes();
      return nodes.length === 2 && nodes.every(({ persisted }) => persisted === 10);
    });
    for (const { child } of [r1, r2]) child.kill('SIGSTOP');
    append(old, texts(11, 500, 'of a deposed primary'));
    await old.flush();
    await r1.end('SIGKILL');

    const next = await cluster.primary('r1', { takeOver: true });
    const rig = await Rig.start({ epoch: next.epoch, policy: 'replicated' });
    await next.drive(rig.stage);
    expect((await old.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    await until('the stage is fenced', () => oldRig.stage.status().state === 'fenced');
    append(next, texts(11, 12));
    r2.child.kill('SIGCONT');
    await until('r2 follows', () => {
      const [node] = rig.stage.cursors.nodes();
      expect(node?.inMemory ?? 0).toBeLessThanOrEqual(12);
      return node?.persisted === 12;
    });
    expect(oldRig.stage.cursors.nodes().every(({ inMemory }) => inMemory <= 10)).toBe(true);
    expect(await r2.end('SIGTERM')).toBe(0);
    await next.close();
    expect(await cluster.records('r2')).toEqual(texts(1, 12));
  });

  test('two that take office at once are never both primary', async () => {
    const cluster = new Cluster();
    const opened = await Promise.allSettled([cluster.primary('p1'), cluster.primary('p2')]);
    const journals = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await until('one at most is left', () => journals.filter(({ failure }) => failure === null).length <= 1);
  });

  test('a node name in use: the second is refused, and the first goes on', async () => {
    const cluster = new Cluster();
    const first = await cluster.replica('r1');
    const journal = await cluster.primary('p');
    append(journal, texts(1, 5));
    await persistedBy(first, 5);
    const [second, namesake] = await Promise.all([
      cluster.replica('r1', { directory: cluster.directory('other') }),
      cluster.replica('p', { directory: cluster.directory('namesake') }),
    ]);
    const errors = await Promise.all([second.failed, namesake.failed]);
    expect(errors.map(({ code }) => code)).toEqual(['ERR_ACKGATE_NODE_TWICE', 'ERR_ACKGATE_NODE_TWICE']);
    append(journal, texts(6, 10));
    await persistedBy(first, 10);
    await journal.close();
    await expect(cluster.primary('r1', { directory: cluster.directory('third') })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_NODE_TWICE',
    });
  });

  test('a clock that is too far off, a zone that has changed, another history: refused, and said why', async () => {
    // Before the other cluster: of a later term, its history would speak for it.
    const other = new Cluster();
    const stranger = await other.replica('s');
    const foreign = await other.primary('q');
    append(foreign, texts(1, 3));
    await persistedBy(stranger, 3);
    await Promise.all([stranger.close(), foreign.close()]);
    const cluster = new Cluster();
    const journal = await cluster.primary('p', { clockSkewMaxMs: 60_000 });
    const rig = await Rig.start({ epoch: journal.epoch });
    await journal.drive(rig.stage);
    append(journal, texts(1, 5));
    const skewed = await cluster.replica('skewed', {}, () => Date.now() + 120_000);
    expect(await skewed.failed).toMatchObject({
      code: 'ERR_ACKGATE_CLOCK_SKEW',
      message: expect.stringContaining('ahead'),
    });
    const close = await cluster.replica('r1', { zone: 'east' }, () => Date.now() - 30_000);
    await persistedBy(close, 5);
    await until('it counts', () =>
      rig.stage.cursors.nodes().some(({ name, persisted }) => name === 'r1' && persisted === 5),
    );
    await close.close();
    const moved = await cluster.replica('r1', { zone: 'west' });
    expect((await moved.failed).message).toContain('zone');
    const lost = await cluster.replica('s', { directory: other.directory('s') });
    expect((await lost.failed).code).toBe('ERR_ACKGATE_JOURNAL_LINEAGE');
    expect(await other.records('s')).toEqual(texts(1, 3));
  });

  test('a replica whose journal fails ends, and says why', async () => {
    const cluster = new Cluster();
    const replica = await cluster.replica('r1', { segmentBytes: 4 * KiB });
    const journal = await cluster.primary('p');
    append(journal, texts(1, 10));
    await persistedBy(replica, 10);
    // The next segment can't be made.
    renameSync(cluster.directory('r1'), cluster.directory('away'));
    const appending = setInterval(() => append(journal, texts(1, 100)), 5);
    onTestFinished(() => clearInterval(appending));
    expect((await replica.failed).code).toBe('ERR_ACKGATE_JOURNAL_FAILED');
    expect(replica.status.term).toBeNull();
  });

  test('the command: standings, wrong calls, a server that is not there', async () => {
    const cluster = new Cluster();
    const replica = cluster.process('r1', 'east');
    await eventually(
      () => 'it answers',
      async () => (await cluster.standings()).replicas.length === 1,
    );
    const journal = await cluster.primary('p');
    append(journal, texts(1, 3));
    await journal.flush();
    await replica.says('follows the primary');
    const where = ['--servers', server!.url, '--cluster', cluster.name];
    await eventually(
      () => 'it has all',
      async () => (await cluster.standings()).replicas[0]?.last === 3,
    );
    const standings = new Command(['replica', 'standings', ...where, '--json']);
    const wrong = new Command(['replica', 'standings', '--servers', server!.url, '--cluster', 'a.b']);
    const nowhere = new Command(['replica', 'standings', '--servers', '127.0.0.1:1', '--cluster', 'c']);
    const nobody = new Command(['replica', 'standings', '--servers', server!.url, '--cluster', 'empty']);
    const codes = await Promise.all([standings, wrong, nowhere, nobody].map(({ ended }) => ended));
    expect(codes).toEqual([0, 2, 1, 1]);
    expect(JSON.parse(standings.output)).toEqual({
      primary: { node: 'p', term: journal.epoch, last: 3 },
      replicas: [{ node: 'r1', zone: 'east', lastTerm: journal.epoch, last: 3, isFurthest: true }],
    });
    expect(wrong.errors).toContain('cluster');
    expect(nowhere.errors).toContain('ERR_ACKGATE_NATS_UNREACHABLE');
  });
});
