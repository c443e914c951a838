import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type AdminServer, type AdminServerOptions, startAdminServer } from '#ackgate/admin/index.js';
import { InMemoryStore } from '#ackgate/directives/index.js';
import type { StageOptions } from '#ackgate/index.js';
import { type LogLine, Rig } from './stage.js';

export const token = 'a-token-of-some-length.0123456789';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server says; null when it is not JSON
  body: any;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string | string[]>;
  /** Bytes of the body; its type is JSON unless `headers` say otherwise. */
  body?: string | Uint8Array;
  /** Sends the body in chunks, without saying its length before. */
  chunked?: boolean;
  /** Sends the token (default true for paths under /admin). */
  authorized?: boolean;
}

/** One request over a connection of its own, with whatever headers. */
export function ask(port: number, path: string, options: Ask = {}, host = '127.0.0.1'): Promise<Reply> {
  const { method = options.body === undefined ? 'GET' : 'POST', body } = options;
  const { authorized = path.startsWith('/admin') } = options;
  const headers = {
    ...(authorized && { Authorization: `Bearer ${token}` }),
    ...(body !== undefined && {
      'Content-Type': 'application/json',
      ...(options.chunked === true
        ? { 'Transfer-Encoding': 'chunked' }
        : { 'Content-Length': Buffer.byteLength(body) }),
    }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode!, headers: response.headers, text, body: parse(text) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function parse(text: string) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A connection that says exactly what it is told. Ends with the test. */
export class RawClient {
  readonly socket: Socket;
  received = '';
  closed = false;
  readonly #end: Promise<void>;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    // Not `once`: that fails when the server resets the connection, which is one way to end it.
    this.#end = new Promise((resolve) => {
      socket.on('close', () => {
        this.closed = true;
        resolve();
      });
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    const client = new RawClient(socket);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return client;
  }

  /** Sends `text` and returns all that comes until the server closes. */
  static async untilClosed(port: number, text: string): Promise<string> {
    const client = await RawClient.connect(port);
    client.socket.write(text, 'latin1');
    return client.untilClosed();
  }

  async untilClosed(): Promise<string> {
    await this.#end;
    return this.received;
  }
}

/** A real stage behind a real admin server, with all that was logged. Ends with the test. */
export class AdminRig {
  readonly rig: Rig;
  readonly server: AdminServer;
  readonly store: InMemoryStore;
  readonly log: LogLine[];

  private constructor(rig: Rig, server: AdminServer, store: InMemoryStore, log: LogLine[]) {
    this.rig = rig;
    this.server = server;
    this.store = store;
    this.log = log;
  }

  static async start(
    options: Partial<AdminServerOptions> = {},
    stageOptions: StageOptions = {},
  ): Promise<AdminRig> {
    const rig = await Rig.start({ diagnosis: { kinds: { order: 1, cancel: 2 } }, ...stageOptions });
    const store = new InMemoryStore({ kinds: rig.stage.diagnosis.kinds });
    rig.stage.diagnosis.follow(store);
    const log: LogLine[] = [];
    const line = (level: string) => (fields: object, message: string) =>
      void log.push({ level, fields: fields as Record<string, unknown>, message });
    const server = await startAdminServer({
      stage: rig.stage,
      directives: store,
      token,
      instance: 'engine-1',
      logger: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      ...options,
    });
    onTestFinished(() => server.close());
    return new AdminRig(rig, server, store, log);
  }

  get port(): number {
    return this.server.port;
  }

  ask(path: string, options?: Ask): Promise<Reply> {
    return ask(this.port, path, options);
  }

  /** Publishes a set as an operator would. */
  publish(directives: unknown, path = '/admin/directives', headers: Ask['headers'] = {}): Promise<Reply> {
    return this.ask(path, { body: JSON.stringify({ directives }), headers: headers! });
  }

  /** Lines about who did what, in order. */
  get audits(): LogLine[] {
    return this.log.filter(({ fields }) => fields.audit === true);
  }
}
