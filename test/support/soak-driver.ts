import type { SoakConfig } from '#ackgate/soak/config.js';
import {
  type ClientContext,
  type ClientEvents,
  type Operation,
  type Outcome,
  operations,
  type SoakClient,
  type SoakDriver,
  type SoakRequest,
} from '#ackgate/soak/driver.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';

/** One connection to a server that does what a test says. */
export class ScriptedConnection implements SoakClient {
  readonly number: number;
  readonly events: ClientEvents;
  readonly requests: SoakRequest[] = [];
  /** What is not answered yet. */
  readonly unanswered = new Map<number, Operation>();
  /** Takes nothing any more. */
  deaf = false;
  open = true;
  readonly #driver: ScriptedDriver;

  constructor(driver: ScriptedDriver, { client, events }: ClientContext) {
    this.#driver = driver;
    this.number = client;
    this.events = events;
  }

  send(request: SoakRequest): boolean {
    if (this.deaf || !this.open) return false;
    if (this.#driver.keeps) this.requests.push(request);
    this.unanswered.set(request.id, request.operation);
    this.#driver.onRequest(this, request);
    return true;
  }

  async close(): Promise<void> {
    if (this.#driver.hangsOnClose) return new Promise(() => {});
    this.open = false;
  }

  /** As it should be answered, unless another outcome is given. */
  answer(id: number, outcome?: Outcome): void {
    const operation = this.unanswered.get(id);
    this.unanswered.delete(id);
    this.events.answered(id, outcome ?? (operation === 'error' ? 'error' : 'success'));
  }

  answerAll(): void {
    for (const id of [...this.unanswered.keys()]) this.answer(id);
  }

  /** The server ends it. */
  end(detail = 'ended by the server'): void {
    this.open = false;
    this.events.closed(detail);
  }
}

export class ScriptedDriver implements SoakDriver {
  readonly name = 'scripted';
  readonly operations = operations;
  requestBytesMax = 16 * 1024 * 1024;
  ordered = true;
  /** All that were ever made, in order. */
  readonly connections: ScriptedConnection[] = [];
  /** What becomes of a request; by itself nothing. */
  onRequest: (connection: ScriptedConnection, request: SoakRequest) => void = () => {};
  /** What becomes of an attempt to connect: an error, or a promise to wait for. */
  onConnect: (context: ClientContext) => Error | Promise<unknown> | undefined = () => undefined;
  hangsOnClose = false;
  /** Remembers requests. */
  keeps = true;

  async connect(context: ClientContext): Promise<SoakClient> {
    const what = this.onConnect(context);
    if (what instanceof Error) throw what;
    await what;
    const connection = new ScriptedConnection(this, context);
    this.connections.push(connection);
    return connection;
  }

  /** The last connection of this client. */
  of(number: number): ScriptedConnection {
    return this.connections.findLast((connection) => connection.number === number)!;
  }

  /** Answers each request at once, in the same call. */
  echo(): this {
    this.onRequest = (connection, { id }) => connection.answer(id);
    return this;
  }
}

export const noChaos = {
  disconnectsPerClientMinute: 0,
  reconnectDelayMs: 500,
  slowReadersPerMinute: 0,
  stuckReadersPerMinute: 0,
  halfFramesPerMinute: 0,
  server: [],
} as const satisfies SoakConfig['chaos'];

export function soakConfig(overrides: Partial<SoakConfig> = {}): SoakConfig {
  return {
    scenario: 'test',
    durationSeconds: 60,
    warmupSeconds: 10,
    sampleSeconds: 1,
    settleSeconds: 1,
    readySeconds: 10,
    requestsPerSecond: 1000,
    clients: 4,
    requestTimeoutMs: 2000,
    mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
    sizes: { small: 1, medium: 0, large: 0, huge: 0 },
    chaos: noChaos,
    footprint: { requests: 0, concurrency: 1 },
    burst: { requests: 0, concurrency: 1 },
    thresholds: defaultThresholds,
    required: [],
    seed: 1,
    ...overrides,
  };
}
