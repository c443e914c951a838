import type { Socket } from 'node:net';
import type { StageDiagnosis } from '../diagnosis/api.js';
import type { DiagnosisLevel } from '../diagnosis/levels.js';
import type { DropReason } from '../egress/counters.js';
import type { Cursors } from '../gate/cursors.js';
import type { DurabilityMode, Policy } from '../policy/index.js';
import type { Producer } from '../ring/producer.js';
import type { Logger } from '../shared/logger.js';
import type { StageHandle } from './open-stage.js';
import type { StageStatus } from './status.js';
import type { TimingHistograms } from './timings.js';

export interface DroppedEvent {
  connectionId: number;
  reason: DropReason;
  /** The kernel's errno where a send failed, else 0. */
  errno: number;
  /** Released bytes that were still in the stage's buffer. Bytes in the kernel's buffer are not counted. */
  bytesUnsent: number;
}

export interface ClosedEvent {
  connectionId: number;
}

export interface StageEvents {
  dropped: [DroppedEvent];
  /** An orderly `disconnect` has ended: everything was handed to the kernel, then an end of stream. */
  closed: [ClosedEvent];
  /** The stage has failed and stopped; all connections are gone. */
  fatal: [Error];
}

export interface DiagnosisOptions {
  /** The level below which nothing falls (default `off`). */
  baseline?: DiagnosisLevel;
  /** Names of the application's kinds of record, each with its number, 0 … 65,535 (default: they have none). */
  kinds?: Readonly<Record<string, number>>;
  /** URL of a module whose default export is a `Redactor`. Default: bodies are captured as they are. */
  redactor?: URL | string;
  /** Records that the capture ring holds, 1 … 65,536 (default 256). */
  captureRecords?: number;
  /** Bytes of each body that it keeps, 0 … 65,536 (default 512). */
  captureBytes?: number;
}

export interface StageOptions {
  ring?: {
    /** Number of slots, a power of two (default 4096). */
    capacity?: number;
    /** Largest payload in bytes (default 448). */
    maxPayload?: number;
  };
  /** A named mode, a policy text such as `persisted>=1 && in_memory>=2`, or a `Policy`. Default `local`. */
  policy?: DurabilityMode | string | Policy;
  /** This node's term of office as the primary, 0 … 2^53-1 (default 0). A fence needs a higher one. */
  epoch?: number;
  /** Zone of the primary, for policies that count zones. */
  zone?: string;
  /** Most connections at once, 1 … 32,768 (default 16,384). */
  connections?: number;
  /** A connection to which nothing was appended for this long gets a heartbeat. 0: none (default 1000). */
  heartbeatIntervalMs?: number;
  /** `auto` takes io_uring where it can be used, else plain sends, and logs why (default `auto`). */
  backend?: 'auto' | 'uring' | 'posix';
  /** What to do with nothing to do: burn a core, step down gradually, or sleep in the kernel (default `park`). */
  idle?: 'spin' | 'backoff' | 'park';
  /**
   * URL of a module whose default export is an `Encoder`, or a function that makes one. Default: payloads are
   * already encoded and are sent as they are, in a frame.
   */
  encoder?: URL | string;
  /** URL of a module whose default export is a `Framing`. Default: a little-endian u32 length before each body. */
  framing?: URL | string;
  /** Drop a client that takes nothing for this long, in milliseconds (default 5000). */
  blockedTimeoutMs?: number;
  /** Drop a client that is blocked for this long in total, even if it trickles. 0: never (default 0). */
  blockedTotalMs?: number;
  /**
   * A node whose last cursor frame came this long ago is taken out of the view, in milliseconds, 50 … 60,000
   * (default 1000).
   */
  staleAfterMs?: number;
  /** `SO_SNDBUF` of every attached socket, in bytes. 0: the system's own (default 0). */
  kernelSendBufferBytes?: number;
  /** Most records taken in one round (default 1024). */
  recordsPerBatch?: number;
  /** Flush inside a batch once one connection has this many bytes waiting (default 32,768). */
  flushBytes?: number;
  /** … or this many records were appended (default 1024). */
  flushRecords?: number;
  /** … or the oldest appended byte is this old, in microseconds (default 200). */
  flushDelayUs?: number;
  /** Submission queue entries of the ring, a power of two, 64 … 32,768 (default 4096). */
  ringEntries?: number;
  /** Let a kernel thread poll the submission queue; takes a core (default false). */
  sqpoll?: boolean;
  /** What directives work with. */
  diagnosis?: DiagnosisOptions;
  /** Where log lines go, on the thread that called `startStage` (default: nowhere). */
  logger?: Logger;
}

/** A running stage, as the thread that started it sees it. Control calls belong to that thread. */
export interface Stage {
  /** This node's term of office, as given. */
  readonly epoch: number;
  readonly producer: Producer;
  readonly cursors: Cursors;
  /**
   * Hands the write side of a connected stream socket to the stage and returns its connection id. A `net.Socket`
   * loses `write` and `end` (they fail loudly), keeps reading, and its `destroy` disconnects. For a bare `fd` the
   * stage takes a dup: the caller closes its own, and says with `disconnect` when it is over.
   *
   * @param options.connectionId the id to use instead of the next one; above all earlier ids, for none is used twice
   */
  attach(target: Socket | number, options?: { connectionId?: number }): number;
  /**
   * Ends a connection. `drained` (default): after every record published for it before this call has gone; records of
   * other connections are not waited for. `now`: at once. With a `reason`, 0 … 255, a disconnect frame is sent before.
   */
  disconnect(
    connectionId: number,
    options?: { when?: 'drained' | 'now'; reason?: number },
  ): true | 'full' | 'gone';
  /** Sends a body to one connection, framed and never gated. */
  push(connectionId: number, body: Uint8Array): true | 'full' | 'gone' | 'oversize';
  /** Sends the server-busy notice. */
  busy(connectionId: number): true | 'full' | 'gone';
  /** Sends a disconnect frame with this reason, 0 … 255, and leaves the connection open: the client is to go by itself. */
  notify(connectionId: number, reason: number): true | 'full' | 'gone';
  setMode(policy: DurabilityMode | string | Policy): void;
  /** Switches on, for all of the traffic or a slice of it, what is counted, timed and captured. */
  readonly diagnosis: StageDiagnosis;
  /** The latency histograms of records with level `timing` or above, in nanoseconds, shared with the stage. */
  readonly timings: TimingHistograms;
  /** Resolves once nothing more can be submitted. Can't be lifted. */
  fence(newEpoch: number): Promise<void>;
  status(): StageStatus;
  /** A handle for other threads: post it anywhere, and call `openStage` there. */
  share(): StageHandle;
  on<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  off<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  once<E extends keyof StageEvents>(event: E, listener: (...args: StageEvents[E]) => void): this;
  /** Resolves when the stage has ended, for whatever reason; everything it held is given back by then. */
  readonly closed: Promise<void>;
  /** Sends what is released, never what is not, and ends within `drainMs` (default 1000). */
  close(options?: { drainMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
