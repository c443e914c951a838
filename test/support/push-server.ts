import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { type Stage, type StageOptions, startStage } from '#ackgate/index.js';
import {
  type Connection,
  PushDisconnected,
  PushExpired,
  PushTag,
  PushTimeout,
  type Supervisor,
  type SupervisorOptions,
  supervise,
} from '#ackgate/supervisor/index.js';

export const pushErrors = { PushTimeout, PushDisconnected, PushExpired };
export type Outcome = keyof typeof pushErrors | `reply ${string}` | `ERR_${string}`;

export const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** How waiting for a reply ended, in words. */
export function outcome(waiting: Promise<Uint8Array>): Promise<Outcome> {
  return waiting.then(
    (reply): Outcome => `reply ${textOf(reply)}`,
    (error): Outcome => {
      for (const [name, errorClass] of Object.entries(pushErrors)) {
        if (error instanceof errorClass) return name as Outcome;
      }
      if (typeof error?.code === 'string') return error.code;
      throw error;
    },
  );
}

/** The body with which a client answers a push. */
export function replyBody(correlationId: number, payload: Uint8Array): Uint8Array {
  const body = Buffer.alloc(9 + payload.length);
  body[0] = PushTag.reply;
  body.writeBigUInt64LE(BigInt(correlationId), 1);
  body.set(payload, 9);
  return body;
}

/** What a client finds in a body that carries a push. */
export function readPush(body: Uint8Array): { correlationId: number; payload: string } {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (bytes[0] !== PushTag.push) throw new Error(`not a push: tag ${bytes[0]}`);
  return { correlationId: Number(bytes.readBigUInt64LE(1)), payload: textOf(bytes.subarray(9)) };
}

/** Both ends of one connection. */
export interface Live {
  readonly client: FaultClient;
  readonly id: number;
  /** The server's end. */
  readonly socket: Socket;
}

/** A supervised server on a real stage, and clients for it over loopback. */
export class PushServer {
  readonly stage: Stage;
  readonly supervisor: Supervisor;
  /** Removals, as a service is told of them. */
  readonly ends: { id: number; reason: string }[] = [];
  readonly #server = createServer();
  /** By the client's port: the connection, or who waits for it. */
  readonly #arrived = new Map<number, Omit<Live, 'client'>>();
  readonly #expected = new Map<number, (arrived: Omit<Live, 'client'>) => void>();
  readonly #leave = new AbortController();

  private constructor(stage: Stage, options: Partial<SupervisorOptions>) {
    this.stage = stage;
    let latest: Connection;
    const watch = {
      name: 'watch',
      connected: (connection: Connection) => {
        latest = connection;
      },
      disconnected: ({ id }: Connection, { reason }: { reason: string }) =>
        void this.ends.push({ id, reason }),
    };
    this.supervisor = supervise(this.#server, {
      stage,
      signals: false,
      onFrame: () => {},
      ...options,
      services: [watch, ...(options.services ?? [])],
    });
    // Behind the supervisor's own listener, which has made a connection of it by now.
    this.#server.on('connection', (socket) => {
      const { remotePort } = socket;
      if (remotePort === undefined) return;
      const arrived = { id: latest.id, socket };
      const expected = this.#expected.get(remotePort);
      this.#expected.delete(remotePort);
      if (expected === undefined) this.#arrived.set(remotePort, arrived);
      else expected(arrived);
    });
  }

  /** The caller closes it. */
  static async open(
    options: Partial<SupervisorOptions> = {},
    stageOptions: StageOptions = {},
  ): Promise<PushServer> {
    const stage = await startStage({ connections: 64, heartbeatIntervalMs: 0, ...stageOptions });
    const opened = new PushServer(stage, options);
    opened.#server.listen(0, '127.0.0.1');
    await once(opened.#server, 'listening');
    return opened;
  }

  /** Closed with the test. */
  static async start(
    options: Partial<SupervisorOptions> = {},
    stageOptions: StageOptions = {},
  ): Promise<PushServer> {
    const opened = await PushServer.open(options, stageOptions);
    onTestFinished(() => opened.close());
    return opened;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async connect(options: { receive?: 'frames' | 'never' } = {}): Promise<Live> {
    const client = await FaultClient.connect({ port: this.port, signal: this.#leave.signal, ...options });
    return { client, ...(await this.arrived(client.localPort)) };
  }

  /** The server's end of the connection from this port, which can be asked for once. */
  arrived(port: number): Promise<Omit<Live, 'client'>> {
    const found = this.#arrived.get(port);
    this.#arrived.delete(port);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      this.#expected.set(port, resolve);
    });
  }

  async close(): Promise<void> {
    this.#leave.abort();
    await this.supervisor.shutdown({ drainMs: 0 });
  }
}
