import type { Socket } from 'node:net';

/**
 * The open connections. When there are too many, the one that has been open longest without a request under way makes
 * room: refusing the newest instead would let idle connections lock out the probes.
 */
export class OpenSockets {
  readonly #max: number;
  /** By peer, for under TLS a request comes from another socket object than the connection. In order of opening. */
  readonly #sockets = new Map<string, Socket>();
  /** Requests under way, by peer. */
  readonly #requests = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#sockets.size;
  }

  add(socket: Socket): void {
    const peer = peerOf(socket);
    this.#sockets.set(peer, socket);
    socket.once('close', () => {
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
    });
    if (this.#sockets.size > this.#max) this.#makeRoom();
  }

  /** A request has begun; returns the function that says it is over. */
  begin(socket: Socket): () => void {
    const peer = peerOf(socket);
    this.#requests.set(peer, (this.#requests.get(peer) ?? 0) + 1);
    return () => {
      const left = (this.#requests.get(peer) ?? 1) - 1;
      if (left === 0) this.#requests.delete(peer);
      else this.#requests.set(peer, left);
    };
  }

  /** Requests under way on this connection. */
  underWay(socket: Socket): number {
    return this.#requests.get(peerOf(socket)) ?? 0;
  }

  destroyAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
  }

  #makeRoom(): void {
    for (const [peer, socket] of this.#sockets) {
      if (this.#requests.has(peer)) continue;
      this.#sockets.delete(peer);
      socket.destroy();
      return;
    }
  }
}

/** A socket forgets its peer when it is closed, so this is asked once, at the start. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
