import { AckgateError } from '../errors.js';
import { BufferedJournal } from '../journal/buffered-journal.js';
import type { JournalRecord } from '../journal/journal.js';
import { checkSequence } from '../journal/options.js';
import { loadClient, type ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { reasonOf } from './fault.js';
import { openSame } from './identity.js';
import { prepare } from './opening.js';
import { checkJournalOptions, loggerOf, type PostgresJournalOptions } from './options.js';
import { replay } from './replay.js';
import { type Started, startWriter } from './start-writer.js';

/** For a long past that goes at once. */
const truncateMs = 60_000;

/**
 * A journal in a table of PostgreSQL 15 or later. A thread of its own commits whatever has been appended since its last
 * turn as one transaction (group commit), and asks the server how far its standbys are: `drive` makes the stage's
 * cursors of that.
 *
 * Everything here belongs to the thread that opened it. An open journal does not keep the process alive; a pending
 * `whenPersisted` or `close` does. See docs/POSTGRES.md.
 */
export class PostgresJournal extends BufferedJournal {
  /** `host:port/database` of the server that takes the writes. */
  readonly server: string;
  readonly #settings: ServerSettings;
  readonly #identity: string;
  readonly #schema: string;
  #firstSequence: number;

  /**
   * Finds the primary among the servers, makes the tables if they are not there, and takes the journal: whoever had it
   * before writes nothing any more.
   *
   * @throws ERR_ACKGATE_POSTGRES_UNREACHABLE, _CREDENTIALS, _STANDBY, _VERSION, _SCHEMA, _UNSAFE;
   *   ERR_ACKGATE_JOURNAL_LOCKED when another instance has it open, unless `takeOver`; ERR_ACKGATE_SUPERSEDED,
   *   ERR_ACKGATE_REPLICA_AHEAD when another server is the one to open; ERR_ACKGATE_NODE_TWICE, ERR_ACKGATE_CLOCK_SKEW;
   *   ERR_ACKGATE_PEER_MISSING without the package `pg`; ERR_ACKGATE_INVALID_ARGUMENT, _OUT_OF_RANGE,
   *   _NOT_POWER_OF_TWO, _UNKNOWN_OPTION
   */
  static async open(options: PostgresJournalOptions): Promise<PostgresJournal> {
    const checked = await checkJournalOptions(options);
    const logger = loggerOf(options.logger);
    await loadClient();
    const started = await startWriter(checked, logger);
    const { settings, schema } = checked.servers;
    return new PostgresJournal(checked, started, settings[started.opened.server], schema);
  }

  /** Use `PostgresJournal.open`. */
  private constructor(
    limits: { bufferBytes: number; recordBytesMax: number },
    started: Started,
    settings: ServerSettings,
    schema: string,
  ) {
    const { memory, worker, ended, opened } = started;
    super({
      name: `journal on ${settings.label}`,
      memory,
      worker,
      ended,
      lastSequence: opened.lastSequence,
      epoch: opened.generation,
      bufferBytes: limits.bufferBytes,
      recordBytesMax: limits.recordBytesMax,
      release: async () => {},
    });
    this.server = settings.label;
    this.#settings = settings;
    this.#identity = opened.identity;
    this.#schema = schema;
    this.#firstSequence = opened.firstSequence;
  }

  /** Oldest sequence that is kept: where a complete replay starts. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  /**
   * Reads from the server that takes the writes, on a connection of its own, a few MiB at a time.
   *
   * @param from a sequence that is kept (default: the oldest); nothing comes when it is not durable yet
   * @throws ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_JOURNAL_CLOSED; while iterating: ERR_ACKGATE_JOURNAL_DAMAGED,
   *   ERR_ACKGATE_POSTGRES_UNREACHABLE, ERR_ACKGATE_SUPERSEDED when another server answers by now
   */
  replay(from: number = this.#firstSequence): AsyncIterableIterator<JournalRecord> {
    this.checkOpen();
    const hint = `${this.#firstSequence} (the oldest kept) or more`;
    checkSequence('from', from, this.#firstSequence, Number.MAX_SAFE_INTEGER, hint);
    return replay(this.#settings, this.#identity, this.#schema, from, this.primaryCursor);
  }

  /**
   * Removes the groups in which everything is older than `sequence`, but never the last one: call it with a sequence
   * from which on the rest can be rebuilt. Resolves with the oldest sequence that is kept. Not for records that a replay
   * under way still needs.
   *
   * @throws (rejects with) ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_JOURNAL_CLOSED, ERR_ACKGATE_JOURNAL_FAILED,
   *   ERR_ACKGATE_SUPERSEDED
   */
  async truncateBefore(sequence: number): Promise<number> {
    this.checkUsable();
    const max = this.primaryCursor + 1;
    checkSequence('sequence', sequence, 1, max, `1 … ${max}, up to what is persisted`);
    let connection: Connection | undefined;
    try {
      const options = { applicationName: 'ackgate truncate', answerTimeoutMs: truncateMs };
      connection = await openSame(this.#settings, this.#identity, options);
      await prepare(connection);
      const table = `"${this.#schema}".journal`;
      const { rows } = await connection.query(
        `with mine as materialized (select from "${this.#schema}".generation where generation = $2 for share),
          gone as (delete from ${table} where last < $1 and first < (select max(first) from ${table})
            and exists (select from mine) returning last)
          select (select count(*) from mine) > 0 as mine, (select max(last) + 1 from gone) as first`,
        [sequence, this.epoch],
      );
      const { mine, first } = rows[0] as { mine: boolean; first: string | null };
      if (!mine) throw this.#notInForce();
      if (first !== null) this.#firstSequence = Math.max(this.#firstSequence, Number(first));
      return this.#firstSequence;
    } catch (error) {
      if (error instanceof AckgateError) throw error;
      const reason = reasonOf(error, this.#settings);
      throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', `${this.parts.name} can't be pruned: ${reason}`);
    } finally {
      await connection?.end();
    }
  }

  #notInForce(): AckgateError {
    const message = `${this.parts.name} can't be pruned: generation ${this.epoch} is not in force any more`;
    return new AckgateError('ERR_ACKGATE_SUPERSEDED', message);
  }
}
