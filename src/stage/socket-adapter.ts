import { Socket } from 'node:net';
import { AckgateError } from '../errors.js';

/** Sockets whose write side belongs to a stage. */
const attached = new WeakSet<Socket>();

interface SocketHandle {
  fd?: number;
}

/**
 * The descriptor of a connected `net.Socket`. It is private to Node: this is the one place that knows where.
 *
 * @throws ERR_ACKGATE_SOCKET_… for sockets whose write side can't be handed over
 */
export function socketFd(socket: Socket): number {
  if (!(socket instanceof Socket)) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'target must be a net.Socket or a file descriptor',
    );
  }
  if ((socket as { encrypted?: boolean }).encrypted) {
    throw new AckgateError(
      'ERR_ACKGATE_SOCKET_TLS',
      "a TLS socket can't be attached: the stage would write plain text into the encrypted stream",
    );
  }
  if (socket.destroyed) throw new AckgateError('ERR_ACKGATE_SOCKET_DESTROYED', 'the socket is destroyed');
  if (attached.has(socket))
    throw new AckgateError('ERR_ACKGATE_SOCKET_ATTACHED', 'the socket is attached already');
  if (socket.writableLength > 0) {
    throw new AckgateError(
      'ERR_ACKGATE_SOCKET_UNSENT',
      `the socket has ${socket.writableLength} unsent bytes of its own; wait for 'drain' before attaching it`,
    );
  }
  if (socket.writableEnded) {
    throw new AckgateError('ERR_ACKGATE_SOCKET_DESTROYED', 'the write side of the socket was ended');
  }
  const fd = (socket as unknown as { _handle?: SocketHandle | null })._handle?.fd;
  if (socket.connecting || typeof fd !== 'number' || fd < 0) {
    throw new AckgateError(
      'ERR_ACKGATE_SOCKET_KIND',
      'the socket is not connected, or has no file descriptor',
    );
  }
  return fd;
}

function refuse(): never {
  throw new AckgateError(
    'ERR_ACKGATE_SOCKET_WRITE',
    'this socket is attached to a stage, which alone writes to it: use stage.push() or stage.disconnect()',
  );
}

/**
 * Makes Node leave the socket's write side alone. `onClose` runs once, when Node has closed its side.
 */
export function takeWriteSide(socket: Socket, onClose: () => void): void {
  attached.add(socket);
  // A client's half-close ends its requests, not its answers; by default Node would end the write side with it.
  socket.allowHalfOpen = true;
  for (const method of ['write', 'end', 'resetAndDestroy', 'destroySoon'] as const) {
    Object.defineProperty(socket, method, { value: refuse, configurable: true, writable: true });
  }
  // A reset by the peer is told as `dropped`; a socket without a listener must not end the process for it.
  socket.on('error', () => {});
  socket.once('close', onClose);
}

/** What a client may still send, and for how long, after an orderly end of ours. */
const lingerMs = 2000;
const lingerBytes = 256 * 1024;

/**
 * After an orderly end: closing a socket with unread input sends a reset, which can destroy answers that are still on
 * the way. So what the client still sends is read and thrown away until it ends its side; a little of it, for a while.
 */
export function lingeringClose(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
  if (socket.readableEnded) {
    socket.destroy();
    return;
  }
  socket.removeAllListeners('data');
  socket.removeAllListeners('readable');
  let bytes = 0;
  socket.on('data', (chunk: Uint8Array | string) => {
    bytes += chunk.length;
    if (bytes > lingerBytes) socket.destroy();
  });
  socket.once('end', () => socket.destroy());
  socket.resume();
}
