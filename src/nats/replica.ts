import { randomUUID } from 'node:crypto';
import type { Msg } from '@nats-io/transport-node';
import { AckgateError } from '../errors.js';
import type { Logger } from '../shared/logger.js';
import { type BatchMessage, decodeBatch } from './batch-codec.js';
import type { Connected } from './connect.js';
import type { Copy } from './copy.js';
import { Fetcher } from './fetcher.js';
import { Following } from './following.js';
import type { History } from './history.js';
import { Joiner } from './joiner.js';
import {
  type Joined,
  type Subjects,
  standingReplyCodec,
  standingRequestCodec,
  subjectsOf,
} from './messages.js';
import { Misunderstood } from './misunderstood.js';
import type { CheckedCluster } from './options.js';
import { Outlet } from './outlet.js';
import { writePromise } from './promise-file.js';
import type { Replica, ReplicaStatus } from './replica-api.js';
import { ReplicaStream } from './replica-stream.js';
import { type Followed, Reporter } from './reporter.js';

const frameMs = 200;
const renewMs = 1_000;
const aheadBytesMax = 16 * 1024 * 1024;

/** What a replica is made of. */
export interface ReplicaParts extends Omit<CheckedCluster, 'servers'> {
  zone: string | null;
  directory: string;
  wallClock: () => number;
  nats: Connected;
  copy: Copy;
}

/** See `Replica`. */
export class RunningReplica implements Replica {
  readonly failed: Promise<AckgateError>;
  readonly #instance = randomUUID();
  readonly #node: string;
  readonly #zone: string | null;
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #nats: Connected;
  readonly #outlet: Outlet;
  readonly #subjects: Subjects;
  readonly #copy: Copy;
  readonly #following: Following;
  readonly #joiner: Joiner;
  readonly #fetcher: Fetcher;
  readonly #reporter: Reporter;
  readonly #misunderstood: Misunderstood;
  readonly #timers: NodeJS.Timeout[];
  #followed: Followed | null = null;
  #reportFailure!: (error: AckgateError) => void;
  #adopting: Promise<unknown> = Promise.resolve();
  #refusedPrimary: string | null = null;
  #closed: Promise<void> | null = null;

  /** @internal Use `startReplica`. */
  constructor(options: ReplicaParts) {
    const { node, zone, cluster, directory, logger, nats, copy } = options;
    this.#node = node;
    this.#zone = zone;
    this.#directory = directory;
    this.#logger = logger;
    this.#nats = nats;
    this.#copy = copy;
    this.#subjects = subjectsOf(cluster);
    this.#following = new Following(copy.term);
    this.failed = new Promise((report) => {
      this.#reportFailure = report;
    });
    this.#misunderstood = new Misunderstood((fields) =>
      logger.warn({ node, ...fields }, 'a message was not understood'),
    );
    this.#outlet = new Outlet(nats.connection, (isConnected) => this.#onConnection(isConnected));
    this.#reporter = new Reporter({
      ...{ node, zone, copy, instance: this.#instance },
      followed: () => this.#followed,
      publish: (frame) => this.#outlet.publish(this.#subjects.frame, frame),
    });
    this.#joiner = new Joiner({
      ...{ node, zone, instance: this.#instance, wallClock: options.wallClock },
      primaryId: () => (this.#closed === null ? this.#following.primaryId : null),
      ask: (primaryId, request, ms) => this.#request(this.#subjects.join(primaryId), request, ms),
      joined: (primaryId, reply, history) => this.#onJoined(primaryId, reply, history),
      notUnderstood: (primaryId, reply, why) => this.#misunderstood.add('join reply', reply, why, primaryId),
      fail: (error) => this.#fail(error),
    });
    this.#fetcher = new Fetcher({
      ...{ node, logger, instance: this.#instance },
      followed: () => this.#followed,
      ask: (primaryId, request, ms) => this.#request(this.#subjects.fetch(primaryId), request, ms),
      take: (followed, batch) => this.#take(followed as Followed, batch),
      notUnderstood: (primaryId, answer, why) =>
        this.#misunderstood.add('fetch answer', answer, why, primaryId),
      fail: (error) => this.#fail(error),
    });
    this.#on(this.#subjects.batch, (message) => this.#onBatch(message));
    this.#on(this.#subjects.standing, (message) => this.#onStanding(message));
    this.#watchJournal();
    void nats.connection.closed().then((why) => {
      const message = `the connection to NATS has ended for good: ${why ?? 'closed'}`;
      this.#fail(new AckgateError('ERR_ACKGATE_NATS_UNREACHABLE', message));
    });
    this.#timers = [
      setInterval(() => this.#reporter.due(), frameMs),
      setInterval(() => {
        if (this.#followed !== null) this.#joiner.ask();
      }, renewMs),
    ];
  }

  status(): ReplicaStatus {
    const followed = this.#followed;
    return {
      node: this.#node,
      term: followed?.term ?? null,
      inMemory: followed?.stream.last ?? 0,
      persisted: followed === null ? 0 : (this.#copy.journal?.primaryCursor ?? 0),
      primaryLastSequence: followed?.stream.primaryLast ?? 0,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#followed = null;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#nats.connection.close().catch(() => {});
    await this.#joiner.over;
    await this.#copy.close();
  }

  #on(subject: string, listener: (message: Msg) => void): void {
    this.#nats.connection.subscribe(subject, {
      callback: (error, message) => {
        if (this.#closed !== null) return;
        if (error !== null)
          this.#logger.error({ subject, error: error.message }, 'the NATS server refuses a subject');
        else this.#guard(() => listener(message));
      },
    });
  }

  /** Whatever goes wrong with the journal ends the replica: its frames must stop. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed !== null) return;
    const failure =
      error instanceof AckgateError ? error : new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', String(error));
    this.#followed = null;
    this.close().then(
      () => this.#reportFailure(failure),
      () => this.#reportFailure(failure),
    );
  }

  #onBatch(message: Msg): void {
    const batch = decodeBatch(message.data);
    if (typeof batch === 'string') {
      this.#misunderstood.add('batch', message.data, batch);
      return;
    }
    const { term, primaryId } = batch;
    const heard = this.#following.hear(term, primaryId);
    if (heard === 'over' || heard === 'second') {
      this.#refuse(heard, batch);
      return;
    }
    if (heard === 'new') this.#leave();
    if (this.#followed === null) this.#joiner.ask();
    else this.#take(this.#followed, batch);
  }

  #refuse(heard: 'over' | 'second', { term, primaryId }: BatchMessage): void {
    if (this.#refusedPrimary === primaryId) return;
    this.#refusedPrimary = primaryId;
    const fields = { node: this.#node, term, laterTerm: this.#following.term };
    if (heard === 'over')
      this.#logger.warn(fields, 'a primary of an earlier term is there; it is not followed');
    else this.#logger.error(fields, 'there is a second primary of the same term; it is not followed');
  }

  #onStanding(message: Msg): void {
    const request = standingRequestCodec.decode(message.data);
    if (typeof request === 'string') {
      this.#misunderstood.add('standing request', message.data, request);
      return;
    }
    const { candidate } = request;
    if (candidate !== null && this.#following.hear(candidate.term, candidate.primaryId) === 'new') {
      this.#leave();
      writePromise(this.#directory, candidate.term);
      const { node, term } = candidate;
      this.#logger.info({ node: this.#node, primary: node, term }, 'a node takes office');
    }
    // While the journal is being cut, nobody can say how far it is.
    void this.#adopting.then(() => {
      if (this.#closed !== null) return;
      const { term: lastTerm, last } = this.#copy.end;
      message.respond(
        standingReplyCodec.encode({
          node: this.#node,
          instance: this.#instance,
          zone: this.#zone,
          term: this.#following.term,
          lineage: this.#copy.history?.lineage ?? null,
          lastTerm,
          last,
          following: this.#following.primaryId,
        }),
      );
    });
  }

  /** Nothing that comes of the old primary from here on is appended, and no frame says anything of it. */
  #leave(): void {
    if (this.#followed !== null) {
      this.#logger.info({ node: this.#node, term: this.#followed.term }, 'left its primary for a later one');
    }
    this.#followed = null;
    this.#joiner.forget();
  }

  #take(followed: Followed, batch: BatchMessage): void {
    followed.stream.take(batch);
    if (batch.records.length > 0) {
      this.#reporter.onAppended();
    }
    this.#fetcher.look();
  }

  async #onJoined(primaryId: string, reply: Joined, history: History): Promise<void> {
    if (this.#followed === null && !this.#isElsewhere(primaryId)) {
      await this.#follow(this.#following.term, primaryId, reply, history);
    }
  }

  async #follow(
    term: number,
    primaryId: string,
    { epochAbove, ...log }: Joined,
    history: History,
  ): Promise<void> {
    const adopted = this.#copy.adopt({ ...log, history }, epochAbove);
    this.#adopting = adopted.catch(() => {});
    const cut = await adopted;
    this.#watchJournal();
    const node = this.#node;
    if (cut > 0)
      this.#logger.warn({ node, term, records: cut }, 'records that the primary lacks were cut off');
    if (this.#isElsewhere(primaryId)) return;
    const stream = new ReplicaStream(
      this.#copy.last,
      (payloads) => this.#copy.append(payloads),
      aheadBytesMax,
    );
    this.#followed = { term, primaryId, epoch: this.#copy.history!.incarnation, stream };
    const fields = { node, term, lastSequence: this.#copy.last, primaryLastSequence: log.last };
    this.#logger.info(fields, 'follows the primary');
    this.#take(this.#followed, { term, primaryId, first: log.last + 1, last: log.last, records: [] });
    this.#reporter.onAppended();
  }

  /** Whether, while something was waited for, it has ended or turned to another primary. */
  #isElsewhere(primaryId: string): boolean {
    return this.#closed !== null || this.#following.primaryId !== primaryId;
  }

  /** Null: no answer. */
  async #request(subject: string, request: Uint8Array, timeout: number): Promise<Uint8Array | null> {
    if (!this.#outlet.isConnected) return null;
    try {
      const { data } = await this.#nats.connection.request(subject, request, { timeout });
      return data.length === 0 ? null : data;
    } catch {
      return null;
    }
  }

  #watchJournal(): void {
    const { journal } = this.#copy;
    void journal?.failed.then((error) => {
      if (this.#copy.journal === journal) this.#fail(error);
    });
  }

  #onConnection(isConnected: boolean): void {
    if (this.#closed !== null) return;
    const node = this.#node;
    if (isConnected) this.#logger.info({ node }, 'connected to NATS again');
    else this.#logger.warn({ node }, 'the connection to NATS is lost');
  }
}
