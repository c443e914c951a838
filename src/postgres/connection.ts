import { within } from '../shared/within.js';
import { type Answer, loadClient, type PgClient, type Question, type ServerSettings } from './client.js';

const connectMs = 5000;
const endMs = 500;

export interface ConnectionOptions {
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** A question that takes longer has failed, and its connection with it (default: none ever does). */
  answerMs?: number;
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
  #pending = 0;

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
      query_timeout: options.answerMs,
      keepAlive: true,
      // Questions are sent without waiting for the answer to the one before.
      pipeline: true,
    });
    const connection = new Connection(server, client, options.isUnref === true);
    try {
      await client.connect();
    } catch (error) {
      connection.destroy();
      throw error;
    }
    if (options.isUnref) client.unref();
    return connection;
  }

  private constructor(server: ServerSettings, client: PgClient, isUnref: boolean) {
    this.server = server;
    this.#client = client;
    this.#isUnref = isUnref;
    this.lost = new Promise((tell) => {
      client.on('error', tell);
      client.on('end', () => tell(new Error('the connection was closed')));
    });
  }

  /** Asks once, for what is not asked again and again. */
  query(text: string, values: unknown[] = []): Promise<Answer> {
    return this.#ask({ text, values });
  }

  /** Asks what will be asked many times: parsed and planned once, under a name that stands for the text. */
  prepared(name: string, text: string, values: unknown[] = []): Promise<Answer> {
    return this.#ask({ name, text, values });
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#isUnref && this.#pending++ === 0) this.#client.ref();
    try {
      return await this.#client.query(question);
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
