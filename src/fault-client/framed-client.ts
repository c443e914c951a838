import { setMaxListeners } from 'node:events';
import { connect, type Socket } from 'node:net';
import { frame, lengthPrefixFraming } from '../encode/framing.js';
import { timerMsMax } from '../shared/timer-ms-max.js';
import { Random } from '../sim/random.js';
import { checkInteger } from './checks.js';
import { FrameReader } from './frame-reader.js';
import { type Ending, Inbox } from './inbox.js';
import { ReadPace } from './read-pace.js';

/** Where a client connects to, and how. */
export interface ClientOptions {
  /** The server's TCP port. */
  port: number;
  /** Default: `127.0.0.1`. */
  host?: string;
  /**
   * `frames` (default) keeps the body of every frame; `count` reads, counts and forgets; `never` reads nothing from the
   * start, so that the receive window closes.
   */
  receive?: 'frames' | 'count' | 'never';
  /** Of the bytes and lengths that are drawn; default 1. */
  seed?: number;
  /** True: the server's FIN is not answered with one. Default false. */
  allowHalfOpen?: boolean;
  /** Bounds waiting for a server that neither takes nor refuses the connection; default 10,000. */
  connectTimeoutMs?: number;
  /** Closes the client, and with it whatever it is doing. */
  signal?: AbortSignal;
}

/**
 * A client over TCP that behaves: length-prefixed frames out and in, and a record of what came and of how it ended.
 *
 * What is sent resolves with true when the kernel has taken all of it, and with false when the connection ended before:
 * a connection that ends is an outcome here, never an exception, and never an event that nobody listens for.
 */
export class FramedClient {
  /** How the connection ended; resolves when that is known. A client that doesn't read can't notice the server's end. */
  readonly ended: Promise<Ending>;
  /** Resolves when the socket is closed, and no timer of the client is left. */
  readonly closed: Promise<void>;
  /** Everything that the client draws comes from it, and so from its seed. */
  readonly random: Random;
  /** For its own connection; the server sees it as the remote port. */
  readonly localPort: number = 0;
  protected readonly socket: Socket;
  protected readonly pace: ReadPace;
  readonly #inbox = new Inbox();
  readonly #reader = new FrameReader((body) => this.#inbox.deliver(body));
  /** Ends one wait early, each. */
  readonly #waits = new Set<() => void>();
  #bytesReceived = 0;
  #ending: Ending | undefined;
  #error: NodeJS.ErrnoException | undefined;
  #tellEnded: (ending: Ending) => void = () => {};

  protected constructor(options: ClientOptions) {
    const receive = options.receive ?? 'frames';
    this.random = new Random(options.seed ?? 1);
    this.pace = new ReadPace(
      (chunk) => this.#take(chunk, receive === 'frames'),
      (ms) => this.wait(ms),
    );
    this.socket = connect({
      host: options.host ?? '127.0.0.1',
      port: options.port,
      allowHalfOpen: options.allowHalfOpen ?? false,
      // Each piece of a frame goes out by itself, also while the one before is not acknowledged.
      noDelay: true,
      onread: this.pace.onread,
    });
    this.pace.attach(this.socket, receive !== 'never');
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve;
    });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.once('end', () => this.#end('end', 'the server has ended the connection'));
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= error;
      const reset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
      this.#end(reset ? 'reset' : 'error', reset ? 'the server has reset the connection' : error.message);
    });
    this.socket.once('close', () => this.#close());
    this.#obey(options.signal);
  }

  /** Resolves when connected. Rejects with the error of the socket, such as one with the code `ECONNREFUSED`. */
  protected async open(options: ClientOptions): Promise<this> {
    const timeoutMs = options.connectTimeoutMs ?? 10_000;
    const timer = setTimeout(
      () => this.socket.destroy(new Error(`port ${options.port} took no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      await new Promise<void>((resolve, reject) => {
        this.socket.once('connect', resolve);
        this.socket.once('close', () => reject(this.#error ?? options.signal?.reason));
      });
    } finally {
      clearTimeout(timer);
    }
    (this as { localPort: number }).localPort = this.socket.localPort ?? 0;
    return this;
  }

  /** Bodies of all frames received so far, in order; with `receive: 'frames'` only. */
  get frames(): readonly Uint8Array[] {
    return this.#inbox.frames;
  }

  /** Bytes read so far, headers included. */
  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** How the connection ended, as `ended` tells it; undefined before. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** What failed, behind an ending of `reset` or `error`. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.#error;
  }

  /**
   * The body of the first frame that was not asked for yet. What came before the end is still given out after it.
   *
   * @throws NoFrameError when none came within the time, or none will
   */
  nextFrame(timeoutMs: number): Promise<Uint8Array> {
    checkInteger('timeoutMs', timeoutMs, 0, timerMsMax);
    return this.#inbox.next(timeoutMs);
  }

  /** Waits for so many milliseconds, or until the connection is closed. True when it still is open. */
  wait(ms: number): Promise<boolean> {
    if (this.socket.closed) return Promise.resolve(false);
    return new Promise((resolve) => this.#after(ms, () => resolve(!this.socket.destroyed)));
  }

  /** True when the kernel has taken all of them. */
  send(bytes: Uint8Array): Promise<boolean> {
    // Writing to a socket that can't be written any more would be an error event.
    if (!this.socket.writable) return Promise.resolve(false);
    return new Promise((resolve) => {
      // Node calls a write that was under way when the socket was destroyed a success.
      this.socket.write(bytes, (error) => resolve(!error && !this.socket.destroyed));
    });
  }

  /** `send` of a whole frame: the body behind its length. */
  sendFrame(body: Uint8Array): Promise<boolean> {
    return this.send(frame(lengthPrefixFraming, body));
  }

  /** Half-closes: a FIN after what was sent before; receiving goes on. True when it is on its way. */
  end(): Promise<boolean> {
    if (!this.socket.writable) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.socket.once('finish', () => resolve(true));
      this.socket.once('close', () => resolve(false));
      this.socket.end();
    });
  }

  /**
   * Closes at once, and ends whatever the client is doing; does nothing the second time. The server sees a FIN, or, as
   * always in TCP, an RST when there was something that the client had not read.
   */
  close(): Promise<void> {
    this.socket.destroy();
    return this.closed;
  }

  /** Calls `done` after the time, or when the connection is closed. Returns what calls that off. */
  #after(ms: number, done: () => void): () => void {
    const call = () => {
      forget();
      done();
    };
    const forget = () => {
      clearTimeout(timer);
      this.#waits.delete(call);
    };
    const timer = setTimeout(call, Math.min(ms, timerMsMax));
    this.#waits.add(call);
    return forget;
  }

  #take(chunk: Uint8Array, keep: boolean): void {
    this.#bytesReceived += chunk.length;
    if (!keep) return;
    this.#reader.push(chunk);
    const promised = this.#reader.malformedBytes;
    if (promised !== undefined) this.#inbox.close('malformed', `a header promises ${promised} bytes`);
  }

  #end(ending: Ending, detail: string): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#inbox.close(ending, detail);
    this.#tellEnded(ending);
  }

  #close(): void {
    this.#end('left', 'the client has closed the connection');
    for (const call of [...this.#waits]) call();
  }

  #obey(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.socket.destroy();
    // One signal ends any number of clients: many listeners are no leak here.
    setMaxListeners(0, signal);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    this.socket.once('close', () => signal.removeEventListener('abort', abort));
  }
}
