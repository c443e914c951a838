/** The server around the engine: a stage, a journal, a supervisor for the connections, and an end in order. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { type Stage, type StageOptions, type StageStatus, startStage } from 'ackgate';
import { type Service, type Supervisor, type SupervisorStatus, supervise } from 'ackgate/supervisor';
import { decodeCommand } from './command-log.js';
import { Engine } from './engine.js';
import { type ClientFigures, type Operations, startOperations } from './operations.js';
import { ResponseTag, requestBytesMax, responseBytes } from './protocol.js';
import { Requests, type Session } from './requests.js';
import { openStorage, type PausableJournal, type Storage, type StorageConfig } from './storage.js';

export interface ServerConfig {
  /** Where the journal's files are, if it has any. */
  directory: string;
  /** What keeps the orders (default: files of this machine's). */
  storage?: StorageConfig;
  /** 0: any free one. */
  port: number;
  policy: string;
  backend: 'auto' | 'uring' | 'posix';
  /** Most connections at once. */
  connections: number;
  /** Closed orders that can still be asked for, of all clients together (default 16,384). */
  closedOrdersMax?: number;
  /** How long the end waits for requests and answers under way, in milliseconds (default 3000). */
  drainMs?: number;
  /** Where health, metrics and the live page are; 0: any free port (default: nowhere). */
  adminPort?: number | undefined;
  /** Who knows it may change things there (default: nobody may). */
  adminToken?: string | undefined;
}

export interface ServerStatus extends StageStatus {
  openOrders: number;
  lastSequence: number;
  clientIdMax: number;
  /** None before there is one. */
  supervisor: SupervisorStatus | null;
}

type Logger = NonNullable<StageOptions['logger']>;

const ringCapacity = 16_384;
/** More than `connections`: those who are one too many are told so. */
const spareConnections = 64;
const drainMsDefault = 3000;

export class MatchingServer {
  readonly #stage: Stage;
  readonly #journal: PausableJournal;
  readonly #engine: Engine;
  readonly #requests: Requests;
  readonly #onFailure: (error: Error) => void;
  readonly #server: Server = createServer({ noDelay: true });
  #supervisor: Supervisor<Session> | null = null;
  #operations: Operations | null = null;
  #clientFigures: ClientFigures | null = null;
  #failed = false;
  #closed: Promise<void> | null = null;

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
    const { directory, closedOrdersMax } = config;
    const storage = await openStorage(config.storage ?? { engine: 'file' });
    storage.checkPolicy(config.policy);
    const journal = await storage.openJournal(directory);
    let stage: Stage | null = null;
    let server: MatchingServer | null = null;
    try {
      const engine = new Engine(closedOrdersMax === undefined ? {} : { closedOrdersMax });
      for await (const { sequence, payload } of journal.replay(1)) {
        const { clientId, command } = decodeCommand(payload);
        engine.apply(sequence, clientId, command);
      }
      stage = await startStage({
        ring: { capacity: ringCapacity, maxPayload: responseBytes },
        policy: config.policy,
        epoch: journal.epoch,
        backend: config.backend,
        connections: config.connections + spareConnections,
        ...(logger && { logger }),
        diagnosis: { kinds: ResponseTag },
      });
      await journal.drive(stage);
      server = new MatchingServer(stage, journal, engine, onFailure);
      await server.#open(config, storage, logger);
      return server;
    } catch (error) {
      if (server !== null) {
        await server.close();
      } else {
        await stage?.close({ drainMs: 0 });
        await journal.close();
      }
      throw error;
    }
  }

  private constructor(
    stage: Stage,
    journal: PausableJournal,
    engine: Engine,
    onFailure: (error: Error) => void,
  ) {
    this.#stage = stage;
    this.#journal = journal;
    this.#engine = engine;
    this.#onFailure = onFailure;
    this.#requests = new Requests({ stage, journal, engine, onFailure: (error) => this.#fail(error) });
    stage.on('fatal', (error) => this.#fail(error));
    journal.failed.then((error) => this.#fail(error));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where the live page is, if anywhere. */
  get adminUrl(): string | null {
    return this.#operations?.admin.url ?? null;
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
    const supervisor = this.#supervisor?.status() ?? null;
    return { ...this.#stage.status(), openOrders: book.openOrders, lastSequence, clientIdMax, supervisor };
  }

  /** Takes no more requests, sends what is durable or becomes so in time, and ends. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Makes `close` wait no longer for what is not durable yet. */
  hurry(): void {
    this.#supervisor?.hurry();
  }

  async #open(config: ServerConfig, storage: Storage, logger?: Logger): Promise<void> {
    const { port, connections, drainMs, policy, adminPort, adminToken: token = '' } = config;
    const supervisor = () => this.#supervisor ?? undefined;
    if (adminPort !== undefined) {
      this.#operations = await startOperations({
        stage: this.#stage,
        journal: this.#journal,
        supervisor,
        policy,
        storage,
        port: adminPort,
        token,
        logger,
        figures: () => ({ openOrders: this.#engine.book.openOrders, ...this.#clientFigures }),
      });
    }
    this.#supervisor = supervise<Session>(this.#server, {
      stage: this.#stage,
      onConnection: Requests.newSession,
      onFrame: (client, body) => this.#requests.handle(client, body),
      services: [this.#requests, durable(this.#journal)],
      limits: { connections, frameBytes: requestBytesMax },
      drainMs: drainMs ?? drainMsDefault,
      signals: false,
      ...(this.#operations && { health: this.#operations.admin }),
      ...(logger && { logger }),
    });
    this.#server.listen({ port, host: '127.0.0.1', backlog: 4096 });
    await once(this.#server, 'listening');
  }

  async #close(): Promise<void> {
    try {
      if (this.#supervisor !== null) {
        await this.#supervisor.shutdown(this.#failed ? { drainMs: 0 } : {});
      } else {
        await this.#stage.close({ drainMs: 0 });
        await this.#operations?.admin.close();
      }
    } finally {
      this.#requests.stop();
      await this.#operations?.close();
      await this.#journal.close();
    }
  }

  #fail(error: Error): void {
    if (this.#failed || this.#closed !== null) return;
    this.#failed = true;
    this.#requests.stop();
    this.#onFailure(error);
  }
}

/** A shutdown leaves nothing in the journal's buffer, not even what a pause held back. */
function durable(journal: PausableJournal): Service<Session> {
  const flush = () => {
    journal.resume();
    return journal.flush();
  };
  return { name: 'journal', flush };
}
