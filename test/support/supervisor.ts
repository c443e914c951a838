import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type ServerOpts, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { type ClientOptions, FaultClient } from '#ackgate/fault-client/index.js';
import { type Stage, type StageOptions, startStage } from '#ackgate/index.js';
import {
  type Connection,
  type EndOutcome,
  type EndReason,
  type Service,
  type Supervisor,
  type SupervisorOptions,
  supervise,
} from '#ackgate/supervisor/index.js';
import { answer, type LogLine, type RealBackend, readAnswer, Tag, until } from './stage.js';

export const requestTag = 0x20;

/** A request that asks for `answer(seq)`. */
export function request(seq: number, bytes = 16): Uint8Array {
  const body = Buffer.alloc(bytes);
  body[0] = requestTag;
  body.writeUInt32LE(seq, 1);
  return body;
}

export const seqOf = (body: Uint8Array): number => Buffer.from(body).readUInt32LE(1);

/** Bodies as they go over the wire, in one piece. */
export function framed(...bodies: Uint8Array[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const header = Buffer.alloc(4);
      header.writeUInt32LE(body.length);
      return [header, body];
    }),
  );
}

export const requests = (first: number, count: number): Buffer =>
  framed(...Array.from({ length: count }, (_, i) => request(first + i)));

export const range = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

/** What a client was told: the reasons of its disconnect frames. */
export const reasons = ({ frames }: FaultClient): number[] =>
  frames.filter(([tag]) => tag === Tag.disconnect).map((body) => body[1]);

/** Numbers of a client's answers so far; every byte was checked. */
export const answers = ({ frames }: FaultClient): number[] =>
  frames.filter(([tag]) => tag === Tag.answer).map((body) => readAnswer(Buffer.from(body)));

/** What the recording service was told. */
export interface Told {
  what: 'connected' | 'disconnected';
  id: number;
  outcome?: EndOutcome;
  reason?: EndReason;
  /** As seen from inside the call. */
  tracked: boolean;
  pendingPushes: number;
}

/** A promise and what settles it. */
export interface Gate {
  promise: Promise<void>;
  open(): void;
  fail(why: unknown): void;
}

export function gate(): Gate {
  let open = () => {};
  let fail = (_: unknown) => {};
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { promise, open, fail };
}

export const openFds = (): number => readdirSync('/proc/self/fd').length;

export interface SiteOptions<D = unknown> extends Partial<Omit<SupervisorOptions<D>, 'stage'>> {
  backend?: RealBackend;
  stage?: StageOptions;
  server?: ServerOpts;
}

export interface Visitor {
  client: FaultClient;
  id: number;
  connection: Connection;
  /** The server's end. */
  socket: Socket;
}

/** A supervised server on a loopback port, over a real stage. Answers request n with `answer(n)` unless told otherwise. */
export class Site {
  readonly stage: Stage;
  readonly server: Server;
  readonly supervisor: Supervisor;
  readonly port: number;
  readonly log: LogLine[];
  readonly told: Told[];
  readonly clients: FaultClient[] = [];
  readonly #accepted = new Map<number, { id: number; socket: Socket }>();

  private constructor(parts: Pick<Site, 'stage' | 'server' | 'supervisor' | 'log' | 'told'>) {
    this.stage = parts.stage;
    this.server = parts.server;
    this.supervisor = parts.supervisor;
    this.log = parts.log;
    this.told = parts.told;
    this.port = (parts.server.address() as AddressInfo).port;
    let lastId = 0;
    // Behind the supervisor's own listener: the one tracked last is the one that has just come.
    this.server.on('connection', (socket) => {
      const id = this.supervisor.connections().at(-1)?.id ?? 0;
      if (id > lastId) this.#accepted.set(socket.remotePort!, { id, socket });
      lastId = Math.max(lastId, id);
    });
  }

  /** Ends with the test. */
  static async start(options: SiteOptions = {}): Promise<Site> {
    const { backend, stage: stageOptions, server: serverOptions, services = [], ...rest } = options;
    const log: LogLine[] = [];
    const line = (level: string) => (fields: object, message: string) =>
      void log.push({ level, fields: fields as Record<string, unknown>, message });
    const stage = await startStage({
      connections: 512,
      heartbeatIntervalMs: 0,
      ...(backend && { backend }),
      ...stageOptions,
    });
    const server = createServer({ noDelay: true, ...serverOptions });
    const told: Told[] = [];
    const note = (what: Told['what'], { id }: Connection, end: Partial<Told> = {}) => {
      const { pendingPushes } = supervisor.status();
      told.push({ what, id, ...end, tracked: supervisor.isTracked(id), pendingPushes });
    };
    const recorder: Service = {
      name: 'recorder',
      connected: (connection) => note('connected', connection),
      disconnected: (connection, { outcome, reason }) =>
        note('disconnected', connection, { outcome, reason }),
    };
    const supervisor: Supervisor = supervise(server, {
      stage,
      onFrame: (connection, body) => reply(stage, connection, seqOf(body)),
      services: [recorder, ...services],
      logger: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      drainMs: 2000,
      signals: false,
      ...rest,
    });
    server.listen(0, '127.0.0.1', 512);
    await once(server, 'listening');
    const site = new Site({ stage, server, supervisor, log, told });
    onTestFinished(() => site.end());
    return site;
  }

  /** A client whose connection is tracked. */
  async visit(options: Partial<ClientOptions> = {}): Promise<Visitor> {
    const client = await this.connect(options);
    await until('it is tracked', () => this.#accepted.has(client.localPort));
    const { id, socket } = this.#accepted.get(client.localPort)!;
    return { client, id, socket, connection: this.supervisor.connection(id)! };
  }

  /** A client whose connection may be refused. */
  async connect(options: Partial<ClientOptions> = {}): Promise<FaultClient> {
    const client = await FaultClient.connect({ port: this.port, ...options });
    this.clients.push(client);
    return client;
  }

  endsOf(id: number): Told[] {
    return this.told.filter((one) => one.what === 'disconnected' && one.id === id);
  }

  /** Waits for the one end of a connection, and checks what holds for every end. */
  async untilEnded(id: number): Promise<Told> {
    await until(`connection ${id} has ended`, () => this.endsOf(id).length > 0);
    const ends = this.endsOf(id);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatchObject({ tracked: false });
    expect(this.supervisor.isTracked(id)).toBe(false);
    return ends[0];
  }

  /** Waits until the stage has let go of all but so many connections. */
  async untilAttached(count: number): Promise<void> {
    await until(`${count} are attached`, () => this.supervisor.status().attached === count);
  }

  /** One request and its answer: the connection is live, and says what it should. */
  async ask(client: FaultClient, seq: number): Promise<void> {
    const had = answers(client).length;
    expect(await client.sendFrame(request(seq))).toBe(true);
    await until(`answer ${seq} has come`, () => answers(client).length > had || client.ending !== undefined);
    expect(answers(client).slice(had)).toEqual([seq]);
  }

  logged(message: string): LogLine[] {
    return this.log.filter((line) => line.message === message);
  }

  async end(): Promise<void> {
    const done = this.supervisor.shutdown({ drainMs: 0 }).catch(() => {});
    // One that the test has begun may have all the time in the world.
    this.supervisor.hurry();
    await done;
    await this.stage.close({ drainMs: 0 });
    await Promise.all(this.clients.map((client) => client.close()));
    if (this.server.listening) this.server.close();
  }
}

/** Publishes the answer; waits for room in the ring when it is full. `gatedBy`: its place in the journal. */
export function reply(
  stage: Stage,
  { id }: { id: number },
  seq: number,
  { gatedBy = 0, bytes = 64 } = {},
): void | Promise<void> {
  const record = { connectionId: id, wireSeq: gatedBy, payload: answer(seq, bytes) };
  const result = stage.producer.tryPublish(record);
  if (result === 'ok') return;
  if (result === 'full') return turn().then(() => reply(stage, { id }, seq, { gatedBy, bytes }));
  throw new Error(`tryPublish said ${result}`);
}
