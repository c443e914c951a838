import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { DropReason } from '#ackgate/egress/counters.js';
import { frame, lengthPrefixFraming } from '#ackgate/encode/framing.js';
import type { SupervisedStage } from '#ackgate/supervisor/supervisor.js';

type Pushed = ReturnType<SupervisedStage['push']>;

/** The near end of a connection that has no far end: the test says what comes in, and how it ends. */
export class ScriptedSocket extends EventEmitter {
  readonly remoteAddress = '127.0.0.1';
  destroyed = false;
  paused = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** False: nothing comes in any more. */
  frame(body: Uint8Array): boolean {
    if (this.destroyed || this.paused) return false;
    return this.emit('data', Buffer.from(frame(lengthPrefixFraming, body)));
  }

  /** The client's FIN. */
  finish(): void {
    if (!this.destroyed && !this.paused) this.emit('end');
  }

  /** The client's RST. */
  reset(): void {
    this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  }

  /** As with a real one, the events come after the call. */
  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => {
      if (error !== undefined) this.emit('error', error);
      this.emit('close');
    });
  }
}

/** Takes everything, sends nothing, and lets go of a connection when the test says so. */
export class ScriptedStage extends EventEmitter {
  /** What was handed over, in order. */
  readonly pushed: { connectionId: number; body: Uint8Array }[] = [];
  /** Connections that are to end. */
  readonly leaving = new Set<number>();
  readonly disconnects: { connectionId: number; reason: number | null }[] = [];
  /** The next pushes get these answers and are not taken. */
  refuse: Exclude<Pushed, true>[] = [];
  readonly closed: Promise<void>;
  #tellClosed = () => {};
  readonly #sockets = new Map<number, ScriptedSocket>();
  #lastId = 0;

  constructor() {
    super();
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
  }

  attach(socket: ScriptedSocket): number {
    const id = ++this.#lastId;
    this.#sockets.set(id, socket);
    socket.once('close', () => {
      if (this.#sockets.has(id)) this.leaving.add(id);
    });
    return id;
  }

  disconnect(connectionId: number, { reason }: { reason?: number } = {}): true | 'gone' {
    if (!this.#sockets.has(connectionId)) return 'gone';
    this.disconnects.push({ connectionId, reason: reason ?? null });
    this.leaving.add(connectionId);
    return true;
  }

  notify(): true {
    return true;
  }

  push(connectionId: number, body: Uint8Array): Pushed {
    if (!this.#sockets.has(connectionId) || this.leaving.has(connectionId)) return 'gone';
    const refusal = this.refuse.shift();
    if (refusal !== undefined) return refusal;
    this.pushed.push({ connectionId, body });
    return true;
  }

  /** Whatever was to end has ended. */
  release(): void {
    for (const connectionId of [...this.leaving]) this.#end(connectionId, null);
  }

  drop(connectionId: number, reason: DropReason): void {
    this.#end(connectionId, reason);
  }

  close(): Promise<void> {
    for (const connectionId of [...this.#sockets.keys()]) this.#end(connectionId, null);
    this.#tellClosed();
    return this.closed;
  }

  /** For the supervisor, which asks for no more than this. */
  get supervised(): SupervisedStage {
    return this as unknown as SupervisedStage;
  }

  #end(connectionId: number, reason: DropReason | null): void {
    const socket = this.#sockets.get(connectionId);
    if (socket === undefined) return;
    this.#sockets.delete(connectionId);
    this.leaving.delete(connectionId);
    socket.destroy();
    if (reason === null) this.emit('closed', { connectionId });
    else this.emit('dropped', { connectionId, reason, errno: 0, bytesUnsent: 0 });
  }
}

/** A `ScriptedSocket` where a real one is asked for. */
export const asSocket = (socket: ScriptedSocket) => socket as unknown as Socket;
