import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { Msg } from '@nats-io/transport-node';
import type { AckgateErrorCode } from '../errors.js';
import type { DriveMessage, WriterAnswer } from '../journal/driving.js';
import { listSegments } from '../journal/files.js';
import { controlWords, readPersisted, Word, writeFailure, writeSupersededBy } from '../journal/memory.js';
import type { Logger } from '../shared/logger.js';
import { waitWhile } from '../shared/wait-async.js';
import type { OpenedStage } from '../stage/open-stage.js';
import { decodeBatch } from './batch-codec.js';
import type { Connected } from './connect.js';
import { FetchServer } from './fetch-server.js';
import type { History, Log } from './history.js';
import { encodeHistory } from './history-file.js';
import {
  fetchRequestCodec,
  frameCodec,
  joinReplyCodec,
  joinRequestCodec,
  primaryReplyCodec,
  primaryRequestCodec,
  refusedCodec,
  type Subjects,
  standingRequestCodec,
} from './messages.js';
import { messageBytesMax, Outbound } from './outbound.js';
import { Outlet } from './outlet.js';
import { Recent } from './recent.js';
import { RingReader } from './ring-reader.js';
import { Roll } from './roll.js';
import type { CheckedServers } from './servers.js';

/** What the publisher is started with. */
export interface PublisherData {
  /** The buffer from the engine's thread to here. */
  memory: SharedArrayBuffer;
  /** The file journal's, for how far it is persisted. */
  fileMemory: SharedArrayBuffer;
  directory: string;
  servers: CheckedServers;
  cluster: string;
  node: string;
  primaryId: string;
  log: Log;
  takeOver: boolean;
  replicas: readonly string[];
  clockSkewMaxMs: number;
  bufferBytes: number;
  recordBytesMax: number;
}

/** What it posts: first that it is open or why not, then what every writer does, and log lines. */
export type PublisherMessage =
  | { type: 'opened'; term: number }
  | { type: 'refused'; code: string | null; message: string }
  | { type: 'log'; level: keyof Logger; fields: object; message: string }
  | WriterAnswer;

const beaconMs = 100;
const parkMs = 100;
const recentBytesMax = 8 * 1024 * 1024;
const closeMs = 1_000;

/** Publishes what is appended, serves those who missed some of it, and takes their cursors to the stage. */
export class Publisher {
  readonly #data: PublisherData;
  readonly #words: Int32Array;
  readonly #fileWords: Int32Array;
  readonly #nats: Connected;
  readonly #subjects: Subjects;
  readonly #history: History;
  readonly #term: number;
  readonly #outlet: Outlet;
  readonly #outbound: Outbound;
  readonly #fetches: FetchServer;
  readonly #roll: Roll;
  readonly #aheadLogged = new Set<string>();
  #stage: OpenedStage | null = null;
  #persistedSeen = 0;
  #isOver = false;

  constructor(data: PublisherData, nats: Connected, subjects: Subjects, history: History) {
    const { memory, fileMemory, directory, node, primaryId, clockSkewMaxMs, log } = data;
    const { term } = history.terms.at(-1)!;
    this.#data = data;
    this.#words = controlWords(memory);
    this.#fileWords = controlWords(fileMemory);
    this.#nats = nats;
    this.#subjects = subjects;
    this.#history = history;
    this.#term = term;
    const now = () => performance.now();
    const bytesMax = () => Math.min(messageBytesMax, nats.connection.info?.max_payload ?? messageBytesMax);
    const recent = new Recent(recentBytesMax);
    this.#outlet = new Outlet(nats.connection, (isConnected) => this.#onConnection(isConnected));
    this.#outbound = new Outbound({
      term,
      primaryId,
      recent,
      reader: new RingReader(memory),
      last: log.last,
      messageBytesMax: bytesMax,
      issued: (last) => this.#stage?.cursors.primary.issued(last),
      publish: (bytes) => this.#outlet.publish(subjects.batch, bytes),
    });
    const persisted = () => this.#persisted();
    this.#fetches = new FetchServer({
      directory,
      term,
      primaryId,
      recent,
      persisted,
      messageBytesMax: bytesMax,
      now,
    });
    this.#roll = new Roll({ node, term, primaryId, clockSkewMaxMs, wallClock: () => Date.now(), now });
  }

  listen(): void {
    const { batch, frame, primary, standing, join, fetch } = this.#subjects;
    const { primaryId } = this.#data;
    this.#on(batch, (message) => this.#onBatch(message));
    this.#on(frame, (message) => this.#onFrame(message));
    this.#on(primary, (message) => this.#onPrimary(message));
    this.#on(standing, (message) => this.#onStanding(message));
    this.#on(join(primaryId), (message) => this.#onJoin(message));
    this.#on(fetch(primaryId), (message) => this.#onFetch(message));
    void this.#nats.connection.closed().then((why) => {
      if (!this.#isOver) this.#end(`its connection to NATS has ended for good: ${why ?? 'closed'}`);
    });
  }

  /** Until the journal is closed, or another primary has taken over. */
  async run(): Promise<void> {
    const beacon = setInterval(() => this.#beacon(), beaconMs);
    this.#beacon();
    try {
      while (!this.#isOver) {
        if (Atomics.load(this.#words, Word.driving) !== 0) await this.#drive();
        // In this order: what was appended before closing is seen.
        const isClosing = Atomics.load(this.#words, Word.closing) !== 0;
        if (!this.#outbound.isIdle) {
          this.#outbound.turn();
          await nextTurn();
        } else if (isClosing) {
          return;
        } else {
          await this.#park();
        }
      }
    } finally {
      clearInterval(beacon);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#stage?.close();
    await closeConnection(this.#nats, this.#outlet.isConnected);
  }

  #on(subject: string, listener: (message: Msg) => void): void {
    this.#nats.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null && !this.#isOver) listener(message);
        else if (error !== null)
          this.#log('error', { subject, error: error.message }, 'the NATS server refuses a subject');
      },
    });
  }

  /** Nobody else publishes batches in this term or a later one, unless there is another primary. */
  #onBatch(message: Msg): void {
    const batch = decodeBatch(message.data);
    if (typeof batch !== 'string') this.#hearOfPrimary(batch.term, batch.primaryId, 'another primary');
  }

  #onFrame(message: Msg): void {
    const frame = frameCodec.decode(message.data);
    if (typeof frame === 'string') return;
    this.#hearOfPrimary(frame.term, frame.primaryId, `replica "${frame.node}" follows another primary,`);
    const cursors = this.#isOver ? null : this.#roll.frame(frame);
    if (cursors === null || this.#stage === null) return;
    const { node, epoch } = cursors;
    try {
      if (this.#stage.cursors.ingest(cursors) !== 'ahead') return;
      const key = `${node} ${epoch}`;
      if (this.#aheadLogged.has(key)) return;
      this.#aheadLogged.add(key);
      this.#log(
        'warn',
        { node, epoch },
        'a replica says that it has more than was issued; it does not count',
      );
    } catch (error) {
      const { code = null, message: why } = error as { code?: AckgateErrorCode; message: string };
      if (this.#roll.refuse(node, code, why))
        this.#log('error', { node, code, why }, 'a replica can not be counted');
    }
  }

  #onPrimary(message: Msg): void {
    if (typeof primaryRequestCodec.decode(message.data) === 'string') return;
    const { node, primaryId } = this.#data;
    message.respond(
      primaryReplyCodec.encode({ node, term: this.#term, primaryId, last: this.#outbound.last }),
    );
  }

  #onStanding(message: Msg): void {
    const request = standingRequestCodec.decode(message.data);
    if (typeof request === 'string' || request.candidate === null) return;
    const { node, term, primaryId } = request.candidate;
    this.#hearOfPrimary(term, primaryId, `node "${node}"`);
  }

  #onJoin(message: Msg): void {
    const request = joinRequestCodec.decode(message.data);
    if (typeof request === 'string') return;
    const answer = this.#roll.join(request);
    if ('type' in answer) {
      const { node } = request;
      this.#log('warn', { node, code: answer.code, why: answer.message }, 'a replica was refused');
      message.respond(joinReplyCodec.encode(answer));
      return;
    }
    const { directory, bufferBytes } = this.#data;
    const joined = {
      type: 'joined' as const,
      history: encodeHistory(this.#history),
      first: listSegments(directory)[0]?.first ?? 1,
      last: Math.max(this.#outbound.last, this.#persisted()),
      bufferBytes,
      epochAbove: answer.epochAbove,
    };
    message.respond(joinReplyCodec.encode(joined));
  }

  #onFetch(message: Msg): void {
    const request = fetchRequestCodec.decode(message.data);
    if (typeof request === 'string' || !this.#outlet.isConnected) return;
    const answer = this.#fetches.answer(request);
    message.respond(Buffer.isBuffer(answer) ? answer : refusedCodec.encode(answer));
  }

  /** One of a later term has taken over. Of two in one term, neither can know that it alone is followed: both end. */
  #hearOfPrimary(term: number, primaryId: string, who: string): void {
    if (term < this.#term || (term === this.#term && primaryId === this.#data.primaryId)) return;
    if (this.#isOver) return;
    writeSupersededBy(this.#words, Math.max(term, this.#term + 1));
    this.#end(`superseded, ${who} has taken office in term ${term}; this one's was ${this.#term}`);
  }

  /** From here on no cursor of a replica moves, and nothing is published. */
  #end(why: string): void {
    this.#isOver = true;
    writeFailure(this.#data.memory, why);
    post({ type: 'moved' });
  }

  #beacon(): void {
    if (this.#isOver) return;
    const persisted = this.#persisted();
    this.#outbound.turn();
    this.#outbound.beacon(persisted);
    this.#fetches.sweep();
  }

  #persisted(): number {
    this.#persistedSeen = readPersisted(this.#fileWords, this.#persistedSeen);
    return this.#persistedSeen;
  }

  async #drive(): Promise<void> {
    Atomics.store(this.#words, Word.driving, 0);
    const { handle } = receiveMessageOnPort(parentPort!)!.message as DriveMessage;
    try {
      const stage = (await import('../stage/open-stage.js')).openStage(handle);
      stage.cursors.primary.issued(this.#outbound.last);
      this.#stage = stage;
      post({ type: 'driving' });
    } catch (error) {
      post({ type: 'drive-refused', ...told(error) });
    }
  }

  async #park(): Promise<void> {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    const isWanted = Atomics.load(words, Word.closing) !== 0 || Atomics.load(words, Word.driving) !== 0;
    if (this.#outbound.isIdle && !isWanted) {
      await waitWhile(words, Word.parked, 1, parkMs);
    }
    Atomics.store(words, Word.parked, 0);
  }

  #onConnection(isConnected: boolean): void {
    if (this.#isOver) return;
    if (isConnected) this.#log('info', {}, 'connected to NATS again');
    else this.#log('warn', {}, 'the connection to NATS is lost: replicas do not count until it is back');
  }

  #log(level: keyof Logger, fields: object, message: string): void {
    post({ type: 'log', level, fields: { node: this.#data.node, term: this.#term, ...fields }, message });
  }
}

export async function closeConnection({ connection }: Connected, isConnected: boolean): Promise<void> {
  if (isConnected && !connection.isClosed()) {
    const timer = new Promise<void>((resolve) => setTimeout(resolve, closeMs).unref());
    await Promise.race([connection.flush().catch(() => {}), timer]);
  }
  await connection.close().catch(() => {});
}

export function post(message: PublisherMessage): void {
  parentPort!.postMessage(message);
}

/** An error as it is posted. */
export function told(error: unknown): { code: string | null; message: string } {
  const { code, message } = error as NodeJS.ErrnoException;
  return { code: code?.startsWith('ERR_ACKGATE_') === true ? code : null, message };
}
