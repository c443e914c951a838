/**
 * The server around the engine. For every command: journal it, apply it, publish the answers under its sequence.
 * The stage holds them until the journal (and whatever the policy asks for) has that sequence.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { monotonicNow, type Stage, type StageOptions, type StageStatus, startStage } from 'ackgate';
import type { AdminServer } from 'ackgate/admin';
import { FileJournal } from 'ackgate/journal';
import { commandBytesMax, decodeCommand, encodeCommand } from './command-log.js';
import { Engine } from './engine.js';
import { FrameReader } from './frames.js';
import { type ClientFigures, startOperations } from './operations.js';
import { Outbox } from './outbox.js';
import {
  type Command,
  decodeRequest,
  encodeResponse,
  RejectReason,
  RequestTag,
  type Response,
  ResponseTag,
  requestBytesMax,
  response,
  responseBytes,
} from './protocol.js';

export interface ServerConfig {
  /** Where the journal is. */
  directory: string;
  /** 0: any free one. */
  port: number;
  policy: string;
  backend: 'auto' | 'uring' | 'posix';
  /** Most connections at once. */
  connections: number;
  /** Where health, metrics and the live page are; 0: any free port (default: nowhere). */
  adminPort?: number | undefined;
  /** Who knows it may change things there (default: nobody may). */
  adminToken?: string | undefined;
}

export interface ServerStatus extends StageStatus {
  openOrders: number;
  lastSequence: number;
  clientIdMax: number;
}

interface Session {
  readonly connectionId: number;
  readonly socket: Socket;
  readonly frames: FrameReader;
  /** 0 before the logon. */
  clientId: number;
  /** Responses published to this connection. */
  responses: number;
  /** When the latest of its requests was read. */
  readNs: number;
  /** A frame that was read and found no room in the journal. */
  held: Buffer | null;
  /** The client sends no more requests. */
  ended: boolean;
  /** The server takes no more requests. */
  over: boolean;
}

type Logger = NonNullable<StageOptions['logger']>;

const ringCapacity = 16_384;
/** How long to wait before trying a full ring or a full journal again, in milliseconds. */
const retryMs = 1;
const drainMs = 3000;
const gated = { last: true, bypass: false };

export class MatchingServer {
  readonly #stage: Stage;
  readonly #journal: FileJournal;
  readonly #outbox: Outbox;
  readonly #engine: Engine;
  readonly #server: Server;
  readonly #onFailure: (error: Error) => void;
  /** By connection id. */
  readonly #connections = new Map<number, Session>();
  /** By client id: where a fill goes. A client without a session misses it, and can ask later. */
  readonly #sessions = new Map<number, Session>();
  /** Sessions with requests that could not be taken yet. */
  readonly #stalled = new Set<Session>();
  readonly #body = Buffer.alloc(responseBytes);
  readonly #command = Buffer.alloc(commandBytesMax);
  /** When the request that is being dealt with was read. */
  #readNs = 0;
  #retryTimer: NodeJS.Timeout | null = null;
  #admin: AdminServer | null = null;
  #clientFigures: ClientFigures | null = null;
  #failed = false;
  #closing = false;

  /**
   * Recovers the book from the journal and listens.
   *
   * @param onFailure told once when the journal or the stage has failed: nothing more will be acknowledged
   */
  static async start(
    config: ServerConfig,
    onFailure: (error: Error) => void,
    logger?: Logger,
  ): Promise<MatchingServer> {
    const stage = await startStage({
      ring: { capacity: ringCapacity, maxPayload: responseBytes },
      policy: config.policy,
      backend: config.backend,
      connections: config.connections,
      ...(logger && { logger }),
      diagnosis: { kinds: ResponseTag },
    });
    let journal: FileJournal | null = null;
    let server: MatchingServer | null = null;
    try {
      journal = await FileJournal.open({ directory: config.directory, cursor: stage.share() });
      const engine = new Engine();
      for (const { sequence, payload } of journal.replay(1)) {
        const { clientId, command } = decodeCommand(payload);
        engine.apply(sequence, clientId, command);
      }
      server = new MatchingServer(stage, journal, engine, onFailure);
      await server.#listen(config.port);
      await server.#operate(config, logger);
      return server;
    } catch (error) {
      if (server !== null) {
        await server.close();
      } else {
        await stage.close({ drainMs: 0 });
        await journal?.close();
      }
      throw error;
    }
  }

  private constructor(stage: Stage, journal: FileJournal, engine: Engine, onFailure: (error: Error) => void) {
    this.#stage = stage;
    this.#journal = journal;
    this.#engine = engine;
    this.#onFailure = onFailure;
    this.#outbox = new Outbox(stage);
    // A client may end its requests and still wait for its answers.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    stage.on('dropped', ({ connectionId }) => this.#forget(connectionId));
    stage.on('closed', ({ connectionId }) => this.#forget(connectionId));
    stage.on('fatal', (error) => this.#fail(error));
    journal.failed.then((error) => this.#fail(error));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where the live page is, if anywhere. */
  get adminUrl(): string | null {
    return this.#admin?.url ?? null;
  }

  /** For the live page. */
  showClients(figures: ClientFigures): void {
    this.#clientFigures = figures;
  }

  /** From now on nothing becomes durable, as if the disk were stalled. */
  async pauseJournal(): Promise<void> {
    await this.#journal.pause();
  }

  resumeJournal(): void {
    this.#journal.resume();
  }

  status(): ServerStatus {
    const { book, lastSequence, clientIdMax } = this.#engine;
    return { ...this.#stage.status(), openOrders: book.openOrders, lastSequence, clientIdMax };
  }

  /** Takes no more requests, sends what is durable or becomes so in time, and ends. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    this.#journal.resume();
    const deadline = performance.now() + drainMs;
    while (this.#outbox.blocked && !this.#failed && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      this.#outbox.flush();
    }
    const leftMs = this.#failed ? 0 : Math.max(0, Math.ceil(deadline - performance.now()));
    await this.#stage.close({ drainMs: leftMs });
    await this.#admin?.close();
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    for (const { socket } of this.#connections.values()) socket.destroy();
    await this.#journal.close();
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen({ port, host: '127.0.0.1', backlog: 4096 });
    await once(this.#server, 'listening');
  }

  async #operate({ adminPort: port, adminToken: token = '' }: ServerConfig, logger?: Logger): Promise<void> {
    if (port === undefined) return;
    this.#admin = await startOperations({
      stage: this.#stage,
      journal: this.#journal,
      port,
      token,
      logger,
      figures: () => ({ openOrders: this.#engine.book.openOrders, ...this.#clientFigures }),
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {});
    let connectionId: number;
    try {
      connectionId = this.#stage.attach(socket);
    } catch {
      // Too many connections, or gone already: this client is turned away, the others don't notice.
      socket.destroy();
      return;
    }
    const session: Session = {
      connectionId,
      socket,
      frames: new FrameReader(requestBytesMax),
      clientId: 0,
      responses: 0,
      readNs: 0,
      held: null,
      ended: false,
      over: false,
    };
    this.#connections.set(connectionId, session);
    socket.on('data', (chunk) => this.#receive(session, chunk));
    socket.on('end', () => {
      session.ended = true;
      this.#takeRequests(session);
    });
    socket.on('close', () => this.#forget(connectionId));
  }

  #forget(connectionId: number): void {
    const session = this.#connections.get(connectionId);
    if (session === undefined) return;
    session.over = true;
    this.#connections.delete(connectionId);
    this.#stalled.delete(session);
    if (this.#sessions.get(session.clientId) === session) this.#sessions.delete(session.clientId);
  }

  #receive(session: Session, chunk: Buffer): void {
    if (session.over || this.#closing) return;
    session.readNs = monotonicNow();
    session.frames.push(chunk);
    this.#takeRequests(session);
  }

  /** Takes whole requests until there are none left, or no room for what comes of them. */
  #takeRequests(session: Session): void {
    this.#readNs = session.readNs;
    while (!session.over && !this.#closing) {
      if (this.#outbox.blocked) {
        this.#stall(session);
        return;
      }
      const body = session.held ?? session.frames.next();
      if (body === null) break;
      session.held = null;
      if (!this.#take(session, body)) {
        session.held = Buffer.from(body);
        this.#stall(session);
        return;
      }
    }
    if (session.over || this.#closing) return;
    if (session.frames.malformed) this.#refuse(session);
    else if (session.ended) this.#finish(session);
  }

  /** Back-pressure: reads no more from this client, and comes back to it when there is room again. */
  #stall(session: Session): void {
    session.socket.pause();
    this.#stalled.add(session);
    this.#retryTimer ??= setTimeout(() => this.#retry(), retryMs);
  }

  #retry(): void {
    this.#retryTimer = null;
    this.#outbox.flush();
    for (const session of [...this.#stalled]) {
      if (this.#outbox.blocked) break;
      this.#stalled.delete(session);
      session.socket.resume();
      this.#takeRequests(session);
    }
    if (this.#stalled.size > 0) this.#retryTimer ??= setTimeout(() => this.#retry(), retryMs);
  }

  /** Deals with one request. False when it has to be taken again later, because the journal has no room. */
  #take(session: Session, body: Buffer): boolean {
    const request = decodeRequest(body);
    const loggedOn = session.clientId > 0;
    if (request === null || (request.tag === RequestTag.logon) === loggedOn) {
      this.#refuse(session);
      return true;
    }
    switch (request.tag) {
      case RequestTag.logon:
        this.#logon(session, request.clientId);
        return true;
      case RequestTag.query:
        this.#publish(
          session,
          this.#engine.query(session.clientId, request.requestId, request.target),
          gated,
        );
        return true;
      case RequestTag.logoff: {
        const { requestId } = request;
        const { lastSequence: sequence } = this.#engine;
        this.#publish(session, response(ResponseTag.loggedOff, { requestId, sequence }), gated);
        this.#finish(session);
        return true;
      }
      default:
        return this.#execute(session, request, body);
    }
  }

  #execute(session: Session, command: Command, body: Buffer): boolean {
    const { clientId } = session;
    const refusal = this.#engine.refusal(clientId, command);
    if (refusal !== null) {
      // What is out of range is so whatever the book says. That a request was seen before is state, which may
      // not be durable yet.
      const bypass = refusal === RejectReason.outOfRange;
      const { requestId } = command;
      const { lastSequence: sequence } = this.#engine;
      const answer = response(ResponseTag.rejected, { requestId, code: refusal, sequence });
      this.#publish(session, answer, { last: true, bypass });
      return true;
    }
    const sequence = this.#append(encodeCommand(clientId, body, this.#command));
    if (sequence === 0) return false;
    const answers = this.#engine.apply(sequence, clientId, command);
    const last = answers.findLastIndex((answer) => answer.clientId === clientId);
    for (const [i, answer] of answers.entries()) {
      const to = this.#sessions.get(answer.clientId);
      if (to !== undefined) this.#publish(to, answer.response, { last: i === last, bypass: false });
    }
    return true;
  }

  /** The command's sequence, or 0 when there is no room. */
  #append(record: Buffer): number {
    try {
      return this.#journal.append(record);
    } catch (error) {
      this.#fail(error as Error);
      return 0;
    }
  }

  #logon(session: Session, clientId: number): void {
    const older = this.#sessions.get(clientId);
    // The client came back before its old connection was seen to be dead.
    if (older !== undefined) {
      this.#stage.disconnect(older.connectionId, { when: 'now' });
      this.#forget(older.connectionId);
    }
    session.clientId = clientId;
    // So that directives find the client by its name.
    this.#stage.diagnosis.setTenant(session.connectionId, `client-${clientId}`);
    this.#sessions.set(clientId, session);
    const orderId = this.#engine.lastRequestId(clientId);
    this.#publish(
      session,
      response(ResponseTag.loggedOn, { orderId, sequence: this.#engine.lastSequence }),
      gated,
    );
  }

  /** Publishes under the sequence of the last command applied: the answer may show anything up to it. */
  #publish(session: Session, answer: Response, { last, bypass }: { last: boolean; bypass: boolean }): void {
    session.responses++;
    encodeResponse(answer, session.responses, this.#body);
    const { tag: kind, requestId } = answer;
    const { lastSequence: wireSeq } = this.#engine;
    const receivedNs = this.#readNs;
    this.#outbox.publish(session.connectionId, this.#body, {
      wireSeq,
      last,
      bypass,
      kind,
      requestId,
      receivedNs,
    });
  }

  /** Ends a connection that talks nonsense, and only this one. */
  #refuse(session: Session): void {
    const { lastSequence: sequence } = this.#engine;
    const answer = response(ResponseTag.rejected, { code: RejectReason.malformed, sequence });
    this.#publish(session, answer, { last: true, bypass: true });
    this.#finish(session);
  }

  #finish(session: Session): void {
    session.over = true;
    this.#outbox.disconnect(session.connectionId);
    if (this.#outbox.blocked) this.#retryTimer ??= setTimeout(() => this.#retry(), retryMs);
  }

  #fail(error: Error): void {
    if (this.#failed || this.#closing) return;
    this.#failed = true;
    this.#onFailure(error);
  }
}
