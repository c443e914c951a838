import type { Socket } from 'node:net';

/** What is done to the server; a `batch` is `batchSize` requests, an `error` is one that is to fail. */
export type Operation = 'simple' | 'batch' | 'streaming' | 'error' | 'slow';

/** Every operation: each has its weight in the mix, and its expected outcome. */
export const operations = [
  'simple',
  'batch',
  'streaming',
  'error',
  'slow',
] as const satisfies readonly Operation[];

/** Requests in one `batch`: 10. */
export const batchSize = 10;

/** What the server makes of a request. Of an `error` operation an error is expected, of all others a success. */
export type Outcome = 'success' | 'error';

/** What the server is to make of an operation: a deliberate error that fails as it should is a success of the run. */
export const expectedOutcome = (operation: Operation): Outcome =>
  operation === 'error' ? 'error' : 'success';

/** A request that a client is to send. */
export interface SoakRequest {
  /** Names the request in `answered`: 1, 2, 3 … on each client. */
  readonly id: number;
  /** What kind of request it is to be. */
  readonly operation: Operation;
  /** Size of the message in bytes, at most the driver's `requestBytesMax`. Of no meaning where requests have one size. */
  readonly bytes: number;
}

/**
 * What can be wrong with answers: one never comes, comes twice, comes out of turn, or has the wrong content.
 */
export type ViolationKind = 'missing' | 'duplicated' | 'disordered' | 'corrupted';

/** What a client tells the runner. */
export interface ClientEvents {
  /**
   * The answer to a request is complete. Call it for every answer that comes, also for one that comes twice, late or out
   * of turn: the runner finds these out from the ids.
   */
  answered(id: number, outcome: Outcome): void;
  /** An answer is wrong in a way that its id doesn't tell, such as by its content. */
  violated(kind: ViolationKind, detail: string): void;
  /** The connection has ended, from whichever side. */
  closed(detail: string): void;
}

/** One connection to the server, as the driver makes it. */
export interface SoakClient {
  /** Puts a request on its way and returns at once. False: the connection takes nothing any more. */
  send(request: SoakRequest): boolean;
  /** Leaves in an orderly way. Resolves when the connection is closed; the runner waits for five seconds at most. */
  close(): Promise<void>;
  /**
   * The connection, for the kinds of chaos that pause it, cut it or send half a request. Without it these kinds are not
   * possible.
   */
  readonly socket?: Socket;
}

/** What a driver is told when it is to connect a client. */
export interface ClientContext {
  /** Where the server listens. */
  readonly host: string;
  /** Where the server listens. */
  readonly port: number;
  /** Which client this is, from 0. It keeps its number when it connects again after its connection ended. */
  readonly client: number;
  /** For whatever the driver draws; another one for each client, the same in every run of a seed. */
  readonly seed: number;
  /** What the client tells the runner. */
  readonly events: ClientEvents;
  /** Aborted when the connection is not wanted any more: `connect` should give up. */
  readonly signal: AbortSignal;
}

/** What a driver is told when it is asked for the server's command. */
export interface ServerContext {
  /** The address where the server is to listen. */
  readonly host: string;
  /** Where the server is to listen; free when the run began. */
  readonly port: number;
  /** An empty folder for the server's files, removed after the run. */
  readonly directory: string;
}

/** How the server is started. */
export interface ServerCommand {
  /** The program, as for `spawn`. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Variables besides the runner's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** With an IPC channel, for the driver's `status` and `faults`; the server has to be a Node program. Default false. */
  readonly ipc?: boolean;
}

/** The running server, for `status` and `faults`. */
export interface ServerHandle {
  /** The server's process. */
  readonly pid: number;
  /** Where it listens. */
  readonly host: string;
  /** Where it listens. */
  readonly port: number;
  /** Over the IPC channel. False: there is none (any more), and nothing was sent. */
  send(message: object | string): boolean;
  /** Listens to what the server sends over the IPC channel. Returns what ends the listening. */
  onMessage(listener: (message: unknown) => void): () => void;
}

/** Something bad that can be done to the server from outside, such as a stalled disk or a killed replica. */
export interface ServerFault {
  /** Says what it is, for the report. */
  readonly description: string;
  /** Brings it about. One that throws, rejects or comes to false is noted in the report and counts as not begun. */
  begin(server: ServerHandle): void | Promise<void>;
  /** Takes it back, `forMs` after `begin`, or earlier when the run ends. Not called after a `begin` that failed. */
  end(server: ServerHandle): void | Promise<void>;
}

/**
 * The server's own counters by name, such as `connections`. `drops.REASON` are drops by reason, and what is in `orphans`
 * of the driver must be 0 when all clients have left.
 */
export type ServerStatus = Readonly<Record<string, number>>;

/** Speaks a server's protocol for the runner. */
export interface SoakDriver {
  /** For the report. */
  readonly name: string;
  /** Those that the protocol has, at least one. */
  readonly operations: readonly Operation[];
  /** Largest message that it takes, in bytes; larger ones are cut to this. */
  readonly requestBytesMax: number;
  /** Whether answers of a connection come in the order of its requests (default true). */
  readonly ordered?: boolean;
  /** The server to start when no command is given. */
  server?(context: ServerContext): ServerCommand;
  /** Resolves when requests can be sent (after a logon, where there is one). Rejects when the server can't be reached. */
  connect(context: ClientContext): Promise<SoakClient>;
  /** The bytes of one whole request as on the wire, for sending half of it. Without it half-frames are not possible. */
  sampleRequest?(): Uint8Array;
  /**
   * Asked for every sample and for the last reading, where it has two seconds for its answer. Without it the server's
   * counters are not known.
   */
  status?(server: ServerHandle): Promise<ServerStatus>;
  /** Names of `status` that must be 0 when all clients have left. */
  readonly orphans?: readonly string[];
  /** What can be done to the server from outside; `chaos.server` of the configuration calls them by these names. */
  readonly faults?: Readonly<Record<string, ServerFault>>;
}

/** What a driver module exports as its default. */
export type CreateDriver = () => SoakDriver | Promise<SoakDriver>;
