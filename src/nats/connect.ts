import { readFileSync } from 'node:fs';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { AckgateError } from '../errors.js';
import { describe } from '../shared/describe.js';
import type { CheckedServers } from './servers.js';

/** The client's module, loaded when it is needed. */
export type NatsClient = typeof import('@nats-io/transport-node');
export interface Connected {
  client: NatsClient;
  connection: NatsConnection;
  /** How often the connection was lost so far. */
  losses(): number;
}

const connectMs = 5_000;
/** A server that does not answer for about three of them is taken for gone: by default that would take minutes. */
const pingMs = 1_000;
const pingsOutMax = 3;
const reconnectMs = 250;

/**
 * Connects, and from then on connects anew for as long as it takes.
 *
 * @param name what the server's operator sees the connection as
 * @throws ERR_ACKGATE_PEER_MISSING, ERR_ACKGATE_NATS_CREDENTIALS, ERR_ACKGATE_NATS_UNREACHABLE
 */
export async function connectNats(servers: CheckedServers, name: string): Promise<Connected> {
  const client = await loadClient();
  try {
    const connection = await client.connect(connectionOptions(client, servers, name));
    return { client, connection, losses: countLosses(connection) };
  } catch (error) {
    throw explain(client, error, servers);
  }
}

function countLosses(connection: NatsConnection): () => number {
  let losses = 0;
  void (async () => {
    for await (const { type } of connection.status()) if (type === 'disconnect') losses++;
  })();
  return () => losses;
}

async function loadClient(): Promise<NatsClient> {
  try {
    return await import('@nats-io/transport-node');
  } catch (cause) {
    const message = "ackgate/nats needs NATS' client: npm install @nats-io/transport-node@3";
    throw new AckgateError('ERR_ACKGATE_PEER_MISSING', message, { cause });
  }
}

function connectionOptions(
  client: NatsClient,
  { addresses, user, password, token, credentialsFile, tls }: CheckedServers,
  name: string,
): NodeConnectionOptions {
  return {
    servers: [...addresses],
    name,
    timeout: connectMs,
    pingInterval: pingMs,
    maxPingOut: pingsOutMax,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    reconnectJitter: 100,
    // A server that is set up anew may refuse for a moment what it takes again later.
    ignoreAuthErrorAbort: true,
    // The primary listens for others where it speaks itself.
    noEcho: true,
    ...(user === null ? {} : { user }),
    ...(password === null ? {} : { pass: password }),
    ...(token === null ? {} : { token }),
    ...(credentialsFile === null ? {} : { authenticator: credentials(client, credentialsFile) }),
    ...(tls === null ? {} : { tls }),
  };
}

function credentials(client: NatsClient, path: string) {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    const message = `credentialsFile ${path} can't be read: ${describe(cause)}`;
    throw new AckgateError('ERR_ACKGATE_NATS_CREDENTIALS', message);
  }
  return client.credsAuthenticator(content);
}

function explain(client: NatsClient, error: unknown, servers: CheckedServers): AckgateError {
  if (error instanceof AckgateError) return error;
  const where = servers.addresses.join(', ');
  const { AuthorizationError, UserAuthenticationExpiredError } = client.errors ?? {};
  const isAuth =
    (AuthorizationError !== undefined && error instanceof AuthorizationError) ||
    (UserAuthenticationExpiredError !== undefined && error instanceof UserAuthenticationExpiredError) ||
    /authorization|authentication/i.test(describe(error));
  if (isAuth) {
    const message =
      `the NATS server at ${where} refuses the connection ${whoConnects(servers)}: ` +
      'check user, password, token or credentialsFile';
    return new AckgateError('ERR_ACKGATE_NATS_CREDENTIALS', message);
  }
  const why = withoutSecrets(error instanceof Error ? error.message : describe(error), servers);
  const message = `no NATS server can be reached at ${where} (${why}): is it running, and is the address right?`;
  return new AckgateError('ERR_ACKGATE_NATS_UNREACHABLE', message);
}

/** Only what was given under a name of its own may be named: in an address, a token may stand where a user is expected. */
function whoConnects({ user, token, credentialsFile, secrets }: CheckedServers): string {
  if (user !== null) return secrets.includes(user) ? 'as the user of the address' : `as user "${user}"`;
  if (token !== null) return 'with that token';
  return credentialsFile === null ? 'without a user' : `with ${credentialsFile}`;
}

function withoutSecrets(message: string, { secrets }: CheckedServers): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), message);
}
