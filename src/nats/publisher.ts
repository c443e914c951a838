import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import type { ToldError, WriterAnswer } from '../journal/driving.js';
import { controlWords, readPersisted, Word, writeFailure, writeSupersededBy } from '../journal/memory.js';
import { isCalled, takeStage } from '../journal/writer-thread.js';
import type { Logger } from '../shared/logger.js';
import { waitWhile } from '../shared/wait-async.js';
import type { OpenedStage } from '../stage/open-stage.js';
import type { Connected } from './connect.js';
import { FetchServer } from './fetch-server.js';
import type { History, Log } from './history.js';
import type { Subjects } from './messages.js';
import { messageBytesMax, Outbound } from './outbound.js';
import { Outlet } from './outlet.js';
import { Recent } from './recent.js';
import { Reception } from './reception.js';
import { RingReader } from './ring-reader.js';
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
  clockSkewMsMax: number;
  bufferBytes: number;
  recordBytesMax: number;
}

/** What it posts: first that it is open or why not, then what every writer does, and log lines. */
export type PublisherMessage =
  | { type: 'opened'; term: number }
  | ({ type: 'refused' } & ToldError)
  | { type: 'log'; level: keyof Logger; fields: object; message: string }
  | WriterAnswer;

const beaconMs = 100;
const parkMs = 100;
const recentBytesMax = 8 * 1024 * 1024;
const closeMs = 1_000;

/** The publisher's thread: publishes what is appended, and ends when another primary takes over. */
export class Publisher {
  readonly #data: PublisherData;
  readonly #words: Int32Array;
  readonly #fileWords: Int32Array;
  readonly #nats: Connected;
  readonly #term: number;
  readonly #outlet: Outlet;
  readonly #outbound: Outbound;
  readonly #fetches: FetchServer;
  readonly #reception: Reception;
  #stage: OpenedStage | null = null;
  #persistedSeen = 0;
  #isOver = false;

  constructor(data: PublisherData, nats: Connected, subjects: Subjects, history: History) {
    const { memory, fileMemory, directory, node, primaryId, clockSkewMsMax, bufferBytes, log } = data;
    const { term } = history.terms.at(-1)!;
    this.#data = data;
    this.#words = controlWords(memory);
    this.#fileWords = controlWords(fileMemory);
    this.#nats = nats;
    this.#term = term;
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
      now: () => performance.now(),
    });
    this.#reception = new Reception({
      ...{ node, primaryId, directory, bufferBytes, clockSkewMsMax, subjects, history, persisted },
      connection: nats.connection,
      fetches: this.#fetches,
      isOver: () => this.#isOver,
      isConnected: () => this.#outlet.isConnected,
      last: () => this.#outbound.last,
      stage: () => this.#stage,
      heardOf: (term, primaryId, who) => this.#hearOfPrimary(term, primaryId, who),
      log: (level, fields, message) => this.#log(level, fields, message),
    });
  }

  listen(): void {
    this.#reception.listen();
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
    this.#reception.look();
  }

  #persisted(): number {
    this.#persistedSeen = readPersisted(this.#fileWords, this.#persistedSeen);
    return this.#persistedSeen;
  }

  #drive(): Promise<void> {
    return takeStage(this.#words, (stage) => {
      stage.cursors.primary.issued(this.#outbound.last);
      this.#stage = stage;
    });
  }

  async #park(): Promise<void> {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    if (this.#outbound.isIdle && !isCalled(words)) await waitWhile(words, Word.parked, 1, parkMs);
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
