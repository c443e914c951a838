import { createServer, type Server, Socket } from 'node:net';
import { listenAnywhere } from './free-port.js';

/** Which way: what the clients say, what the server says, or both. */
export type Direction = 'to-server' | 'to-client' | 'both';

/**
 * A network cable on loopback: clients connect to `port` and are joined with a server, until the cable is cut.
 *
 * A cut is silent, as it is on a network: neither end is told, nothing of what is sent arrives, who connects waits. What a
 * kernel would send again until it is acknowledged is kept and arrives when the cable is mended, so a connection that
 * neither end gave up in the meantime goes on.
 */
export class LoopbackProxy {
  readonly port: number;
  /** Where new connections go. */
  target: number;
  /** Milliseconds by which each direction is late; for what arrives from now on. */
  delayMs = 0;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #isCut = { 'to-server': false, 'to-client': false };

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    this.target = target;
    server.on('connection', (client) => this.#take(client));
  }

  /** Starts one in front of a port of the loopback interface. */
  static async start(target: number): Promise<LoopbackProxy> {
    // Half-open connections stay as they are: ending one direction is for the ends to decide.
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    return new LoopbackProxy(server, await listenAnywhere(server), target);
  }

  /** Open connections, those that wait for a mended cable included. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** From now on nothing arrives. A few kilobytes that were handed to the kernel before may. */
  cut(direction: Direction = 'both'): void {
    this.#set(direction, true);
  }

  mend(direction: Direction = 'both'): void {
    this.#set(direction, false);
  }

  /** Resets every connection, as a firewall does that forgot them; both ends are told at once. New ones are taken. */
  reset(): void {
    for (const pair of this.#pairs) pair.reset();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.reset();
    await closed;
  }

  #set(direction: Direction, cut: boolean): void {
    if (direction !== 'to-client') this.#isCut['to-server'] = cut;
    if (direction !== 'to-server') this.#isCut['to-client'] = cut;
    for (const pair of this.#pairs) this.#hold(pair);
  }

  #hold(pair: Pair): void {
    // Nobody gets as far as the server while either way is cut: a connection takes both.
    if (!this.#isCut['to-server'] && !this.#isCut['to-client']) pair.open(this.target);
    pair.toServer.hold(this.#isCut['to-server']);
    pair.toClient.hold(this.#isCut['to-client']);
  }

  #take(client: Socket): void {
    const pair = new Pair(client, () => this.delayMs);
    this.#pairs.add(pair);
    pair.closed = () => this.#pairs.delete(pair);
    this.#hold(pair);
  }
}

/** One client's connection and the one to the server that belongs to it. */
class Pair {
  readonly toServer: Pipe;
  readonly toClient: Pipe;
  closed: () => void = () => {};
  readonly #client: Socket;
  readonly #server = new Socket({ allowHalfOpen: true });
  #opened = false;

  constructor(client: Socket, delayMs: () => number) {
    this.#client = client;
    this.#server.setNoDelay(true);
    this.toServer = new Pipe(client, this.#server, delayMs);
    this.toClient = new Pipe(this.#server, client, delayMs);
    for (const [socket, away] of [
      [client, this.toServer],
      [this.#server, this.toClient],
    ] as const) {
      // The other end is told by way of the pipe, so that a cut cable keeps this from it too.
      socket.on('error', () => away.broken());
      socket.on('close', () => this.#leave());
    }
  }

  open(target: number): void {
    if (this.#opened) return;
    this.#opened = true;
    connectTo(this.#server, target);
  }

  reset(): void {
    this.#client.resetAndDestroy();
    // Without a connection there is nothing to reset, and 'close' would not be told.
    if (this.#opened) this.#server.resetAndDestroy();
    else this.#server.destroy();
  }

  #leave(): void {
    if (this.#client.destroyed && this.#server.destroyed) this.closed();
  }
}

const connectTo = (socket: Socket, port: number) => socket.connect({ port, host: '127.0.0.1' });

/** One direction of a connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: () => number;
  #held = true;
  #full = false;
  /** What has to be told at the far end, in order. */
  readonly #queue: { readonly due: number; readonly deliver: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, delayMs: () => number) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    from.on('data', (chunk: Buffer) => this.#take(() => this.#write(chunk)));
    from.on('end', () => this.#take(() => to.end()));
    to.on('drain', () => {
      this.#full = false;
      this.#deliver();
    });
    to.on('close', () => clearTimeout(this.#timer));
    from.pause();
  }

  hold(held: boolean): void {
    this.#held = held;
    this.#deliver();
  }

  /** The near end is gone without a good-bye. */
  broken(): void {
    this.#take(() => this.#to.resetAndDestroy());
  }

  #write(chunk: Buffer): void {
    if (!this.#to.write(chunk)) this.#full = true;
  }

  #take(deliver: () => void): void {
    this.#queue.push({ due: performance.now() + this.#delayMs(), deliver });
    this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    while (!this.#held && !this.#full && this.#queue.length > 0) {
      const waitMs = this.#queue[0]!.due - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#deliver(), waitMs);
        break;
      }
      this.#queue.shift()!.deliver();
    }
    // A delayed line takes more while some is on its way; a cut or a full one takes nothing.
    if (this.#held || this.#full || this.#queue.length > 1_000) this.#from.pause();
    else this.#from.resume();
  }
}
