import { connect, type Socket } from 'node:net';
import { ControlTag } from 'ackgate';
import { FrameReader } from './frames.js';
import { Ledger } from './ledger.js';
import { OrderMix } from './order-mix.js';
import type { Outstanding } from './outstanding.js';
import { encodeRequest, type Request, RequestTag, responseBytes } from './protocol.js';

/** All clients of a process read into this: what is in it is dealt with before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

export interface TradingClientOptions {
  clientId: number;
  seed: number;
  /** See `Ledger`. */
  ordersMax?: number;
  /** Told with every complete answer when its request was meant to be sent. */
  onAnswered?: (intendedAtMs: number) => void;
}

/** One client: a connection, the requests that it sends, and the ledger that checks what comes back. */
export class TradingClient {
  readonly clientId: number;
  readonly ledger: Ledger;
  readonly #mix: OrderMix;
  readonly #onAnswered: (intendedAtMs: number) => void;
  #socket: Socket | null = null;
  #frames = new FrameReader(responseBytes);
  #loggedOn: (() => void) | null = null;
  #wakeWaiter: (() => void) | null = null;
  #disconnectReason: number | null = null;

  constructor(options: TradingClientOptions) {
    this.clientId = options.clientId;
    this.ledger = new Ledger(options.ordersMax === undefined ? {} : { ordersMax: options.ordersMax });
    this.#mix = new OrderMix(options.seed, this.ledger);
    this.#onAnswered = options.onAnswered ?? (() => {});
  }

  get connected(): boolean {
    return this.#socket !== null;
  }

  /** Why the server has ended the latest connection, or is about to, as far as it said so. */
  get disconnectReason(): number | null {
    return this.#disconnectReason;
  }

  /** Connects and logs on. Resolves with the answer to the logon, rejects when the server can't be reached. */
  connect(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const onread = { buffer: readBuffer, callback: (bytes: number) => this.#read(bytes) };
      const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread });
      let failure = new Error('the server closed the connection before the logon was answered');
      this.#frames = new FrameReader(responseBytes);
      this.#loggedOn = resolve;
      this.#disconnectReason = null;
      socket.on('connect', () => {
        this.#socket = socket;
        this.send({ tag: RequestTag.logon, clientId: this.clientId }, performance.now());
      });
      socket.on('error', (error) => {
        failure = error;
      });
      socket.on('close', () => {
        this.#socket = null;
        reject(failure);
        this.#wakeWaiter?.();
      });
    });
  }

  /** Sends what the mix draws next. False when there is no connection. */
  trade(intendedAtMs: number): boolean {
    if (this.#socket === null) return false;
    this.send(this.#mix.next(), intendedAtMs);
    return true;
  }

  send(request: Request, intendedAtMs: number): void {
    this.ledger.sent(request, intendedAtMs);
    this.#socket?.write(encodeRequest(request));
  }

  /** Resolves once every request is answered, or the connection is gone. */
  async idle(): Promise<void> {
    while (this.connected && this.ledger.waiting > 0) {
      await new Promise<void>((resolve) => {
        this.#wakeWaiter = resolve;
      });
    }
  }

  /** Asks for the end, and resolves once the server has closed the connection behind its last answer. */
  async logoff(): Promise<void> {
    if (!this.connected) return;
    this.send({ tag: RequestTag.logoff, requestId: this.ledger.nextRequestId }, performance.now());
    await this.closed();
  }

  /** Resolves once the connection is gone. */
  async closed(): Promise<void> {
    const socket = this.#socket;
    if (socket !== null) await new Promise((resolve) => socket.once('close', resolve));
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket?.destroy();
  }

  #read(bytes: number): true {
    this.#frames.push(readBuffer.subarray(0, bytes));
    for (let body = this.#frames.next(); body !== null; body = this.#frames.next()) this.#frame(body);
    if (this.#frames.malformed) {
      this.ledger.received(Buffer.alloc(0));
      this.destroy();
    }
    return true;
  }

  #frame(body: Buffer): void {
    switch (body[0]) {
      case ControlTag.heartbeat:
      case ControlTag.serverBusy:
      case ControlTag.engineError:
        return;
      case ControlTag.disconnect:
        this.#disconnectReason = body[1];
        return;
      case ControlTag.endOfBatch:
        this.#ended(this.ledger.endOfBatch());
        return;
      default:
        this.ledger.received(body);
    }
  }

  #ended(ended: Outstanding | null): void {
    const tag = ended?.request.tag;
    if (tag === RequestTag.logon) this.#loggedOn?.();
    else if (ended !== null && tag !== RequestTag.logoff) this.#onAnswered(ended.intendedAtMs);
    if (this.ledger.waiting === 0) this.#wakeWaiter?.();
  }
}
