import { AckgateError } from '../errors.js';
import { argument, isFunction, text } from '../shared/checks.js';

/** How to reach a NATS server, or the servers of one cluster. */
export interface NatsServers {
  /** `nats://host:port` or `host:port` of every server that may be tried; several: those of one cluster. */
  servers: string | readonly string[];
  /** User name, where the server wants one. May also be in the address: `nats://user:password@host`. */
  user?: string;
  /** Its password, or what gives it. Asked for once, when the connection is opened. */
  password?: string | (() => string | Promise<string>);
  /** A token in the place of user and password. */
  token?: string;
  /** Path of a `.creds` file, in the place of both. */
  credentialsFile?: string;
  /** `'require'`: TLS with the system's authorities; or files of the certificates. Default: as the server wants it. */
  tls?: 'require' | NatsTls;
}

export interface NatsTls {
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  /** TLS before anything else, for servers set to `handshake_first`. */
  handshakeFirst?: boolean;
}

/** Plain data, so that it can be posted to the thread that connects. Never to be printed. */
export interface CheckedServers {
  readonly addresses: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  readonly token: string | null;
  readonly credentialsFile: string | null;
  readonly tls: NatsTls | null;
}

export const serverOptionNames = ['servers', 'user', 'password', 'token', 'credentialsFile', 'tls'] as const;
const tlsNames = ['caFile', 'certFile', 'keyFile', 'handshakeFirst'];
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
  const withUser = parsed.find(({ user }) => user !== null);
  const { password } = options;
  const given = isFunction(password) ? await (password as () => string | Promise<string>)() : password;
  return {
    addresses: parsed.map(({ address }) => address),
    user: optionalText('user', options.user) ?? withUser?.user ?? null,
    password: optionalText('password', given) ?? withUser?.password ?? null,
    token: optionalText('token', options.token),
    credentialsFile: optionalText('credentialsFile', options.credentialsFile),
    tls: checkTls(options.tls),
  };
}

interface Address {
  address: string;
  user: string | null;
  password: string | null;
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
    user: url.username === '' ? null : decodeURIComponent(url.username),
    password: url.password === '' ? null : decodeURIComponent(url.password),
  };
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
  for (const name of Object.keys(tls)) {
    if (tlsNames.includes(name)) continue;
    const message = `there is no option "${name}" in tls; there are ${tlsNames.join(', ')}`;
    throw new AckgateError('ERR_ACKGATE_UNKNOWN_OPTION', message);
  }
  return { ...tls };
}
