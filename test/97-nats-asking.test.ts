import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { connect, type Msg } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LoopbackProxy } from '#ackgate/local-cluster/proxy.js';
import { askAll } from '#ackgate/nats/ask.js';
import { encodeBatch } from '#ackgate/nats/batch-codec.js';
import { connectNats } from '#ackgate/nats/connect.js';
import { NatsJournal, type NatsJournalOptions } from '#ackgate/nats/index.js';
import {
  joinReplyCodec,
  joinRequestCodec,
  type PrimaryReply,
  primaryReplyCodec,
  primaryRequestCodec,
  type StandingRequest,
  standingReplyCodec,
  standingRequestCodec,
  subjectsOf,
} from '#ackgate/nats/messages.js';
import { type Candidate, takeOffice } from '#ackgate/nats/office.js';
import { readPromise } from '#ackgate/nats/promise-file.js';
import { checkServers } from '#ackgate/nats/servers.js';
import { startReplicaWith } from '#ackgate/nats/start-replica.js';
import { temporaryDirectory } from './support/journal.js';
import { realNats } from './support/real-servers.js';
import { until } from './support/stage.js';

const server = await realNats();

let clusters = 0;
const newCluster = () => `asking-${++clusters}`;

async function proxy(): Promise<LoopbackProxy> {
  const started = await LoopbackProxy.start(server!.port);
  onTestFinished(() => started.close());
  return started;
}

/** A connection of somebody who says what a test wants. */
async function stranger() {
  const connection = await connect({ servers: server!.url });
  onTestFinished(() => connection.close());
  return connection;
}

async function opened(cluster: string, node: string, more: Partial<NatsJournalOptions> = {}) {
  const directory = join(temporaryDirectory(), node);
  const journal = await NatsJournal.open({ servers: server!.url, cluster, node, directory, ...more });
  onTestFinished(() => journal.close().catch(() => {}));
  return journal;
}

async function replica(cluster: string, node: string, clock: () => number = Date.now) {
  const directory = join(temporaryDirectory(), node);
  const started = await startReplicaWith({ servers: server!.url, cluster, node, directory }, clock);
  onTestFinished(() => started.close().catch(() => {}));
  return { started, directory };
}

describe.skipIf(server === null)('asking who is there', () => {
  const candidate: Candidate = {
    node: 'p',
    primaryId: randomUUID(),
    promised: 0,
    log: { history: null, last: 0 },
    takeOver: false,
    replicas: [],
  };

  async function connected(port: number) {
    const nats = await connectNats(await checkServers({ servers: `127.0.0.1:${port}` }), 'test');
    onTestFinished(() => nats.connection.close());
    return nats;
  }

  async function take(cluster: string, port = server!.port) {
    return takeOffice(await connected(port), subjectsOf(cluster), candidate);
  }

  /** Answers as a replica does, or as the test has it. */
  async function fakeReplica(
    cluster: string,
    listener: (request: StandingRequest, answer: (more?: object) => void, message: Msg) => void,
  ) {
    const connection = await stranger();
    const subscription = connection.subscribe(subjectsOf(cluster).standing, {
      callback: (_, message) => {
        const request = standingRequestCodec.decode(message.data);
        if (typeof request === 'string') throw new Error(request);
        const own = { node: 'r1', instance: randomUUID(), zone: null, lineage: null, lastTerm: 0, last: 0 };
        const { term = 0, primaryId: following = null } = request.candidate ?? {};
        const answer = (more: object = {}) =>
          message.respond(standingReplyCodec.encode({ ...own, term, following, ...more }));
        listener(request, answer, message);
      },
    });
    await connection.flush();
    return { leave: () => subscription.unsubscribe() };
  }

  test('over a line on which everything comes late, a primary is found all the same, and stays in office', async () => {
    const cluster = newCluster();
    const first = await opened(cluster, 'p1');
    const late = await proxy();
    late.delayMs = 250;
    await expect(opened(cluster, 'p2', { servers: `127.0.0.1:${late.port}` })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_SUPERSEDED',
      message: expect.stringContaining('"p1"'),
    });
    expect(first.failure).toBeNull();
    expect(first.append(Buffer.from('still in office'))).toBe(1);
  });

  test('when nothing arrives any more, it says nothing that nobody answers', async () => {
    const cluster = newCluster();
    const line = await proxy();
    const there = await stranger();
    there.subscribe(subjectsOf(cluster).primary, { callback: () => line.cut() });
    await there.flush();
    await expect(take(cluster, line.port)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_NATS_UNREACHABLE',
      message: expect.stringContaining('Try again'),
    });
  });

  test('nor when the connection is lost, and there again', async () => {
    const { primary: subject } = subjectsOf(newCluster());
    const line = await proxy();
    const there = await stranger();
    there.subscribe(subject, { callback: () => void setTimeout(() => line.reset(), 100) });
    await there.flush();
    const nats = await connected(line.port);
    const decode = () => 'nobody answers';
    const asked = askAll(nats, { subject, request: new Uint8Array(), waitMs: 1_000, decode });
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_ACKGATE_NATS_UNREACHABLE',
      message: expect.stringContaining('Try again'),
    });
    expect(
      await askAll(nats, { subject: 'nobody', request: new Uint8Array(), waitMs: 1_000, decode }),
    ).toEqual([]);
  });

  test('a replica that has answered is waited for until it has promised, and counts with what it has by then', async () => {
    const cluster = newCluster();
    let more = {};
    await fakeReplica(cluster, ({ candidate }, answer) => {
      if (candidate === null) answer();
      else setTimeout(() => answer(more), 450);
    });
    expect((await take(cluster)).terms).toHaveLength(1);
    more = { lastTerm: 5, last: 1 };
    await expect(take(cluster)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_REPLICA_AHEAD',
      message: expect.stringContaining('"r1"'),
    });
  });

  test('one that does not promise any more is named, and no office is taken', async () => {
    const cluster = newCluster();
    const leaving = await fakeReplica(cluster, (_, answer) => {
      answer();
      leaving.leave();
    });
    await expect(take(cluster)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_NATS_UNREACHABLE',
      message: expect.stringContaining('"r1"'),
    });
  });
});

describe.skipIf(server === null)('a primary and its replicas', () => {
  async function primaryOf(cluster: string): Promise<PrimaryReply> {
    const asking = await stranger();
    const { data } = await asking.request(subjectsOf(cluster).primary, primaryRequestCodec.encode({}));
    return primaryReplyCodec.decode(data) as PrimaryReply;
  }

  test('a second process of a name does not take it while the primary could not hear the first', async () => {
    const cluster = newCluster();
    const line = await proxy();
    const journal = await opened(cluster, 'p', { servers: `127.0.0.1:${line.port}` });
    const { started } = await replica(cluster, 'r1');
    await until('it follows', () => started.status().term === journal.epoch);
    const { primaryId } = await primaryOf(cluster);
    const second = await stranger();
    const request = { node: 'r1', instance: randomUUID(), zone: null, clock: Date.now() };
    line.cut();
    // It is what the primary hears first when the line is there again, after longer than a silent node is kept.
    const asking = second.request(subjectsOf(cluster).join(primaryId), joinRequestCodec.encode(request), {
      timeout: 30_000,
    });
    await second.flush();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    line.mend();
    expect(joinReplyCodec.decode((await asking).data)).toMatchObject({ code: 'ERR_ACKGATE_NODE_TWICE' });
    journal.append(Buffer.from('order'));
    await until('the first still follows', () => started.status().persisted === 1);
  });

  test('a clock that is set while a replica is in is told, and the replica stays', async () => {
    const cluster = newCluster();
    const warnings: object[] = [];
    const silent = () => {};
    const warn = (fields: object, message: string) => void warnings.push({ ...fields, message });
    const journal = await opened(cluster, 'p', {
      logger: { debug: silent, info: silent, warn, error: silent },
    });
    let aheadMs = 0;
    const { started } = await replica(cluster, 'r1', () => Date.now() + aheadMs);
    await until('it follows', () => started.status().term === journal.epoch);
    aheadMs = 3_600_000;
    await until('it is told', () => warnings.length > 0);
    expect(warnings).toEqual([
      expect.objectContaining({ message: 'the clock of a replica is off', node: 'r1' }),
    ]);
    journal.append(Buffer.from('order'));
    await until('it still follows', () => started.status().persisted === 1);
  });

  test('a message with the last term of all is not believed: primary and replicas go on, also when started anew', async () => {
    const cluster = newCluster();
    const directory = join(temporaryDirectory(), 'p');
    const journal = await opened(cluster, 'p', { directory });
    const { started, directory: copied } = await replica(cluster, 'r1');
    await until('it follows', () => started.status().term === journal.epoch);
    const evil = await stranger();
    const { batch, standing } = subjectsOf(cluster);
    const head = { term: Number.MAX_SAFE_INTEGER, primaryId: randomUUID() };
    evil.publish(standing, standingRequestCodec.encode({ candidate: { node: 'evil', ...head } }));
    evil.publish(batch, encodeBatch({ ...head, first: 1, last: 0, records: [] }));
    await evil.flush();
    journal.append(Buffer.from('order'));
    await until('it still follows', () => started.status().persisted === 1);
    expect(journal.failure).toBeNull();
    expect(readPromise(copied)).toBeLessThan(Date.now() + 10_000);
    await journal.close();
    const next = await opened(cluster, 'p', { directory, replicas: ['r1'] });
    await until('it follows the next', () => started.status().term === next.epoch);
  });
});
