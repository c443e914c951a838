/** A client of the soak runner: what it does to the server, and how it tells whether the answers are right. */
import { connect, type Socket } from 'node:net';
import { ControlTag } from 'ackgate';
import {
  batchSize,
  type ClientContext,
  type ClientEvents,
  type Outcome,
  type SoakClient,
  type SoakRequest,
  type ViolationKind,
} from 'ackgate/soak';
import { DisconnectReason } from 'ackgate/supervisor';
import { FrameReader } from './frames.js';
import { Ledger, type Verified } from './ledger.js';
import { OrderMix, randomFrom } from './order-mix.js';
import type { Outstanding } from './outstanding.js';
import { PacedWriter } from './paced-writer.js';
import {
  encodeRequest,
  quantityMax,
  RejectReason,
  type Request,
  RequestTag,
  responseBytes,
} from './protocol.js';

/** Of a slow request, between its three pieces; drawn anew for each. Short: what else the client asks waits behind it. */
const slowPauseMs = { min: 2, max: 6 };
/** Orders that a client remembers. It cancels what it has more than 25 open of, so all that matter are among them. */
const ordersMax = 256;
/** All clients of a process read into this: what is in it is dealt with before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

const kinds: Record<keyof Verified, ViolationKind> = {
  missing: 'missing',
  duplicated: 'duplicated',
  outOfOrder: 'disordered',
  corrupted: 'corrupted',
};

/** What stays of a client when its connection ends: it comes back under the same id, and knows what it was told. */
export class SoakAccount {
  readonly clientId: number;
  readonly ledger: Ledger;
  readonly mix: OrderMix;
  readonly random: () => number;
  client: TradingSoakClient | null = null;

  constructor(clientId: number, seed: number) {
    this.clientId = clientId;
    this.ledger = new Ledger({
      ordersMax,
      onViolation: (kind, detail) =>
        this.client?.events.violated(kinds[kind], `client ${clientId}: ${detail}`),
    });
    this.mix = new OrderMix(seed, this.ledger);
    this.random = randomFrom(~seed);
  }
}

/** One operation under way; a batch is several requests. */
interface Job {
  readonly id: number;
  left: number;
  outcome: Outcome;
}

export class TradingSoakClient implements SoakClient {
  readonly socket: Socket;
  readonly events: ClientEvents;
  readonly #account: SoakAccount;
  readonly #writer: PacedWriter;
  readonly #frames = new FrameReader(responseBytes);
  readonly #jobs = new Map<Request, Job>();
  /** Told once: with the answer to the logon, or with the end before it. */
  readonly #onLogon: (error: Error | null) => void;
  #state: 'logging on' | 'trading' | 'leaving' | 'ended' = 'logging on';
  /** Of the last order or cancel on this connection; 0: none yet. What is sent later finds it applied. */
  #lastCommand = 0;
  #why = 'the connection was ended';

  /** Connects and logs on. */
  static connect(account: SoakAccount, context: ClientContext): Promise<TradingSoakClient> {
    account.client?.cut();
    const { signal } = context;
    return new Promise((resolve, reject) => {
      const cut = () => client.cut();
      const client = new TradingSoakClient(account, context, (error) => {
        signal.removeEventListener('abort', cut);
        if (error === null) resolve(client);
        else reject(error);
      });
      account.client = client;
      if (signal.aborted) cut();
      else signal.addEventListener('abort', cut);
    });
  }

  private constructor(
    account: SoakAccount,
    { host, port, events }: ClientContext,
    onLogon: (error: Error | null) => void,
  ) {
    this.#account = account;
    this.events = events;
    this.#onLogon = onLogon;
    const onread = { buffer: readBuffer, callback: (bytes: number) => this.#read(bytes) };
    this.socket = connect({ host, port, noDelay: true, onread });
    this.#writer = new PacedWriter(this.socket);
    this.socket.on('connect', () => {
      this.#writer.write(this.#frame({ tag: RequestTag.logon, clientId: account.clientId }));
    });
    this.socket.on('error', ({ message }) => {
      this.#why = message;
    });
    this.socket.on('close', () => this.#end());
  }

  send({ id, operation }: SoakRequest): boolean {
    if (this.#state !== 'trading' || !this.socket.writable) return false;
    const { ledger, mix, random } = this.#account;
    const job: Job = { id, left: 1, outcome: 'success' };
    switch (operation) {
      case 'simple':
        this.#writer.write(this.#frame(mix.next(), job));
        break;
      case 'batch': {
        job.left = batchSize;
        const frames = Array.from({ length: batchSize }, () => this.#frame(mix.next(), job));
        this.#writer.write(Buffer.concat(frames));
        break;
      }
      case 'streaming':
        this.#writer.write(this.#frame({ tag: RequestTag.orders, requestId: ledger.nextRequestId }, job));
        break;
      case 'error':
        this.#writer.write(this.#wrongFrame(job));
        break;
      case 'slow': {
        const { min, max } = slowPauseMs;
        this.#writer.writeSlowly(this.#frame(mix.next(), job), min + random() * (max - min));
        break;
      }
    }
    return true;
  }

  /** Logs off: the server closes the connection behind its last answer. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    if (this.#state === 'trading') {
      this.#state = 'leaving';
      const { nextRequestId: requestId } = this.#account.ledger;
      this.#writer.write(this.#frame({ tag: RequestTag.logoff, requestId }));
    }
    await closed;
  }

  /** Ends the connection without a word. */
  cut(): void {
    this.socket.destroy();
    this.#end();
  }

  /** Notes a request as sent and returns its bytes. */
  #frame(request: Request, job?: Job, mustFailFor: RejectReason | null = null): Buffer {
    this.#account.ledger.sent(request, 0, mustFailFor);
    if (job !== undefined) this.#jobs.set(request, job);
    const { tag } = request;
    const isCommand = tag === RequestTag.limit || tag === RequestTag.market || tag === RequestTag.cancel;
    if (isCommand && mustFailFor === null) this.#lastCommand = request.requestId;
    return encodeRequest(request);
  }

  /** A request that has to be rejected: an order that is too large, or under a number that was used before. */
  #wrongFrame(job: Job): Buffer {
    const { ledger, random } = this.#account;
    const order = { tag: RequestTag.limit, side: 0, price: 1 } as const;
    if (this.#lastCommand > 0 && random() < 0.5) {
      const again = { ...order, requestId: this.#lastCommand, quantity: 1 };
      return this.#frame(again, job, RejectReason.duplicateRequest);
    }
    const tooLarge = { ...order, requestId: ledger.nextRequestId, quantity: quantityMax + 1 };
    return this.#frame(tooLarge, job, RejectReason.outOfRange);
  }

  #read(bytes: number): true {
    this.#frames.push(readBuffer.subarray(0, bytes));
    for (let body = this.#frames.next(); body !== null; body = this.#frames.next()) this.#take(body);
    if (this.#frames.malformed) {
      this.#why = 'the server sent what is no frame';
      this.#account.ledger.received(Buffer.alloc(0));
      this.cut();
    }
    return true;
  }

  #take(body: Buffer): void {
    if (this.#state === 'ended') return;
    switch (body[0]) {
      case ControlTag.heartbeat:
      case ControlTag.serverBusy:
      case ControlTag.engineError:
        return;
      case ControlTag.disconnect:
        this.#why = `the server ended the connection: ${nameOf(body[1])}`;
        return;
      case ControlTag.endOfBatch:
        this.#ended(this.#account.ledger.endOfBatch());
        return;
      default:
        this.#account.ledger.received(body);
    }
  }

  #ended(ended: Outstanding | null): void {
    if (ended === null) return;
    const { request, rejectedFor, answered } = ended;
    // That an order to cancel is gone is an answer like any other; the ledger knows whether it is right.
    const failed = !answered || (rejectedFor !== null && rejectedFor !== RejectReason.notOpen);
    if (request.tag === RequestTag.logon) this.#loggedOn(failed);
    if (request.tag === RequestTag.logoff) this.#why = 'logged off';
    const job = this.#jobs.get(request);
    if (job === undefined) return;
    this.#jobs.delete(request);
    if (failed) job.outcome = 'error';
    job.left--;
    if (job.left === 0) this.events.answered(job.id, job.outcome);
  }

  #loggedOn(failed: boolean): void {
    if (failed) {
      this.#why = 'the logon was refused';
      this.cut();
      return;
    }
    this.#account.mix.resume();
    this.#state = 'trading';
    this.#onLogon(null);
  }

  #end(): void {
    const { events } = this;
    const before = this.#state;
    if (before === 'ended') return;
    this.#state = 'ended';
    this.#writer.close();
    this.#jobs.clear();
    this.#account.ledger.disconnected();
    this.#account.client = null;
    if (before === 'logging on') this.#onLogon(new Error(this.#why));
    else events.closed(this.#why);
  }
}

function nameOf(reason: number): string {
  const found = Object.entries(DisconnectReason).find(([, number]) => number === reason);
  return found?.[0] ?? `reason ${reason}`;
}
