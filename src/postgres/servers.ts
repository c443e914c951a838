import { AckgateError } from '../errors.js';
import { argument, checkKeys, isFunction } from '../shared/checks.js';
import type { ServerSettings } from './client.js';

/** How the certificate of a server is checked, and which one is shown: as Node's `tls.connect` takes it. */
export interface PostgresTls {
  /** Certificates to trust, as PEM (default: those that Node trusts). */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /** Certificate to show, as PEM (default: none). */
  readonly cert?: string | Buffer;
  /** Its private key, as PEM. */
  readonly key?: string | Buffer;
  /** Name that the certificate must have (default: the host). */
  readonly servername?: string;
  /** false: take any certificate (default true). */
  readonly rejectUnauthorized?: boolean;
}

/** The servers of one cluster, as everything in `ackgate/postgres` is told of them. */
export interface PostgresServers {
  /**
   * `postgres://user:password@host:port/database` of every server that is the primary or may become it, 1 … 16. The one
   * that takes writes is used.
   */
  readonly servers: readonly string[];
  /** For all of them (default: the URL's). A function is asked when a connection is first needed. */
  readonly password?: string | (() => string | Promise<string>);
  /** `'require'`: encrypted, whoever the server is. An object: its certificate is checked (default: no TLS). */
  readonly tls?: 'require' | PostgresTls;
  /** Where the tables are: a to z, digits and `_`, at most 40 characters (default `ackgate`). */
  readonly schema?: string;
}

export interface CheckedServers {
  readonly settings: readonly ServerSettings[];
  readonly schema: string;
}

export const serverOptionNames = ['servers', 'password', 'tls', 'schema'] as const;
const serversMax = 16;
const tlsKeys = ['ca', 'cert', 'key', 'servername', 'rejectUnauthorized'];

/** Checks what does not need a server, and gets the password. Messages never have a URL: there may be a password in it. */
export async function checkServers(options: PostgresServers): Promise<CheckedServers> {
  const { servers, password, tls, schema = 'ackgate' } = options;
  if (!Array.isArray(servers) || servers.length < 1 || servers.length > serversMax) {
    throw argument('servers', `an array of 1 to ${serversMax} postgres:// URLs`);
  }
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,39}$/.test(schema)) {
    throw argument('schema', 'at most 40 of a to z, digits and _, and not begin with a digit');
  }
  if (password !== undefined && typeof password !== 'string' && !isFunction(password)) {
    throw argument('password', 'a text, or a function that gives one');
  }
  const ssl = checkTls(tls);
  const parsed = servers.map((url, i) => parse(url, `servers[${i}]`));
  const labels = parsed.map(({ label }) => label);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) throw argument('servers', `different servers: ${twice} is there twice`);
  const shared = typeof password === 'function' ? await passwordFrom(password) : password;
  if (shared !== undefined && typeof shared !== 'string') throw argument('password()', 'a text');
  const settings = parsed.map((server) => ({ ...server, ssl, password: shared ?? server.password }));
  return { settings, schema };
}

/** Without `cause`, and without the message: they may have what is secret. */
async function passwordFrom(password: () => string | Promise<string>): Promise<string> {
  try {
    return await password();
  } catch (error) {
    const { name, code } = Object(error) as { name?: unknown; code?: unknown };
    const what =
      [name, code].filter((part) => typeof part === 'string').join(' ') || 'something that is no error';
    throw new AckgateError(
      'ERR_ACKGATE_POSTGRES_CREDENTIALS',
      `password() has thrown ${what}: no server was asked`,
    );
  }
}

function parse(url: unknown, name: string): ServerSettings {
  const parsed = typeof url === 'string' ? parsedOrNull(url) : null;
  if (parsed === null || !['postgres:', 'postgresql:'].includes(parsed.protocol)) {
    throw argument(name, 'a postgres:// URL; special characters of a password are written as %21');
  }
  const known = [...parsed.searchParams.keys()].every((key) => key === 'host');
  if (!known || parsed.hash !== '') {
    throw argument(name, 'without parameters, except ?host= for the directory of a socket: use the options');
  }
  const host = parsed.searchParams.get('host') ?? (parsed.hostname.replace(/^\[|\]$/g, '') || 'localhost');
  const port = parsed.port === '' ? 5432 : Number(parsed.port);
  const part = (text: string) => (text === '' ? undefined : decoded(text, name));
  const database = part(parsed.pathname.slice(1));
  return {
    label: `${host}:${port}${database === undefined ? '' : `/${database}`}`,
    host,
    port,
    user: part(parsed.username),
    password: part(parsed.password),
    database,
    ssl: undefined,
  };
}

function parsedOrNull(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}

function decoded(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw argument(name, 'a URL whose % signs are written as %25');
  }
}

function checkTls(tls: PostgresServers['tls']): object | undefined {
  if (tls === undefined) return undefined;
  if (tls === 'require') return { rejectUnauthorized: false };
  if (typeof tls !== 'object' || tls === null) throw argument('tls', "'require' or an object");
  checkKeys('tls', tls, tlsKeys);
  return { ...tls };
}
