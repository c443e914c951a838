/** Runs a server and processes full of clients, watches them, and says how it went. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import hdr, { type Histogram } from 'hdr-histogram-js';
import { Child } from './child.js';
import type { ClientCommand, ClientMessage } from './client-process.js';
import { addTally, emptyTally } from './fill-tally.js';
import { type LoadConfig, type LoadProgress, type LoadResult, newRttHistogram } from './load.js';
import type { ClientFigures } from './operations.js';
import { type DemoResult, type Report, summarize } from './report.js';
import type { ServerConfig, ServerStatus } from './server.js';
import type { ServerCommand, ServerMessage } from './server-process.js';
import type { StorageConfig } from './storage.js';

export interface DemoOptions {
  seconds: number;
  clients: number;
  /** Orders per second, all clients together. */
  rate: number;
  policy: string;
  backend: ServerConfig['backend'];
  /** Where the journal goes; null: into a directory that is removed afterwards. */
  journal: string | null;
  /** What keeps the orders (default: files in that directory). */
  storage?: StorageConfig;
  /** 0: any free one. */
  port: number;
  seed: number;
  /** Health, metrics and the live page (default: none). An empty token: nobody may change anything there. */
  admin?: { port: number; token: string } | null;
  /** When the journal stands still, and for how long, in seconds from the first order (default: never). */
  pauseJournal?: { at: number; for: number } | null;
  /** How many processes the clients share (default: what the cores allow). */
  clientProcesses?: number;
}

type Clients = Child<ClientMessage, ClientCommand>;
type ServerChild = Child<ServerMessage, ServerCommand>;

/** The server has three busy threads; client processes take what cores are left, and there is always one. */
const clientProcessesDefault = Math.min(4, Math.max(1, availableParallelism() - 3));

/**
 * Runs the demo. Ends early, but in order, when `stop` is aborted.
 *
 * @throws an Error that says what went wrong when a process could not do its part
 */
export async function runDemo(options: DemoOptions, report: Report, stop: AbortSignal): Promise<DemoResult> {
  const directory = options.journal ?? mkdtempSync(join(tmpdir(), 'ackgate-demo-'));
  const demo = new Demo(options, report);
  const kill = () => demo.kill();
  process.on('exit', kill);
  try {
    return await demo.run(directory, stop);
  } finally {
    kill();
    await demo.ended();
    process.off('exit', kill);
    if (options.journal === null) rmSync(directory, { recursive: true, force: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #report: Report;
  readonly #rtt = newRttHistogram();
  #server: ServerChild | null = null;
  #clients: Clients[] = [];
  /** The last word of each process. */
  readonly #progress = new Map<Clients, LoadProgress>();
  /** Who has told its progress since it was shown; each does so once a second. */
  readonly #reported = new Set<Clients>();
  #second = newRttHistogram();
  #answered = 0;

  constructor(options: DemoOptions, report: Report) {
    this.#options = options;
    this.#report = report;
  }

  async run(directory: string, stop: AbortSignal): Promise<DemoResult> {
    const { policy, backend, port, clients, storage, admin = null, pauseJournal = null } = this.#options;
    const config: Omit<ServerConfig, 'adminToken' | 'storage'> = {
      directory,
      port,
      policy,
      backend,
      connections: Math.max(1024, clients + 16),
      adminPort: admin?.port,
    };
    const env = {
      ACKGATE_ADMIN_TOKEN: admin?.token ?? '',
      // It may have passwords, which arguments would show to every user of the machine.
      ...(storage && { ACKGATE_STORAGE: JSON.stringify(storage) }),
      // An operator wants to see what is changed, and when.
      ...((admin !== null || pauseJournal !== null) && { ACKGATE_LOG_LEVEL: 'info' }),
    };
    const server: ServerChild = new Child('the server', './server-process.js', config, env);
    this.#server = server;
    const listening = await server.next('listening');
    await this.#connect(listening.port, listening.status.clientIdMax + 1);
    this.#report.started(listening.status, this.#options, listening.adminUrl);

    const results = await this.#load(server, stop);
    const { status } = await this.#status(server);
    server.tell('close');
    await server.exited();
    return summarize({
      options: this.#options,
      status,
      results,
      rtt: this.#rtt,
      serverExitCode: server.exitCode,
      // Orders that an earlier run left in the book belong to clients who are not there to count their fills.
      fillsAgree: listening.status.openOrders > 0 || fillsAgree(results),
    });
  }

  kill(): void {
    this.#server?.kill();
    for (const child of this.#clients) child.kill();
  }

  async ended(): Promise<void> {
    await Promise.all([this.#server, ...this.#clients].map((child) => child?.exited()));
  }

  async #connect(port: number, firstClientId: number): Promise<void> {
    const { clients, rate, seconds, seed } = this.#options;
    const count = Math.min(this.#options.clientProcesses ?? clientProcessesDefault, clients);
    for (let i = 0; i < count; i++) {
      const first = Math.floor((clients * i) / count);
      const share = Math.floor((clients * (i + 1)) / count) - first;
      const config: LoadConfig = {
        port,
        firstClientId: firstClientId + first,
        clients: share,
        rate: (rate * share) / clients,
        seconds,
        seed,
      };
      this.#clients.push(new Child('a client process', './client-process.js', config));
    }
    await Promise.all(this.#clients.map((child) => child.next('ready')));
  }

  async #load(server: ServerChild, stop: AbortSignal): Promise<LoadResult[]> {
    for (const child of this.#clients) {
      child.on('progress', ({ progress }) => {
        this.#note(child, progress);
        this.#reported.add(child);
        if (this.#reported.size === this.#clients.length) this.#showLive(server);
      });
      child.on('quiet', ({ progress }) => this.#note(child, progress));
    }
    const quiet = Promise.all(this.#clients.map((child) => child.next('quiet')));
    const end = () => this.#tellClients('stop');
    const pauses = this.#schedulePause(server);
    try {
      this.#tellClients('go');
      stop.addEventListener('abort', end);
      if (stop.aborted) end();
      // A server that has failed answers nothing: no reason to wait for the clients to give up.
      await Promise.race([
        quiet,
        server.next('failed').then(({ message }) => Promise.reject(new Error(message))),
      ]);
    } finally {
      for (const timer of pauses) clearTimeout(timer);
      stop.removeEventListener('abort', end);
    }
    const results = Promise.all(this.#clients.map((child) => child.next('result')));
    this.#tellClients('finish');
    return (await results).map(({ result }) => result);
  }

  #schedulePause(server: ServerChild): NodeJS.Timeout[] {
    const pause = this.#options.pauseJournal ?? null;
    if (pause === null) return [];
    return [
      setTimeout(() => server.tell('pause journal'), pause.at * 1000),
      setTimeout(() => server.tell('resume journal'), (pause.at + pause.for) * 1000),
    ];
  }

  #tellClients(command: ClientCommand): void {
    for (const child of this.#clients) child.tell(command);
  }

  #note(child: Clients, progress: LoadProgress): void {
    this.#progress.set(child, progress);
    const part = hdr.decodeFromCompressedBase64(progress.rtt) as Histogram;
    this.#rtt.add(part);
    this.#second.add(part);
  }

  async #showLive(server: ServerChild): Promise<void> {
    const sum = { sent: 0, answered: 0, responses: 0 };
    for (const { sent, answered, responses } of this.#progress.values()) {
      sum.sent += sent;
      sum.answered += answered;
      sum.responses += responses;
    }
    const second = this.#second;
    server.tell({ type: 'clients', figures: clientFigures(sum.answered - this.#answered, second) });
    this.#answered = sum.answered;
    this.#reported.clear();
    this.#second = newRttHistogram();
    const answer = await this.#status(server).catch(() => null);
    if (answer !== null) this.#report.live(sum, second, answer.status);
  }

  #status(server: ServerChild): Promise<{ status: ServerStatus }> {
    const answer = server.next('status');
    server.tell('status');
    return answer;
  }
}

function clientFigures(ordersPerSecond: number, rtt: Histogram): ClientFigures {
  const millis = (micros: number) => micros / 1000;
  if (rtt.totalCount === 0) return { ordersPerSecond, roundTrip: null };
  const p50 = millis(rtt.getValueAtPercentile(50));
  const p99 = millis(rtt.getValueAtPercentile(99));
  return { ordersPerSecond, roundTrip: { p50, p99, max: millis(rtt.maxValue) } };
}

/** Each fill was told to both sides, with the same price and quantity. */
function fillsAgree(results: readonly LoadResult[]): boolean {
  const makers = emptyTally();
  const takers = emptyTally();
  for (const { makerFills, takerFills } of results) {
    addTally(makers, makerFills);
    addTally(takers, takerFills);
  }
  return makers.count === takers.count && makers.quantity === takers.quantity && makers.hash === takers.hash;
}
