import type { Server, Socket } from 'node:net';
import { AckgateError } from '../errors.js';
import type { Logger } from '../shared/logger.js';
import { DescriptorWatch, isShortage } from './descriptor-watch.js';
import type { Timers } from './timers.js';

/** Refused sockets are as many as somebody wants them to be: of those that come within this time one has its line. */
const refusedLineMs = 1000;
/** How long no connection is taken once descriptors have run out. */
const backOffMs = 50;

export interface AcceptorParts {
  readonly logger: Logger;
  readonly timers: Timers;
  /** Takes a socket, and owns it whether it throws or not. */
  readonly spawn: (socket: Socket) => void;
  /** A connection could not be accepted for want of descriptors, or a shortage of them has begun. */
  readonly onAcceptError: () => void;
}

/** Takes the connections of a `net.Server`. */
export class Acceptor {
  readonly #server: Server;
  readonly #parts: AcceptorParts;
  readonly #descriptors: DescriptorWatch;
  #stopped = false;
  /** Until then new sockets are closed at once, which gives descriptors back. */
  #backOffUntil = 0;
  #nextRefusedLine = Number.NEGATIVE_INFINITY;
  #refusedWithoutLine = 0;

  constructor(server: Server, parts: AcceptorParts) {
    this.#server = server;
    this.#parts = parts;
    const { logger, timers, onAcceptError } = parts;
    const isListening = () => server.listening;
    this.#descriptors = new DescriptorWatch({ logger, timers, isListening, onShortage: onAcceptError });
    server.on('connection', (socket) => this.#accept(socket));
    // First of all listeners, to see whether there are others: `once` ones leave before they are called.
    server.prependListener('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    server.on('listening', () => this.#listening());
    if (server.listening) this.#listening();
  }

  /** From the next line on nothing is accepted; what the kernel still has waiting is reset by it. */
  stop(): void {
    this.#stopped = true;
    if (this.#server.listening) this.#server.close();
  }

  #listening(): void {
    // It was asked to listen before it was stopped.
    if (this.#stopped) this.#server.close();
    else this.#descriptors.watch();
  }

  #accept(socket: Socket): void {
    const { spawn, timers } = this.#parts;
    if (timers.now() < this.#backOffUntil) {
      this.#parts.onAcceptError();
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    // Now: a destroyed socket does not know it any more.
    const { remoteAddress } = socket;
    try {
      spawn(socket);
    } catch (error) {
      if ((error as AckgateError).code === 'ERR_ACKGATE_TOO_MANY_FDS') this.#ranOut(error);
      else this.#refused(remoteAddress, error as AckgateError);
      return;
    }
    // It may have taken the last ones.
    this.#descriptors.look();
  }

  #refused(remoteAddress: string | undefined, { code, message: reason }: AckgateError): void {
    const { timers, logger } = this.#parts;
    const now = timers.now();
    if (now < this.#nextRefusedLine) {
      this.#refusedWithoutLine++;
      return;
    }
    this.#nextRefusedLine = now + refusedLineMs;
    const more = this.#refusedWithoutLine;
    this.#refusedWithoutLine = 0;
    logger.warn({ remoteAddress, code, reason, more }, 'connection refused');
  }

  /** Linux never reports these of `accept`; other systems do. All other errors are the application's. */
  #failed(error: NodeJS.ErrnoException): void {
    if (this.#server.listening && isShortage(error)) this.#ranOut(error);
    else if (this.#server.listenerCount('error') === 1) throw error;
  }

  #ranOut(error: unknown): void {
    this.#parts.onAcceptError();
    this.#backOffUntil = this.#parts.timers.now() + backOffMs;
    this.#descriptors.ranOut(error);
  }
}

/** @throws ERR_ACKGATE_INVALID_ARGUMENT for anything but a server that nobody takes connections of */
export function checkServer(server: Server): void {
  if (typeof server?.on !== 'function' || typeof server.address !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'server must be a net.Server');
  }
  if (server.listenerCount('connection') > 0) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'server must be a net.Server without a connection listener of its own, and not one for HTTP or TLS',
    );
  }
}
