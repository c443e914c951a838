import { performance } from 'node:perf_hooks';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { AckgateErrorCode } from '../errors.js';
import { listSegments } from '../journal/files.js';
import type { Logger } from '../shared/logger.js';
import type { OpenedStage } from '../stage/open-stage.js';
import { AttendedTime } from './attended-time.js';
import { decodeBatch } from './batch-codec.js';
import type { FetchServer } from './fetch-server.js';
import type { History } from './history.js';
import { encodeHistory } from './history-file.js';
import {
  fetchRequestCodec,
  frameCodec,
  type JoinRequest,
  joinReplyCodec,
  joinRequestCodec,
  primaryReplyCodec,
  primaryRequestCodec,
  type Refused,
  refusal,
  refusedCodec,
  type Subjects,
  standingRequestCodec,
} from './messages.js';
import { Misunderstood, senderOf } from './misunderstood.js';
import { Roll } from './roll.js';

export interface ReceptionOptions {
  readonly node: string;
  readonly primaryId: string;
  readonly directory: string;
  readonly bufferBytes: number;
  readonly clockSkewMsMax: number;
  readonly connection: NatsConnection;
  readonly subjects: Subjects;
  readonly history: History;
  readonly fetches: FetchServer;
  /** Nothing is answered any more. */
  isOver(): boolean;
  isConnected(): boolean;
  /** Highest sequence that went out. */
  last(): number;
  persisted(): number;
  /** Null: none is driven yet. */
  stage(): OpenedStage | null;
  /** A primary of that term, or one that is about to be, was heard of. */
  heardOf(term: number, primaryId: string, who: string): void;
  log(level: keyof Logger, fields: object, message: string): void;
}

/** A primary's answers to what replicas and candidates ask, and what replicas tell of themselves. */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #term: number;
  readonly #attended: AttendedTime;
  readonly #roll: Roll;
  readonly #misunderstood: Misunderstood;
  readonly #aheadLogged = new Set<string>();
  readonly #refusedLogged = new Set<string>();

  constructor(options: ReceptionOptions) {
    const { node, primaryId, clockSkewMsMax, history } = options;
    this.#options = options;
    this.#term = history.terms.at(-1)!.term;
    this.#misunderstood = new Misunderstood((fields) =>
      options.log('warn', fields, 'a message was not understood'),
    );
    this.#attended = new AttendedTime({
      roundTrip: () => options.connection.flush(),
      now: () => performance.now(),
    });
    this.#roll = new Roll({
      ...{ node, primaryId, clockSkewMsMax, term: this.#term },
      wallClock: () => Date.now(),
      now: () => this.#attended.ms,
    });
  }

  /** To be called every 100 ms or so: who is silent is known by it. */
  look(): void {
    this.#attended.look();
  }

  listen(): void {
    const { subjects, primaryId } = this.#options;
    const { batch, frame, primary, standing, join, fetch } = subjects;
    this.#on(batch, (message) => this.#onBatch(message));
    this.#on(frame, (message) => this.#onFrame(message));
    this.#on(primary, (message) => this.#onPrimary(message));
    this.#on(standing, (message) => this.#onStanding(message));
    this.#on(join(primaryId), (message) => this.#onJoin(message));
    this.#on(fetch(primaryId), (message) => this.#onFetch(message));
  }

  #on(subject: string, listener: (message: Msg) => void): void {
    const { connection, isOver, log } = this.#options;
    connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null && !isOver()) listener(message);
        else if (error !== null)
          log('error', { subject, error: error.message }, 'the NATS server refuses a subject');
      },
    });
  }

  /** Nobody else publishes batches in this term or a later one, unless there is another primary. */
  #onBatch(message: Msg): void {
    const batch = decodeBatch(message.data);
    if (typeof batch === 'string') this.#misunderstood.add('batch', message.data, batch);
    else this.#options.heardOf(batch.term, batch.primaryId, 'another primary');
  }

  #onFrame(message: Msg): void {
    const frame = frameCodec.decode(message.data);
    if (typeof frame === 'string') {
      this.#misunderstood.add('frame', message.data, frame);
      return;
    }
    this.#options.heardOf(frame.term, frame.primaryId, `replica "${frame.node}" follows another primary,`);
    const stage = this.#options.stage();
    const cursors = this.#options.isOver() ? null : this.#roll.frame(frame);
    if (cursors === null || stage === null) return;
    const { node, epoch } = cursors;
    try {
      if (stage.cursors.ingest(cursors) !== 'ahead') return;
      const key = `${node} ${epoch}`;
      if (this.#aheadLogged.has(key)) return;
      this.#aheadLogged.add(key);
      this.#options.log(
        'warn',
        { node, epoch },
        'a replica says that it has more than was issued; it does not count',
      );
    } catch (error) {
      const { code = null, message: why } = error as { code?: AckgateErrorCode; message: string };
      if (this.#roll.refuse(node, code, why))
        this.#options.log('error', { node, code, why }, "a replica can't be counted");
    }
  }

  #onPrimary(message: Msg): void {
    const request = primaryRequestCodec.decode(message.data);
    if (typeof request === 'string') {
      this.#misunderstood.add('primary request', message.data, request);
      return;
    }
    const { node, primaryId, last } = this.#options;
    message.respond(primaryReplyCodec.encode({ node, term: this.#term, primaryId, last: last() }));
  }

  #onStanding(message: Msg): void {
    const request = standingRequestCodec.decode(message.data);
    if (typeof request === 'string') {
      this.#misunderstood.add('standing request', message.data, request);
      return;
    }
    if (request.candidate === null) return;
    const { node, term, primaryId } = request.candidate;
    this.#options.heardOf(term, primaryId, `node "${node}"`);
  }

  #onJoin(message: Msg): void {
    const request = joinRequestCodec.decode(message.data);
    if (typeof request === 'string') {
      this.#misunderstood.add('join request', message.data, request);
      message.respond(joinReplyCodec.encode(this.#otherVersion(message.data, request)));
      return;
    }
    const answer = this.#roll.join(request);
    if ('type' in answer) {
      this.#logRefused(request, answer);
      message.respond(joinReplyCodec.encode(answer));
      return;
    }
    const { node } = request;
    const { skewMs, epochAbove } = answer;
    if (skewMs !== null) this.#options.log('warn', { node, skewMs }, 'the clock of a replica is off');
    const { directory, bufferBytes, history, last, persisted } = this.#options;
    const joined = {
      type: 'joined' as const,
      history: encodeHistory(history),
      first: listSegments(directory)[0]?.first ?? 1,
      last: Math.max(last(), persisted()),
      bufferBytes,
      epochAbove,
    };
    message.respond(joinReplyCodec.encode(joined));
  }

  #otherVersion(request: Uint8Array, why: string): Refused {
    const message =
      `the primary, node "${this.#options.node}", does not understand the request of replica "${senderOf(request)}" ` +
      `to join: ${why}. Run the same version of Ackgate on all nodes of the cluster`;
    return refusal('ERR_ACKGATE_NATS_VERSION', message);
  }

  /** Once for each process and code: it asks again for as long as an earlier process of its name may be there. */
  #logRefused({ node, instance }: JoinRequest, { code, message: why }: Refused): void {
    const key = `${instance} ${code}`;
    if (this.#refusedLogged.has(key)) return;
    this.#refusedLogged.add(key);
    this.#options.log('warn', { node, code, why }, 'a replica was refused');
  }

  #onFetch(message: Msg): void {
    const { isConnected, fetches } = this.#options;
    const request = fetchRequestCodec.decode(message.data);
    if (typeof request === 'string') {
      this.#misunderstood.add('fetch request', message.data, request);
      return;
    }
    if (!isConnected()) return;
    const answer = fetches.answer(request);
    message.respond(Buffer.isBuffer(answer) ? answer : refusedCodec.encode(answer));
  }
}
