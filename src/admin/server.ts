import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { AckgateError } from '../errors.js';
import { refusal, send } from './answer.js';
import { Audit } from './audit.js';
import { BodyReader } from './body.js';
import type { AdminContext } from './context.js';
import { isLoopbackAddress } from './hosts.js';
import { type AdminServerOptions, type CheckedAdmin, checkAdminOptions } from './options.js';
import { createRouter, type Router } from './router.js';
import { OpenSockets } from './sockets.js';

/** A listening admin server. */
export interface AdminServer {
  /** Port that it listens on: the one that was asked for, or the free one that it was given. */
  readonly port: number;
  /** Where it is reached from this machine. */
  readonly url: string;
  /**
   * From now on `/ready` says no, with the reason `shutting_down`, whatever the stage says; everything else is served as
   * before. For the start of a shutdown, which it is not undone after.
   */
  withdraw(): void;
  /** Ends every connection and stops listening. Leaves the stage alone. */
  close(): Promise<void>;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Serves health, metrics, status, the live page and, with a token, the admin calls of a stage. Runs on the thread that
 * started the stage, over Node's HTTP server; nothing that a client sends or leaves out stops the stage.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_UNKNOWN_OPTION for options
 * @throws ERR_ACKGATE_ADMIN_LISTEN when it can't listen there
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const checked = checkAdminOptions(options);
  const { logger, instance, limits } = checked;
  const closing = new AbortController();
  const withdrawn = new AbortController();
  const audit = new Audit(logger, instance);
  const context: AdminContext = {
    options: checked,
    audit,
    bodies: new BodyReader(limits),
    closing: closing.signal,
    withdrawn: withdrawn.signal,
  };
  const sockets = new OpenSockets(limits.connections);
  const server = createServer(checked);
  const answer = answerWith(createRouter(context), sockets, checked);
  server.on('connection', (socket: Socket) => {
    if (checked.unref) socket.unref();
    sockets.add(socket);
  });
  server.on('request', answer);
  // Whether a body is wanted is said when it is read, after all that can be wrong without it.
  server.on('checkContinue', answer);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket, sockets));
  await listen(server, checked);

  const { port, address } = server.address() as AddressInfo;
  warnOfCleartext(checked, address);
  const close = async () => {
    closing.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    sockets.destroyAll();
    server.closeAllConnections();
    await closed;
    audit.close();
  };
  let closed: Promise<void> | null = null;
  const closeOnce = () => {
    closed ??= close();
    return closed;
  };
  return {
    port,
    url: urlOf(checked, address, port),
    withdraw: () => withdrawn.abort(),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

function createServer({ tls, limits }: CheckedAdmin): Server {
  const http = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.max(1, Math.min(1000, limits.headersMs, limits.requestMs)),
    // Two readings of one request are how requests are smuggled; whatever Node's own switches say.
    insecureHTTPParser: false,
    requireHostHeader: true,
  };
  try {
    const server =
      tls === null
        ? createHttpServer(http)
        : createHttpsServer({
            ...http,
            key: tls.key as string | Buffer,
            cert: tls.cert as string | Buffer,
            minVersion: 'TLSv1.2',
            handshakeTimeout: limits.headersMs,
          });
    server.maxRequestsPerSocket = limits.requestsPerConnection;
    server.timeout = limits.idleMs;
    return server;
  } catch (error) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `tls: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function answerWith(route: Router, sockets: OpenSockets, { logger, limits }: CheckedAdmin) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { socket } = request;
    if (socket.destroyed) return;
    // A segment has room for thousands of requests, and all their answers would be made before one is sent.
    if (sockets.underWay(socket) >= limits.requestsUnderWay) {
      socket.destroy();
      return;
    }
    const end = sockets.begin(socket);
    response.once('close', end);
    // A client that goes away is no news.
    request.on('error', () => {});
    response.on('error', () => {});
    try {
      const answer = await route(request, response);
      if (answer !== null) send(request, response, answer);
    } catch (error) {
      logger.error({ err: error }, 'an admin request failed');
      send(request, response, refusal(500, 'internal', 'this failed on our side; the log says more'));
    }
  };
}

/** What can't be read as HTTP, or takes too long to come, is answered in short, and its connection closed. */
function refuse(error: NodeJS.ErrnoException, socket: Socket, sockets: OpenSockets): void {
  // In the middle of another answer, a second one would be taken for a part of it.
  if (!socket.writable || sockets.underWay(socket) > 0) {
    socket.destroy();
    return;
  }
  const line = statusLines[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

const statusLines: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function listen(server: Server, { host, port, unref }: CheckedAdmin): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const hint = hints[error.code ?? ''] ?? error.message;
      reject(
        new AckgateError(
          'ERR_ACKGATE_ADMIN_LISTEN',
          `the admin server can't listen on ${host} port ${port}: ${hint}`,
          { cause: error },
        ),
      );
    };
    server.once('error', failed);
    server.listen({ host, port, backlog: 512 }, () => {
      server.off('error', failed);
      // Accepting fails now and then, when descriptors run out; the next probe may find some.
      server.on('error', () => {});
      if (unref) server.unref();
      resolve();
    });
  });
}

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there; choose another port, or 0 for any free one',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this process may not; ports below 1024 are privileged',
  ENOTFOUND: 'there is no host of that name',
};

function warnOfCleartext({ token, tls, allowCleartext, logger }: CheckedAdmin, address: string): void {
  if (token === null || tls !== null || isLoopbackAddress(address)) return;
  const what = allowCleartext
    ? 'admin calls from other hosts are taken over cleartext: their token can be read on the way'
    : 'admin calls from other hosts are refused, for they would come over cleartext: configure tls';
  logger.warn({ address }, what);
}

function urlOf({ tls }: CheckedAdmin, address: string, port: number): string {
  const reached = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  const scheme = tls === null ? 'http' : 'https';
  return `${scheme}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}
