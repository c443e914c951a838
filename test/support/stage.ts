import { once } from 'node:events';
import { mkdtempSync, readSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import {
  type ClosedEvent,
  type DroppedEvent,
  monotonicNow,
  type Stage,
  type StageOptions,
  startStage,
} from '#ackgate/index.js';

const { errno, stage } = nativeAddon().probeUring(256);
if (errno !== 0) console.warn(`no stage is tested with io_uring here: ${explainUring(errno, stage)}`);

export type RealBackend = 'uring' | 'posix';
export const realBackends: RealBackend[] = errno === 0 ? ['uring', 'posix'] : ['posix'];
export type Transport = 'tcp' | 'unix';

export const Tag = { heartbeat: 1, endOfBatch: 2, serverBusy: 4, disconnect: 5, answer: 0x10 } as const;

/** Bounds a wait: nothing in these tests takes this long unless it hangs. */
const hangMs = 20_000;

/** Polls until `condition` holds; fails when it never does. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + hangMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(1);
  }
}

/** An answer that says which one it is and can be checked byte for byte. */
export function answer(seq: number, bytes = 64): Uint8Array {
  const body = Buffer.alloc(bytes);
  for (let i = 5; i < bytes; i++) body[i] = (seq * 31 + i * 7) & 0xff;
  body[0] = Tag.answer;
  body.writeUInt32LE(seq, 1);
  return body;
}

/** The number of an answer; throws when a byte of it has changed. */
export function readAnswer(body: Buffer): number {
  if (body[0] !== Tag.answer) throw new Error(`not an answer: tag ${body[0]}`);
  const seq = body.readUInt32LE(1);
  if (!body.equals(answer(seq, body.length))) throw new Error(`answer ${seq} was changed on the way`);
  return seq;
}

/** The client's end: cuts the stream into frames. */
export class FrameClient {
  readonly socket: Socket;
  /** Bodies of all frames so far. */
  readonly bodies: Buffer[] = [];
  /** How the stream ended: null while it has not. */
  ended: 'end' | 'reset' | null = null;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('end', () => {
      this.ended ??= 'end';
    });
    socket.on('error', () => {
      this.ended ??= 'reset';
    });
  }

  /** Numbers of the answers so far; every one was checked. */
  get answers(): number[] {
    return this.bodies.filter((body) => body[0] === Tag.answer).map(readAnswer);
  }

  /** First bytes of all bodies so far. */
  get tags(): number[] {
    return this.bodies.map((body) => body[0]);
  }

  count(tag: number): number {
    return this.bodies.filter((body) => body[0] === tag).length;
  }

  /** Bytes of a frame that has not come whole. */
  get incomplete(): number {
    return this.#rest.length;
  }

  async untilAnswers(count: number): Promise<number[]> {
    await until(`${count} answers have come`, () => this.count(Tag.answer) >= count);
    return this.answers;
  }

  async untilEnded(): Promise<'end' | 'reset'> {
    await until('the stream has ended', () => this.ended !== null);
    return this.ended!;
  }

  /**
   * How the kernel ends the stream of a paused client. Read by hand: libuv makes an end out of a reset that comes while
   * there are bytes to read.
   */
  async kernelEnd(): Promise<'end' | 'reset'> {
    const { fd } = (this.socket as unknown as { _handle: { fd: number } })._handle;
    const bytes = Buffer.alloc(65_536);
    let ended: 'end' | 'reset' | null = null;
    await until('the stream has ended', () => {
      try {
        while (readSync(fd, bytes) > 0);
        ended = 'end';
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') ended = 'reset';
      }
      return ended !== null;
    });
    return ended!;
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32LE(0);
      if (bytes.length < 4 + length) break;
      this.bodies.push(Buffer.from(bytes.subarray(4, 4 + length)));
      bytes = bytes.subarray(4 + length);
    }
    this.#rest = Buffer.from(bytes);
  }
}

export interface Pair {
  /** The server's end, to attach. */
  near: Socket;
  client: FrameClient;
}

/** Connected socket pairs over loopback TCP or a Unix socket. */
export class Loopback {
  readonly #server: Server;
  readonly #directory: string;
  readonly #sockets: Socket[] = [];

  private constructor(server: Server, directory: string) {
    this.#server = server;
    this.#directory = directory;
  }

  static async open(transport: Transport): Promise<Loopback> {
    const directory = mkdtempSync(join(tmpdir(), 'ackgate-stage-'));
    const server = createServer();
    if (transport === 'tcp') server.listen(0, '127.0.0.1', 1024);
    else server.listen(join(directory, 'socket'), 1024);
    await once(server, 'listening');
    return new Loopback(server, directory);
  }

  /** `paused`: the client reads nothing until its socket is resumed. */
  async connect({ paused = false } = {}): Promise<Pair> {
    const address = this.#server.address()!;
    const accepted = once(this.#server, 'connection');
    const far =
      typeof address === 'string'
        ? connect({ path: address, allowHalfOpen: true })
        : connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
    const [[near]] = await Promise.all([accepted, once(far, 'connect')]);
    this.#sockets.push(near, far);
    const client = new FrameClient(far);
    if (paused) far.pause();
    near.resume();
    near.on('error', () => {}); // resets are part of the tests
    return { near, client };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#directory, { recursive: true });
  }
}

export interface LogLine {
  level: string;
  fields: Record<string, unknown>;
  message: string;
}

export interface Published {
  id: number;
  seq: number;
  /** Number in the answer; default: `seq`. */
  number?: number;
  bytes?: number;
  last?: boolean;
  bypass?: boolean;
}

/** A running stage with everything that it says, and sockets for it. */
export class Rig {
  readonly stage: Stage;
  readonly net: Loopback;
  readonly dropped: DroppedEvent[] = [];
  readonly closed: ClosedEvent[] = [];
  readonly fatal: Error[] = [];
  readonly log: LogLine[];

  private constructor(stage: Stage, net: Loopback, log: LogLine[]) {
    this.stage = stage;
    this.net = net;
    this.log = log;
    stage.on('dropped', (event) => this.dropped.push(event));
    stage.on('closed', (event) => this.closed.push(event));
    stage.on('fatal', (error) => this.fatal.push(error));
  }

  /** Ends with the test. */
  static async start(options: StageOptions = {}, transport: Transport = 'tcp'): Promise<Rig> {
    const rig = await Rig.open(options, transport);
    onTestFinished(() => rig.end());
    return rig;
  }

  /** The caller ends it. */
  static async open(options: StageOptions = {}, transport: Transport = 'tcp'): Promise<Rig> {
    const log: LogLine[] = [];
    const line = (level: string) => (fields: object, message: string) =>
      void log.push({ level, fields: fields as Record<string, unknown>, message });
    const stage = await startStage({
      connections: 64,
      heartbeatIntervalMs: 0,
      logger: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      ...options,
    });
    return new Rig(stage, await Loopback.open(transport), log);
  }

  async attach(options: { paused?: boolean } = {}): Promise<Pair & { id: number }> {
    const pair = await this.net.connect(options);
    return { ...pair, id: this.stage.attach(pair.near) };
  }

  publish({ id, seq, number = seq, bytes = 64, last = false, bypass = false }: Published): void {
    const result = this.stage.producer.tryPublish({
      connectionId: id,
      wireSeq: seq,
      payload: answer(number, bytes),
      lastInRequest: last,
      durabilityBypass: bypass,
    });
    if (result !== 'ok') throw new Error(`tryPublish said ${result}`);
  }

  /**
   * Waits until the stage has had a whole round after everything that was done so far. Twice: a stage that is just going
   * to sleep may have looked before, and write its status after.
   */
  async settled(): Promise<void> {
    const { primary } = this.stage.cursors;
    for (let times = 0; times < 2; times++) {
      const nowNs = monotonicNow();
      // Changes nothing, but wakes the stage.
      primary.advance(primary.persisted);
      await until('the stage has gone on', () => this.stage.status().statusNs > nowNs);
    }
  }

  /** Bytes that wait in the stage's own buffers. */
  get waiting(): number {
    const { bytesAppended, bytesSent, bytesUnsent } = this.stage.status();
    return bytesAppended - bytesSent - bytesUnsent;
  }

  async end(): Promise<void> {
    await this.stage.close({ drainMs: 0 });
    await this.net.close();
  }
}

/** Longer than TCP puts off an acknowledgement, which can make a kernel that has room look full. */
const quietMs = 250;

/**
 * Publishes answers to one client that does not read until `full` more bytes stay in the stage's buffers: then the
 * kernel's are full. Returns the number of answers.
 */
export async function fillKernel(rig: Rig, id: number, bytes = 440, full = 30_000): Promise<number> {
  const before = rig.waiting;
  const waiting = () => rig.waiting - before;
  let published = 0;
  for (;;) {
    // Little enough not to overflow the buffer if the kernel takes nothing of it.
    while (waiting() < full) {
      for (let sent = 0; sent < 20_000; sent += bytes)
        rig.publish({ id, seq: 0, number: ++published, bytes });
      await rig.settled();
    }
    await sleep(quietMs);
    if (waiting() >= full) return published;
  }
}
