import { AckgateError } from '../errors.js';

/*
 * The part of the `pg` package that is used, in types of our own: whoever compiles against ours need not have its.
 */

export type Row = Record<string, unknown>;

export interface Answer {
  rows: Row[];
  rowCount: number | null;
}

export interface Question {
  /** Kept by the server under this name, so that it is parsed and planned once. */
  name?: string;
  text: string;
  values?: unknown[];
  /** Milliseconds, after which it has failed, and its connection with it (default: never). */
  query_timeout?: number;
}

export interface PgClient {
  connect(): Promise<unknown>;
  query(question: Question): Promise<Answer>;
  end(): Promise<void>;
  ref(): void;
  unref(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'notification', listener: (notice: { channel: string; payload?: string }) => void): unknown;
  readonly connection: { readonly stream: { destroy(): void } };
}

/** How a server is reached; plain data, so that it can be posted to another thread. Holds the password. */
export interface ServerSettings {
  /** `host:port/database`, for messages. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly ssl: object | undefined;
}

type ClientClass = new (config: object) => PgClient;

/** @throws ERR_ACKGATE_PEER_MISSING */
export async function loadClient(): Promise<ClientClass> {
  try {
    return (await import('pg')).default.Client as unknown as ClientClass;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const message = 'PostgreSQL needs the package pg: npm install pg@8';
    throw new AckgateError('ERR_ACKGATE_PEER_MISSING', message, { cause });
  }
}
