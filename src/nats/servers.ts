import { readFileSync } from 'node:fs';
import { AckgateError } from '../errors.js';
import { argument, boolean, checkKeys, isFunction, text } from '../shared/checks.js';

/** How to reach a NATS server, or the servers of one cluster. */
export interface NatsServers {
  /**
   * `nats://host:port` or `host:port` of every server that may be tried; several: those of one cluster. `tls://` in one of
   * them requires TLS of all.
   */
  readonly servers: string | readonly string[];
  /**
   * User name, where the server wants one. May also be in the address: `nats://user:password@host`; without a password it
   * is a token there, unless `password` is given.
   */
  readonly user?: string;
  /** Its password, or what gives it. Asked for once, when the connection is opened. */
  readonly password?: string | (() => string | Promise<string>);
  /** A token in the place of user and password. */
  readonly token?: string;
  /** Path of a `.creds` file, in the place of both. */
  readonly credentialsFile?: string;
  /** `'require'`: TLS with the system's authorities; or files of the certificates. Default: as the server wants it. */
  readonly tls?: 'require' | NatsTls;
}

/** Certificates for TLS, as paths of PEM files. They are looked at when the connection is opened. */
export interface NatsTls {
  /** Authorities to trust (default: those of the system). */
  readonly caFile?: string;
  /** Certificate to show (default: none). */
  readonly certFile?: string;
  /** Its private key. */
  readonly keyFile?: string;
  /** TLS before anything else, for servers set to `handshake_first` (default false). */
  readonly handshakeFirst?: boolean;
}

/** Plain data, so that it can be posted to the thread that connects. Never to be printed. */
export interface CheckedServers {
  readonly addresses: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  readonly token: string | null;
  readonly credentialsFile: string | null;
  readonly tls: NatsTls | null;
  /** What must be in no message: password, token, and all that came from an address. None is empty. */
  readonly secrets: readonly string[];
}

export const serverOptionNames = ['servers', 'user', 'password', 'token', 'credentialsFile', 'tls'] as const;
const tlsFiles = ['caFile', 'certFile', 'keyFile'] as const;
const tlsNames: readonly string[] = [...tlsFiles, 'handshakeFirst'];
const charsMax = 4096;

/**
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION; what `password` throws
 */
export async function checkServers(options: NatsServers): Promise<CheckedServers> {
  const list = typeof options.servers === 'string' ? [options.servers] : options.servers;
  if (!Array.isArray(list) || list.length === 0) {
    throw argument(
      'servers',
      'the address of a NATS server such as "nats://127.0.0.1:4222", or a list of them',
    );
  }
  const parsed = list.map((address, i) => parseAddress(`servers[${i}]`, address));
  const inAddress = credentialsOf(parsed);
  const tls = checkTls(options.tls) ?? (parsed.some(({ requiresTls }) => requiresTls) ? {} : null);
  const { password: givenPassword } = options;
  const given = isFunction(givenPassword)
    ? await (givenPassword as () => string | Promise<string>)()
    : givenPassword;
  const password = optionalText('password', given) ?? inAddress.password;
  const isToken = inAddress.user !== null && password === null && options.user === undefined;
  const user = optionalText('user', options.user) ?? (isToken ? null : inAddress.user);
  const token = optionalText('token', options.token) ?? (isToken ? inAddress.user : null);
  const secrets = [password, token, inAddress.user, inAddress.password];
  return {
    addresses: parsed.map(({ address }) => address),
    user,
    password,
    token,
    credentialsFile: optionalText('credentialsFile', options.credentialsFile),
    tls,
    secrets: secrets.filter((secret): secret is string => secret !== null && secret !== ''),
  };
}

interface Credentials {
  user: string | null;
  password: string | null;
}

interface Address extends Credentials {
  address: string;
  requiresTls: boolean;
}

/** The client logs in the same way everywhere. */
function credentialsOf(addresses: readonly Address[]): Credentials {
  const given = addresses.filter(({ user, password }) => user !== null || password !== null);
  const [first] = given;
  if (first === undefined) return { user: null, password: null };
  if (given.some(({ user, password }) => user !== first.user || password !== first.password)) {
    throw argument(
      'servers',
      'servers of one cluster, with the same user and password in all addresses that have one',
    );
  }
  return first;
}

/** The address may hold a password: it is never in a message. */
function parseAddress(name: string, value: unknown): Address {
  const written = text(name, value, charsMax);
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(written) ? written : `nats://${written}`);
  } catch {
    throw argument(name, 'an address such as "nats://127.0.0.1:4222"');
  }
  if (!['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
    throw argument(name, 'an address such as "nats://127.0.0.1:4222"');
  }
  return {
    address: `${url.hostname}:${url.port || '4222'}`,
    user: decoded(name, url.username),
    password: decoded(name, url.password),
    requiresTls: url.protocol === 'tls:',
  };
}

function decoded(name: string, part: string): string | null {
  if (part === '') return null;
  try {
    return decodeURIComponent(part);
  } catch {
    throw argument(name, 'an address whose user and password are percent-encoded, with "%25" for "%"');
  }
}

function optionalText(name: string, value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && value.length <= charsMax) return value;
  throw argument(name, 'a text');
}

function checkTls(tls: NatsServers['tls']): NatsTls | null {
  if (tls === undefined) return null;
  if (tls === 'require') return {};
  if (typeof tls !== 'object' || tls === null) throw argument('tls', '"require" or an object');
  checkKeys('tls', tls, tlsNames);
  for (const name of tlsFiles) if (tls[name] !== undefined) checkReadable(`tls.${name}`, tls[name]);
  if (tls.handshakeFirst !== undefined) boolean('tls.handshakeFirst', tls.handshakeFirst);
  return { ...tls };
}

/** Now, and by its name: later it would be one of the reasons why no server can be reached. */
function checkReadable(name: string, path: unknown): void {
  const given = text(name, path, charsMax);
  try {
    readFileSync(given);
  } catch (cause) {
    const message = `${name} can't be read: ${(cause as Error).message}`;
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message, { cause });
  }
}
