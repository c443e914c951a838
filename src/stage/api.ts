import type { Socket } from 'node:net';
import type { StageDiagnosis } from '../diagnosis/api.js';
import type { DiagnosisLevel } from '../diagnosis/levels.js';
import type { DropReason } from '../egress/counters.js';
import type { Cursors } from '../gate/cursors.js';
import type { PolicyInput } from '../policy/index.js';
import type { Producer } from '../ring/producer.js';
import type { ControlOutcome } from '../shared/control-outcome.js';
import type { Logger } from '../shared/logger.js';
import type { StageHandle } from './open-stage.js';
import type { StageStatus } from './status.js';
import type { TimingHistograms } from './timings.js';

/** The stage has dropped a connection: what it had not sent is lost, and the client sees a reset. */
export interface DroppedEvent {
  /** The connection, whose id is never used again. */
  connectionId: number;
  /** Why. */
  reason: DropReason;
  /** The kernel's errno where a send failed, else 0. */
  errno: number;
  /** Released bytes that were still in the stage's buffer. Bytes in the kernel's buffer are not counted. */
  bytesUnsent: number;
}

/** A connection has ended, with nothing left that was released for it. */
export interface ClosedEvent {
  /** The connection, whose id is never used again. */
  connectionId: number;
}

/** What a stage emits, and with what: `stage.on(name, listener)`. */
export interface StageEvents {
  /** The stage has ended a connection on its own. */
  dropped: [DroppedEvent];
  /**
   * A connection has ended in order: after `disconnect`, everything that was released for it was handed to the kernel,
   * then an end of stream. Answers that the gate still held when it ended `now`, or when its socket was destroyed, are
   * discarded (`recordsDiscarded` of the status); to wait for them, use `disconnect` with `drained`.
   */
  closed: [ClosedEvent];
  /** The stage has failed and stopped; all connections are gone. */
  fatal: [Error];
}

/** How closely a stage looks at its traffic from its start on, and how much of it it can keep. */
export interface DiagnosisOptions {
  /** The level below which nothing falls (default `off`). */
  readonly baseline?: DiagnosisLevel;
  /** Names of the application's kinds of record, each with its number, 0 … 65,535 (default: they have none). */
  readonly kinds?: Readonly<Record<string, number>>;
  /** URL of a module whose default export is a `Redactor`. Default: bodies are captured as they are. */
  readonly redactor?: URL | string;
  /** Records that the capture ring holds, 1 … 65,536 (default 256). */
  readonly captureRecords?: number;
  /** Bytes of each body that it keeps, 0 … 65,536 (default 512). */
  readonly captureBytes?: number;
}

/** What `startStage` is told; all of it has a default. */
export interface StageOptions {
  /** The ring between engine and stage. */
  readonly ring?: {
    /** Number of slots, a power of two, 2 … 2^24 (default 4096). */
    readonly capacity?: number;
    /** Largest payload in bytes, 1 … 60,000 (default 448). */
    readonly maxPayload?: number;
  };
  /** A named mode, a policy text such as `persisted>=1 && in_memory>=2`, or a `Policy` (default `local`). */
  readonly policy?: PolicyInput;
  /** This node's term of office as the primary, 0 … 2^53-1 (default 0). A fence needs a higher one. */
  readonly epoch?: number;
  /** Zone of the primary, for policies that count zones (default: it stands alone). */
  readonly zone?: string;
  /** Most connections at once, 1 … 32,768 (default 16,384). */
  readonly connections?: number;
  /**
   * A connection to which nothing was appended for this long gets a heartbeat, in milliseconds, 0 … 2^31-1; 0: none
   * (default 1000).
   */
  readonly heartbeatIntervalMs?: number;
  /** `auto` takes io_uring where it can be used, else plain sends, and logs why (default `auto`). */
  readonly backend?: 'auto' | 'uring' | 'posix';
  /** What to do with nothing to do: burn a core, step down gradually, or sleep in the kernel (default `park`). */
  readonly idle?: 'spin' | 'backoff' | 'park';
  /**
   * URL of a module whose default export is an `Encoder`, or a function that makes one. Default: payloads are
   * already encoded and are sent as they are, in a frame.
   */
  readonly encoder?: URL | string;
  /** URL of a module whose default export is a `Framing`. Default: a little-endian u32 length before each body. */
  readonly framing?: URL | string;
  /** Drop a client for which the kernel takes nothing for this long, in milliseconds, 1 … 2^31-1 (default 5000). */
  readonly blockedTimeoutMs?: number;
  /**
   * Drop a client that is blocked for this long in total, even if it trickles, in milliseconds, 0 … 2^31-1; 0: never
   * (default 0).
   */
  readonly blockedTotalMs?: number;
  /**
   * A node whose last cursor frame came this long ago is taken out of the view, in milliseconds, 50 … 60,000
   * (default 1000).
   */
  readonly staleAfterMs?: number;
  /** `SO_SNDBUF` of every attached socket, in bytes, 0 … 2^30; 0: the system's own (default 0). */
  readonly kernelSendBufferBytes?: number;
  /** Most records taken in one round, 1 … 2^20 (default 1024). */
  readonly recordsPerBatch?: number;
  /** Flush inside a batch once one connection has this many bytes waiting, 1 … 65,536 (default 32,768). */
  readonly flushBytes?: number;
  /** Flush inside a batch once this many records were appended, 1 … 2^20 (default 1024). */
  readonly flushRecords?: number;
  /** Flush inside a batch once the oldest appended byte is this old, in microseconds, 0 … 1,000,000 (default 200). */
  readonly flushDelayUs?: number;
  /** Submission queue entries of the ring, a power of two, 64 … 32,768 (default 4096). */
  readonly ringEntries?: number;
  /** Let a kernel thread poll the submission queue; takes a core (default false). */
  readonly sqpoll?: boolean;
  /** How closely it looks at its traffic from the start on, and how much it can keep (default: level `off`). */
  readonly diagnosis?: DiagnosisOptions;
  /** Where log lines go, on the thread that called `startStage` (default: nowhere). */
  readonly logger?: Logger;
}

/** A running stage, as the thread that started it sees it. Control calls belong to that thread. */
export interface Stage {
  /** This node's term of office, as given. */
  readonly epoch: number;
  /** The writing end of the output ring, for this thread; another one opens its own with `openStage`. */
  readonly producer: Producer;
  /** The cursors that the policy goes by. */
  readonly cursors: Cursors;
  /**
   * Hands the write side of a connected stream socket to the stage and returns its connection id. A `net.Socket`
   * loses `write` and `end` (they fail loudly), keeps reading, and its `destroy` disconnects. For a bare `fd` the
   * stage takes a dup: the caller closes its own, and says with `disconnect` when it is over.
   *
   * @param options.connectionId the id to use instead of the next one; above all earlier ids, for none is used twice
   * @throws ERR_ACKGATE_SOCKET_… for a socket whose write side can't be handed over, ERR_ACKGATE_BAD_FD,
   *   ERR_ACKGATE_CONNECTION_ID_IN_USE, ERR_ACKGATE_CONNECTION_ID_USED, ERR_ACKGATE_TOO_MANY_CONNECTIONS,
   *   ERR_ACKGATE_TOO_MANY_FDS, ERR_ACKGATE_CONTROL_FULL, ERR_ACKGATE_STAGE_CLOSED, ERR_ACKGATE_STAGE_FENCED
   */
  attach(target: Socket | number, options?: { readonly connectionId?: number }): number;
  /**
   * Ends a connection. `drained` (default): after every record published for it before this call has gone; records of
   * other connections are not waited for. `now`: at once. With a `reason`, 0 … 255, a disconnect frame is sent before.
   *
   * @throws ERR_ACKGATE_UNKNOWN_CONNECTION for an id that was never given out; ERR_ACKGATE_OUT_OF_RANGE,
   *   ERR_ACKGATE_INVALID_ARGUMENT
   */
  disconnect(
    connectionId: number,
    options?: { readonly when?: 'drained' | 'now'; readonly reason?: number },
  ): ControlOutcome;
  /** Sends a body to one connection, framed and never gated. */
  push(connectionId: number, body: Uint8Array): ControlOutcome | 'oversize';
  /** Sends the server-busy notice. */
  busy(connectionId: number): ControlOutcome;
  /** Sends a disconnect frame with this reason, 0 … 255, and leaves the connection open: the client is to go by itself. */
  notify(connectionId: number, reason: number): ControlOutcome;
  /**
   * Changes the policy, from the next round on, for records that wait already too.
   *
   * @throws ERR_ACKGATE_POLICY_… for a text that is no policy; ERR_ACKGATE_CONTROL_FULL, ERR_ACKGATE_STAGE_CLOSED
   */
  setMode(policy: PolicyInput): void;
  /** Switches on, for all of the traffic or a slice of it, what is counted, timed and captured. */
  readonly diagnosis: StageDiagnosis;
  /** The latency histograms of records with level `timing` or above, in nanoseconds, shared with the stage. */
  readonly timings: TimingHistograms;
  /**
   * Ends all submissions for good, for a later primary has taken over. Resolves once nothing more can be submitted.
   *
   * @param newEpoch the later primary's term of office, above this stage's own
   * @throws (rejects with) ERR_ACKGATE_EPOCH_NOT_HIGHER, ERR_ACKGATE_OUT_OF_RANGE
   */
  fence(newEpoch: number): Promise<void>;
  /** One consistent copy of the status block; costs the stage nothing. */
  status(): StageStatus;
  /** A handle for other threads: post it anywhere, and call `openStage` there. */
  share(): StageHandle;
  /** Calls the listener whenever the event happens, on this thread. */
  on<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  /** Ends that. */
  off<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  /** Calls the listener the next time that the event happens. */
  once<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  /** Resolves when the stage has ended, for whatever reason; everything it held is given back by then. */
  readonly closed: Promise<void>;
  /** Sends what is released, never what is not, and ends within `drainMs` (default 1000). */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
