import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileJournal, journalFull } from '#ackgate/journal/index.js';
import { until as eventually } from '#ackgate/local-cluster/until.js';
import { type BatchMessage, decodeBatch, encodeBatch } from '#ackgate/nats/batch-codec.js';
import {
  NatsJournal,
  type NatsJournalOptions,
  natsStandings,
  type Replica,
  type ReplicaOptions,
  startReplica,
} from '#ackgate/nats/index.js';
import { joinReplyCodec, refusal, subjectsOf } from '#ackgate/nats/messages.js';
import { readPromise } from '#ackgate/nats/promise-file.js';
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
    if (journal.append(Buffer.from(line)) === journalFull) throw new Error('the journal is full');
}

/** Keeps the lines of a level, as text. */
function logOf(level: 'warn' | 'error') {
  const lines: string[] = [];
  const silent = () => {};
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, logger: { debug: silent, info: silent, warn: silent, error: silent, [level]: keep } };
}

/** What anybody with access to the server can say. */
async function stranger() {
  const nats = await connect({ servers: server!.url });
  onTestFinished(() => nats.close());
  return nats;
}

const persistedBy = (replica: Replica, sequence: number) =>
  until(`the replica has ${sequence}`, () => replica.status().persisted === sequence);

describe.skipIf(server === null)('replicas on NATS', () => {
  test('all four modes through frozen, killed and restarted replicas, until the primary is deposed', async () => {
    const cluster = new Cluster();
    const [r1, r2] = [cluster.process('r1', 'east'), cluster.process('r2', 'west')];
    await Promise.all([r1, r2].map((replica) => replica.says('waits for a primary')));
    const journal = await cluster.primary('p', { replicas: ['r1', 'r2'] });
    const rig = await Rig.start({ epoch: journal.epoch, policy: 'local', staleAfterMs: 500 });
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
    await again.says('follows the primary');
    expect(await again.end('SIGTERM')).toBe(0);
    const expected = texts(1, sent);
    expect(await cluster.records('r1')).toEqual(expected);

    // What a frozen replica has queued of a primary that is deposed meanwhile counts nowhere.
    r2.child.kill('SIGSTOP');
    const queued = texts(sent + 1, sent + 500, 'of a deposed primary');
    append(journal, queued);
    await eventually(
      () => 'all of it was published',
      async () => (await cluster.standings()).primary?.lastSequence === sent + 500,
    );
    const next = await cluster.primary('r1', { takeOver: true });
    const nextRig = await Rig.start({ epoch: next.epoch, policy: 'replicated' });
    await next.drive(nextRig.stage);
    expect((await journal.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    await until('the stage is fenced', () => rig.stage.status().state === 'fenced');
    append(next, texts(sent + 1, sent + 2));
    r2.child.kill('SIGCONT');
    // It can't know that its primary had been deposed when it took what was queued.
    expect(await r2.ended).toBe(1);
    expect(r2.output).toContain('ERR_ACKGATE_REPLICA_AHEAD');
    expect(rig.stage.cursors.nodes().every(({ inMemory }) => inMemory <= sent)).toBe(true);
    expect(nextRig.stage.cursors.nodes()).toEqual([]);
    await journal.close();
    for (const node of ['p', 'r2']) expect(await cluster.records(node)).toEqual([...expected, ...queued]);
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

  test('failover: the furthest takes office; when the wrong one did, who has more refuses to be cut, the old primary is', async () => {
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
    await old.close();

    const [one, two] = await Promise.all([cluster.replica('r1'), cluster.replica('r2')]);
    const { primary, replicas } = await cluster.standings();
    expect(primary).toBeNull();
    expect(replicas.map(({ node, lastSequence, isFurthest }) => [node, lastSequence, isFurthest])).toEqual([
      ['r1', 20, true],
      ['r2', 10, false],
    ]);
    await two.close();
    await expect(cluster.primary('r2')).rejects.toMatchObject({
      code: 'ERR_ACKGATE_REPLICA_AHEAD',
      message: expect.stringContaining('"r1"'),
    });
    // With that one away, nobody can know.
    await one.close();
    const wrong = await cluster.primary('r2');
    const { lines: warnings, logger } = logOf('warn');
    const [ahead, back] = await Promise.all([cluster.replica('r1'), cluster.replica('p', { logger })]);
    const { code, message } = await ahead.failed;
    expect(code).toBe('ERR_ACKGATE_REPLICA_AHEAD');
    expect(message).toContain(`up to sequence 20 of term ${old.epoch};`);
    expect(message).toContain(`in term ${wrong.epoch}, with one up to sequence 10 of term ${old.epoch},`);
    expect(message).toMatch(/Start the primary with the directory of this node; or, .* empty this directory/);
    expect(readPromise(cluster.directory('r1'))).toBe(wrong.epoch);
    await persistedBy(back, 10);
    expect(warnings).toEqual([expect.stringMatching(/^records that the primary lacks .*"records":20/)]);
    await Promise.all([back.close(), wrong.close()]);

    // What the message says.
    const right = await cluster.primary('r1');
    expect(right.lastSequence).toBe(20);
    expect(right.epoch).toBeGreaterThan(wrong.epoch);
    expect(wrong.epoch).toBeGreaterThan(old.epoch);
    append(right, texts(21, 25));
    const followers = await Promise.all([cluster.replica('p'), cluster.replica('r2')]);
    await Promise.all(followers.map((replica) => persistedBy(replica, 25)));
    await Promise.all([right, ...followers].map((one) => one.close()));
    for (const node of ['p', 'r1', 'r2']) expect(await cluster.records(node)).toEqual(texts(1, 25));
  });

  test('one that was away while records came one by one catches up in a few fetches', async () => {
    const cluster = new Cluster();
    const journal = await cluster.primary('p');
    const nats = await stranger();
    const records = 300;
    let fetches = 0;
    nats.subscribe(`ackgate.${cluster.name}.fetch.*`, { callback: () => void fetches++ });
    // The next one when the last one was published: a message for each.
    const published = new Promise<void>((all) => {
      nats.subscribe(`ackgate.${cluster.name}.batch`, {
        callback: (_, { data }) => {
          const batch = decodeBatch(data) as BatchMessage;
          if (batch.records.length === 0) return;
          expect(batch.records).toHaveLength(1);
          if (batch.last === records) all();
          else append(journal, texts(batch.last + 1, batch.last + 1));
        },
      });
    });
    await nats.flush();
    append(journal, texts(1, 1));
    await published;
    const replica = await cluster.replica('r1');
    await persistedBy(replica, records);
    await nats.flush();
    expect(fetches).toBeGreaterThan(0);
    expect(fetches).toBeLessThanOrEqual(3);
    await replica.close();
    expect(await cluster.records('r1')).toEqual(texts(1, records));
  });

  test('two that take office at once are never both primary', async () => {
    const cluster = new Cluster();
    const opened = await Promise.allSettled([cluster.primary('p1'), cluster.primary('p2')]);
    const journals = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await until('one at most is left', () => journals.filter(({ failure }) => failure === null).length <= 1);
  });

  test('a name in use, a clock that is too far off, a zone that has changed, another history: refused, and said why', async () => {
    // Before the other cluster: of a later term, its history would speak for it.
    const other = new Cluster();
    const copied = await other.replica('s');
    const foreign = await other.primary('q');
    append(foreign, texts(1, 3));
    await persistedBy(copied, 3);
    await Promise.all([copied.close(), foreign.close()]);
    const cluster = new Cluster();
    const first = await cluster.replica('first');
    const { lines: warnings, logger } = logOf('warn');
    const journal = await cluster.primary('p', { clockSkewMsMax: 60_000, logger });
    const rig = await Rig.start({ epoch: journal.epoch });
    await journal.drive(rig.stage);
    append(journal, texts(1, 5));
    await persistedBy(first, 5);
    const nats = await stranger();
    let asked = 0;
    nats.subscribe(`ackgate.${cluster.name}.join.*`, {
      callback: (_, { data }) => {
        if (JSON.parse(Buffer.from(data).toString()).node === 'p') asked++;
      },
    });
    await nats.flush();
    // Refused only once the other process has been heard of for longer than a dead one would have been.
    const [second, namesake] = await Promise.all([
      cluster.replica('first', { directory: cluster.directory('other') }),
      cluster.replica('p', { directory: cluster.directory('namesake') }),
    ]);
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
    const lost = await cluster.replica('s', { directory: other.directory('s') });
    expect((await lost.failed).code).toBe('ERR_ACKGATE_JOURNAL_LINEAGE');
    expect(await other.records('s')).toEqual(texts(1, 3));

    expect((await moved.failed).message).toContain('zone');
    const busy = setInterval(() => append(journal, ['one more']), 5);
    const errors = await Promise.all([second.failed, namesake.failed]);
    clearInterval(busy);
    // Neither asked, nor logged, as often as the primary is heard of.
    expect(asked).toBeLessThanOrEqual(12);
    for (const node of ['first', 'p']) {
      expect(warnings.filter((line) => line.includes(`refused {"node":"${node}"`))).toHaveLength(1);
    }
    expect(errors.map(({ code }) => code)).toEqual(['ERR_ACKGATE_NODE_TWICE', 'ERR_ACKGATE_NODE_TWICE']);
    append(journal, texts(6, 10));
    await persistedBy(first, journal.lastSequence);
    await journal.close();
    await expect(cluster.primary('first', { directory: cluster.directory('third') })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_NODE_TWICE',
    });
  });

  test('a directory that another one has is refused at the start, also before there is a journal', async () => {
    const cluster = new Cluster();
    const first = await cluster.replica('r1');
    const directory = cluster.directory('r1');
    const locked = { code: 'ERR_ACKGATE_JOURNAL_LOCKED' };
    await expect(cluster.replica('r2', { directory })).rejects.toMatchObject(locked);
    const journal = await cluster.primary('p');
    append(journal, texts(1, 3));
    await persistedBy(first, 3);
    await expect(cluster.replica('r2', { directory })).rejects.toMatchObject(locked);
    await first.close();
    await persistedBy(await cluster.replica('r1'), 3);
  });

  test('of another version: the primary refuses the replica, which ends, and says so; all else is logged once', async () => {
    const cluster = new Cluster();
    const nats = await stranger();
    const ofReplica = logOf('warn');
    const replica = await cluster.replica('r1', { logger: ofReplica.logger });
    const ofPrimary = logOf('warn');
    const journal = await cluster.primary('p', { logger: ofPrimary.logger });
    append(journal, texts(1, 3));
    await persistedBy(replica, 3);
    let primaryId = '';
    const subjects = subjectsOf(cluster.name);
    nats.subscribe(subjects.batch, {
      callback: (_, { data }) => {
        const batch = decodeBatch(data);
        if (typeof batch !== 'string') ({ primaryId } = batch);
      },
    });
    await until('the primary is heard of', () => primaryId !== '');

    // A later replica asks this primary.
    const later = (more: object) => JSON.stringify({ v: 2, node: 'later', more: true, ...more });
    for (let i = 0; i < 3; i++) {
      const { data } = await nats.request(subjects.join(primaryId), later({}), { timeout: 10_000 });
      expect(joinReplyCodec.decode(data)).toMatchObject({
        code: 'ERR_ACKGATE_NATS_VERSION',
        message: expect.stringMatching(/node "p".*replica "later".*of version 2, this node understands 1/),
      });
      nats.publish(subjects.frame, later({}));
      // And a later primary takes office.
      const beacon = encodeBatch({ term: journal.epoch + 1, primaryId, first: 1, last: 0, records: [] });
      beacon[7] = 2;
      nats.publish(subjects.batch, beacon);
      nats.publish(subjects.standing, later({}));
    }
    const versions = '"why":"it is of version 2, this node understands 1"';
    const kinds = (lines: string[]) =>
      lines.filter((line) => line.startsWith('a message was not understood') && line.includes(versions));
    await until(
      'each is logged',
      () => kinds(ofPrimary.lines).length >= 4 && kinds(ofReplica.lines).length >= 2,
    );
    append(journal, texts(4, 5));
    await persistedBy(replica, 5);
    const logged = (lines: string[]) =>
      kinds(lines).map((line) => /"kind":"([^"]+)","sender":"([^"]+)"/.exec(line)!.slice(1).join(' of '));
    const batchAndStanding = [`batch of ${primaryId}`, 'standing request of later'];
    expect(logged(ofReplica.lines).sort()).toEqual(batchAndStanding);
    expect(logged(ofPrimary.lines).sort()).toEqual(
      [...batchAndStanding, 'frame of later', 'join request of later'].sort(),
    );
    expect(journal.failure).toBeNull();
    await journal.close();

    // A primary that answers what can't be understood, and then says that it is of another version.
    const impostor = randomUUID();
    let asked = 0;
    nats.subscribe(subjects.join(impostor), {
      callback: (_, message) => {
        const refused = refusal('ERR_ACKGATE_NATS_VERSION', 'node "q" speaks version 2');
        const answer = { ...refused, v: 2, more: true };
        message.respond(++asked <= 2 ? later({}) : JSON.stringify(answer));
      },
    });
    const beacon = encodeBatch({
      ...{ term: journal.epoch + 1, primaryId: impostor, first: 6, last: 5, records: [] },
    });
    const beacons = setInterval(() => nats.publish(subjects.batch, beacon), 5);
    onTestFinished(() => clearInterval(beacons));
    expect(await replica.failed).toMatchObject({
      code: 'ERR_ACKGATE_NATS_VERSION',
      message: 'node "q" speaks version 2',
    });
    expect(asked).toBe(3);
    expect(logged(ofReplica.lines).sort()).toEqual([...batchAndStanding, `join reply of ${impostor}`].sort());
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
    expect(replica.status().term).toBeNull();
  });

  test('the command: ended with records that can not be persisted, it exits with 1', async (context) => {
    if (spawnSync('prlimit', ['--version']).error !== undefined) context.skip('prlimit is not there');
    const cluster = new Cluster();
    const replica = cluster.process('r1');
    await replica.says('waits for a primary');
    const journal = await cluster.primary('p');
    const isFar = async (sequence: number) => {
      const { primary, replicas } = await cluster.standings();
      return (
        primary?.lastSequence === sequence && replicas.every(({ lastSequence }) => lastSequence === sequence)
      );
    };
    append(journal, texts(1, 10));
    await eventually(
      () => 'the replica has them',
      () => isFar(10),
    );
    // When it goes on, it takes the records that wait in its socket, and then the signal.
    replica.child.kill('SIGSTOP');
    append(journal, texts(11, 20));
    await eventually(
      () => 'they were published',
      () => isFar(20),
    );
    const limited = spawnSync('prlimit', ['--pid', String(replica.child.pid), '--fsize=1']);
    expect(limited.status).toBe(0);
    replica.child.kill('SIGTERM');
    replica.child.kill('SIGCONT');
    expect(await replica.ended).toBe(1);
    expect(replica.output + replica.errors).toContain('ERR_ACKGATE_JOURNAL_FAILED');
  });

  test('the command: standings, wrong calls, a server that is not there, a directory that can not be', async () => {
    const cluster = new Cluster();
    const replica = await cluster.replica('r1', { zone: 'east' });
    const journal = await cluster.primary('p');
    append(journal, texts(1, 3));
    await persistedBy(replica, 3);
    const where = ['--servers', server!.url, '--cluster', cluster.name];
    const standings = new Command(['replica', 'standings', ...where, '--json']);
    const wrong = new Command(['replica', 'standings', '--servers', server!.url, '--cluster', 'a.b']);
    const nowhere = new Command(['replica', 'standings', '--servers', '127.0.0.1:1', '--cluster', 'c']);
    const nobody = new Command(['replica', 'standings', '--servers', server!.url, '--cluster', 'empty']);
    const noDirectory = new Command(['replica', ...where, '--name', 'r2', '--directory', '/proc/ackgate']);
    const commands = [standings, wrong, nowhere, nobody, noDirectory];
    const codes = await Promise.all(commands.map(({ ended }) => ended));
    expect(codes).toEqual([0, 2, 1, 1, 1]);
    expect(noDirectory.errors).toContain('ERR_ACKGATE_JOURNAL_FAILED');
    expect(JSON.parse(standings.output)).toEqual({
      primary: { node: 'p', term: journal.epoch, lastSequence: 3 },
      replicas: [{ node: 'r1', zone: 'east', lastTerm: journal.epoch, lastSequence: 3, isFurthest: true }],
    });
    expect(wrong.errors).toContain('cluster');
    expect(nowhere.errors).toContain('ERR_ACKGATE_NATS_UNREACHABLE');
  });
});
