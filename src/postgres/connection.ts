import { within } from '../shared/within.js';
import { type Answer, loadClient, type PgClient, type Question, type ServerSettings } from './client.js';
import { noAnswer, tooOld } from './fault.js';

const connectMs = 5000;
const endMs = 500;
const versionMin = 150000;

/** What may end a session that only waits, or a question that is slow; the newest of them not every server knows. */
const timeoutsOff = `select set_config(name, '0', false) from pg_catalog.pg_settings where name in ('statement_timeout',
  'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

export interface ConnectionOptions {
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** A question that takes longer has failed, and its connection with it (default 5000). */
  answerTimeoutMs?: number;
  /** Keeps the process alive only while an answer is waited for. */
  isUnref?: boolean;
}

/** One connection to one server. It is never made again: when it is lost, that is over. */
export class Connection {
  readonly server: ServerSettings;
  /** Resolves when it is lost, for whatever reason, also after `end`. */
  readonly lost: Promise<Error>;
  readonly #client: PgClient;
  readonly #isUnref: boolean;
  readonly #answerTimeoutMs: number;
  #pending = 0;
  #lostBy: Error | null = null;

  /** @throws ERR_ACKGATE_POSTGRES_VERSION, ERR_ACKGATE_PEER_MISSING, or whatever the client throws */
  static async open(server: ServerSettings, options: ConnectionOptions): Promise<Connection> {
    const { host, port, user, password, database, ssl } = server;
    const Client = await loadClient();
    const client = new Client({
      host,
      port,
      user,
      password,
      database,
      ssl,
      application_name: options.applicationName,
      connectionTimeoutMillis: connectMs,
      keepAlive: true,
      // Questions are sent without waiting for the answer to the one before.
      pipeline: true,
    });
    const connection = new Connection(server, client, options);
    try {
      await client.connect();
      await connection.#begin();
    } catch (error) {
      connection.destroy();
      throw error;
    }
    if (options.isUnref) client.unref();
    return connection;
  }

  private constructor(server: ServerSettings, client: PgClient, options: ConnectionOptions) {
    this.server = server;
    this.#client = client;
    this.#isUnref = options.isUnref === true;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 5000;
    this.lost = new Promise((tell) => {
      const lose = (error: Error) => {
        this.#lostBy ??= error;
        tell(error);
      };
      client.on('error', lose);
      client.on('end', () => lose(new Error('the connection was closed')));
    });
  }

  /** Whatever the defaults of the server or the role are. */
  async #begin(): Promise<void> {
    // The version first and alone: what is asked later need not exist on a server that is too old.
    const { rows } = await this.query('show server_version_num');
    const version = Number(rows[0]?.server_version_num);
    if (!(version >= versionMin)) throw tooOld(this.server, version);
    await this.query(timeoutsOff);
  }

  /** Asks once, for what is not asked again and again. `answerTimeoutMs`: for what may take longer than usual. */
  query(
    text: string,
    values: unknown[] = [],
    answerTimeoutMs: number = this.#answerTimeoutMs,
  ): Promise<Answer> {
    return this.#ask({ text, values, query_timeout: answerTimeoutMs });
  }

  /**
   * Asks what will be asked many times: parsed and planned once, under a name that stands for the text. `answerTimeoutMs` 0: no
   * bound, for who sees to it himself.
   */
  prepared(
    name: string,
    text: string,
    values: unknown[] = [],
    answerTimeoutMs: number = this.#answerTimeoutMs,
  ): Promise<Answer> {
    return this.#ask({ name, text, values, query_timeout: answerTimeoutMs });
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#isUnref && this.#pending++ === 0) this.#client.ref();
    try {
      return await this.#client.query(question);
    } catch (error) {
      throw noAnswer(this.#lostBy ?? error, question.query_timeout ?? 0);
    } finally {
      if (this.#isUnref && --this.#pending === 0) this.#client.unref();
    }
  }

  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''));
  }

  /** Ends it in order, or else all the same. Never rejects. */
  async end(): Promise<void> {
    await within(endMs, 'ending a connection', () => this.#client.end()).catch(() => {});
    this.destroy();
  }

  /** Ends it now; whatever was asked is rejected. */
  destroy(): void {
    this.#client.connection.stream.destroy();
  }
}
