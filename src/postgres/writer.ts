import { parentPort, workerData } from 'node:worker_threads';
import { controlWords, Word, writeFailure, writeSupersededBy } from '../journal/memory.js';
import { TurnLog } from '../journal/turn-log.js';
import { isCalled, pauseWanted, takeStage, tellPersisted, told } from '../journal/writer-thread.js';
import { monotonicNow } from '../shared/clock.js';
import { waitWhile } from '../shared/wait-async.js';
import type { OpenedStage } from '../stage/open-stage.js';
import { Committer } from './committer.js';
import { reasonOf } from './fault.js';
import { GroupReader } from './group-reader.js';
import type { WriterData, WriterMessage } from './messages.js';
import { type Opening, openJournal } from './opening.js';
import { Replication } from './replication.js';
import { Watcher } from './watcher.js';

const lookMs = 250;
/** Whoever closes waits for a commit no longer than for any other answer. */
const closingCommitMs = 5000;

/** Takes what was appended, has the server make it durable, says so; hears of the standbys and of rivals meanwhile. */
class Writer {
  readonly #data: WriterData;
  readonly #words: Int32Array;
  readonly #reader: GroupReader;
  readonly #opening: Opening;
  readonly #committer: Committer;
  readonly #replication: Replication;
  readonly #watcher: Watcher;
  readonly #turns: TurnLog | null;
  #lastSequence: number;
  #stage: OpenedStage | null = null;
  #isOver = false;
  readonly #overdue: NodeJS.Timeout;
  /** When the commit under way began, by `performance.now`; 0: none is. */
  #commitBegan = 0;
  /** When closing was first seen while a commit was under way; 0: not yet. */
  #closingSeen = 0;

  constructor(data: WriterData, opening: Opening) {
    const { schema } = data.options.servers;
    const { connection, office, others, timeline, identity } = opening;
    this.#data = data;
    this.#words = controlWords(data.memory);
    this.#reader = new GroupReader(data.memory);
    this.#opening = opening;
    const { turns } = data.options;
    this.#turns = turns === undefined ? null : new TurnLog(turns);
    this.#committer = new Committer(connection, schema, office.generation);
    this.#lastSequence = office.lastSequence;
    this.#persisted(this.#lastSequence);
    this.#replication = new Replication({
      opening,
      journal: data.options,
      log: (level, fields, message) => post({ type: 'log', level, fields, message }),
      superseded: (generation) => this.#superseded(generation, opening.server.label),
      replaced: (reason) => this.#fenced(0, reason),
    });
    this.#watcher = new Watcher({
      others,
      schema,
      mine: { timeline, generation: office.generation, identity },
      seen: (rival) => this.#superseded(rival.generation, rival.server),
    });
    this.#overdue = setInterval(() => this.#lookForOverdue(), lookMs);
    // Also with nothing to write: without its session, another one may take the journal.
    void connection.lost.then((error) => this.#failed(`the server is lost: ${this.#reason(error)}`));
  }

  /** Until the journal is closed or has failed: nothing is tried twice. */
  async run(): Promise<void> {
    const words = this.#words;
    try {
      // What the standbys lacked before this was opened counts too.
      this.#replication.committed(this.#lastSequence, this.#opening.position);
      while (!this.#isOver) {
        if (Atomics.load(words, Word.driving) !== 0) await this.#drive();
        if (await this.#pause()) continue;
        // In this order: what was appended before closing is seen.
        const isClosing = Atomics.load(words, Word.closing) !== 0;
        if (!this.#reader.isEmpty) await this.#commit();
        else if (isClosing) this.#isOver = true;
        else await this.#park();
      }
    } catch (error) {
      this.#failed(this.#reason(error));
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#overdue);
    await Promise.all([this.#replication.end(), this.#watcher.end(), this.#opening.connection.end()]);
    this.#stage?.close();
  }

  async #commit(): Promise<void> {
    const beganNs = this.#turns === null ? 0 : monotonicNow();
    const group = this.#reader.take();
    const last = this.#lastSequence + group.count;
    // Before any standby can have it.
    this.#stage?.cursors.primary.issued(last);
    this.#commitBegan = performance.now();
    const position = await this.#committer.commit(this.#lastSequence + 1, group);
    this.#commitBegan = 0;
    if (this.#isOver) return;
    if (position === null) {
      this.#superseded(0, this.#opening.server.label);
      return;
    }
    this.#turns?.note(beganNs, monotonicNow(), last);
    this.#lastSequence = last;
    this.#persisted(last);
    this.#replication.committed(last, position);
  }

  /** A server may hang, or be out of reach without a word, for longer than anybody waits. */
  #lookForOverdue(): void {
    if (this.#commitBegan === 0) return;
    const now = performance.now();
    const { commitTimeoutMs } = this.#data.options;
    if (now - this.#commitBegan > commitTimeoutMs) {
      this.#failed(`the server did not answer a commit within ${commitTimeoutMs} ms (commitTimeoutMs)`);
    }
    if (Atomics.load(this.#words, Word.closing) === 0) return;
    if (this.#closingSeen === 0) this.#closingSeen = now;
    if (now - Math.max(this.#closingSeen, this.#commitBegan) > closingCommitMs) {
      this.#failed(`the server did not answer a commit within ${closingCommitMs} ms of closing`);
    }
  }

  /** The stage first: who sees a sequence persisted may rely on the stage having been told. */
  #persisted(sequence: number): void {
    this.#stage?.cursors.primary.advance(sequence);
    tellPersisted(this.#words, sequence);
  }

  #drive(): Promise<void> {
    return takeStage(this.#words, (stage) => {
      stage.cursors.primary.issued(this.#lastSequence);
      stage.cursors.primary.advance(this.#lastSequence);
      this.#replication.drive(stage);
      this.#stage = stage;
    });
  }

  async #pause(): Promise<boolean> {
    const words = this.#words;
    const wanted = pauseWanted(words);
    if (wanted === 0) return false;
    if (Atomics.load(words, Word.driving) === 0) {
      await waitWhile(words, Word.pausing, wanted, this.#data.parkMs);
    }
    return true;
  }

  async #park(): Promise<void> {
    const words = this.#words;
    Atomics.store(words, Word.parked, 1);
    if (this.#reader.isEmpty && !isCalled(words) && !this.#isOver) {
      await waitWhile(words, Word.parked, 1, this.#data.parkMs);
    }
    Atomics.store(words, Word.parked, 0);
  }

  /** Another primary is in office: from here on no cursor moves. `generation` 0: it is not known. */
  #superseded(generation: number, server: string): void {
    if (this.#isOver) return;
    const mine = this.#opening.office.generation;
    this.#fenced(
      generation,
      `another primary has taken over on ${server}; here generation ${mine} was in force`,
    );
  }

  /** The fence must be higher than the stage's own epoch, and need not be the other one's. */
  #fenced(generation: number, reason: string): void {
    if (this.#isOver) return;
    writeSupersededBy(this.#words, Math.max(generation, this.#opening.office.generation + 1));
    this.#failed(reason);
  }

  /** The first reason counts. */
  #failed(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#replication.stop();
    writeFailure(this.#data.memory, reason);
    post({ type: 'moved' });
    // A commit under way may never be answered.
    this.#opening.connection.destroy();
    Atomics.store(this.#words, Word.parked, 0);
    Atomics.notify(this.#words, Word.parked);
    Atomics.notify(this.#words, Word.pausing);
  }

  #reason(error: unknown): string {
    return reasonOf(error, this.#opening.server);
  }
}

function post(message: WriterMessage): void {
  parentPort!.postMessage(message);
}

async function open(data: WriterData): Promise<Writer | null> {
  try {
    const opening = await openJournal(data.options);
    const { generation, firstSequence, lastSequence } = opening.office;
    const writer = new Writer(data, opening);
    const server = data.options.servers.settings.indexOf(opening.server);
    const { identity } = opening;
    post({ type: 'opened', server, identity, generation, firstSequence, lastSequence });
    return writer;
  } catch (error) {
    post({ type: 'refused', ...told(error) });
    return null;
  }
}

const data = workerData as WriterData;
const writer = await open(data);
if (writer !== null) {
  await writer.run();
  await writer.end();
}
