import { once } from 'node:events';
import { mkdtempSync, readdirSync, readSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { allocateArena } from '#ackgate/egress/arena.js';
import { nativeAddon } from '#ackgate/egress/native.js';
import { PosixSender } from '#ackgate/egress/posix-sender.js';
import type { SenderOptions } from '#ackgate/egress/sender.js';
import { UringSender } from '#ackgate/egress/uring-sender.js';
import type { Peer, Read, SenderSizes, SenderUnderTest, World } from './sender-world.js';

export type RealBackend = 'uring' | 'posix';
export type Transport = 'tcp' | 'unix';

const addon = nativeAddon();

export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Reads a descriptor that does not block. */
function readNow(fd: number, bytesMax: number): Read {
  const bytes = Buffer.allocUnsafe(bytesMax);
  try {
    const count = readSync(fd, bytes);
    return count === 0 ? 'end' : bytes.subarray(0, count);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (errno === -constants.errno.EAGAIN) return 'nothing';
    if (errno === -constants.errno.ECONNRESET) return 'reset';
    throw error;
  }
}

class RealPeer implements Peer {
  readonly fd: number;
  /** The end that the stage's side would hold as a Node socket. */
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #held: number[] = [];

  constructor(near: Socket, far: Socket, kernelSendBufferBytes: number) {
    this.#near = near;
    this.#far = far;
    this.fd = addon.adoptFd(fdOf(near), kernelSendBufferBytes);
    near.on('error', () => {}); // resets are part of the tests
    far.on('error', () => {});
  }

  read(bytesMax: number): Read {
    return readNow(fdOf(this.#far), bytesMax);
  }

  async endWrites(): Promise<void> {
    this.#far.end();
    await immediate();
  }

  async reset(): Promise<void> {
    if (this.#far.remoteFamily === undefined) this.#far.destroy();
    else this.#far.resetAndDestroy();
    await immediate();
    await immediate();
  }

  holdDuplicate(): void {
    this.#held.push(addon.dupFd(fdOf(this.#near)));
  }

  async destroy(): Promise<void> {
    for (const fd of this.#held) addon.closeFd(fd);
    const ends = [this.#near, this.#far].filter((socket) => !socket.closed);
    await Promise.all(
      ends.map((socket) => {
        const closed = once(socket, 'close');
        socket.destroy();
        return closed;
      }),
    );
  }
}

/** Real sockets over loopback. */
export class RealWorld implements World {
  readonly hasReset: boolean;
  /** Without Linux's advice the kernel gives back pages when it likes. */
  readonly hasPages = process.env.ACKGATE_PORTABLE !== '1';
  readonly #backend: RealBackend;
  readonly #server: Server;
  readonly #directory: string;

  private constructor(backend: RealBackend, transport: Transport, server: Server, directory: string) {
    this.#backend = backend;
    this.#server = server;
    this.#directory = directory;
    this.hasReset = transport === 'tcp';
  }

  static async create(backend: RealBackend, transport: Transport): Promise<RealWorld> {
    const directory = mkdtempSync(join(tmpdir(), 'ackgate-'));
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    if (transport === 'tcp') server.listen(0, '127.0.0.1', 1024);
    else server.listen(join(directory, 'socket'), 1024);
    await once(server, 'listening');
    return new RealWorld(backend, transport, server, directory);
  }

  /** One at a time: the next connection that the server sees is taken for this one. */
  async connect(kernelSendBufferBytes = 0): Promise<Peer> {
    const address = this.#server.address()!;
    const accepted = once(this.#server, 'connection');
    const near =
      typeof address === 'string'
        ? connect({ path: address, allowHalfOpen: true })
        : connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
    const [[far]] = await Promise.all([accepted, once(near, 'connect')]);
    return new RealPeer(near, far, kernelSendBufferBytes);
  }

  makeSender({ slots, ringEntries = 256, results }: SenderSizes): SenderUnderTest {
    const wakeFd = addon.createWakeFd();
    const arena = allocateArena(slots);
    const fence = new Int32Array(new SharedArrayBuffer(4));
    const options: SenderOptions = { arena, slots, ringEntries, wakeFd, fence };
    const sizes = results === undefined ? {} : { results };
    const sender =
      this.#backend === 'uring' ? new UringSender(options, sizes) : new PosixSender(options, sizes);
    return {
      sender,
      arena,
      fence,
      wakeFd,
      wake: () => void addon.wake(wakeFd),
      dispose: () => void addon.closeFd(wakeFd),
    };
  }

  openDescriptors(): number {
    return readdirSync('/proc/self/fd').length;
  }

  async settle(): Promise<void> {
    await immediate();
  }

  nowMs(): number {
    return performance.now();
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#directory, { recursive: true });
  }
}
