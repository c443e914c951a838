import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ClientOptions,
  FaultClient,
  faults,
  NoFrameError,
  noise,
  reconnectStorm,
} from '#ackgate/fault-client/index.js';
import { Random } from '#ackgate/sim/random.js';
import { until } from './support/stage.js';

/** One connection as the server sees it. */
interface Seen {
  socket: Socket;
  port: number;
  pieces: Buffer[];
  /** How the client's side ended, as Node tells it: `FIN`, or the code of the error. */
  endings: string[];
}

const open: { server: Server; clients: FaultClient[]; seen: Seen[] }[] = [];

/** A plain server that writes down what comes, and closes its own side only when a test says so. */
async function recorder({ reads = true, onConnection = (_: Seen) => {} } = {}) {
  const seen: Seen[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: !reads }, (socket) => {
    const one: Seen = { socket, port: socket.remotePort!, pieces: [], endings: [] };
    seen.push(one);
    if (reads) socket.on('data', (piece) => one.pieces.push(piece));
    socket.on('end', () => one.endings.push('FIN'));
    socket.on('error', (error: NodeJS.ErrnoException) => one.endings.push(error.code!));
    onConnection(one);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients: FaultClient[] = [];
  open.push({ server, clients, seen });
  return {
    server,
    port,
    seen,
    async connect(options: Partial<ClientOptions> = {}): Promise<[FaultClient, Seen]> {
      const client = await FaultClient.connect({ port, ...options });
      clients.push(client);
      await until('the server has it', () => seen.some((one) => one.port === client.localPort));
      return [client, seen.find((one) => one.port === client.localPort)!];
    },
  };
}

afterEach(async () => {
  for (const { server, clients, seen } of open.splice(0)) {
    await Promise.all(clients.map((client) => client.close()));
    for (const { socket } of seen) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

const bytes = ({ pieces }: Seen) => Buffer.concat(pieces);
const received = (seen: Seen, count: number) =>
  until(`the server has ${count} bytes`, () => bytes(seen).length >= count);
const ended = (seen: Seen) => until('the server sees an end', () => seen.endings.length > 0);

/**
 * What really came. Node takes an RST that it finds together with data for an orderly end; the kernel knows, and takes
 * nothing more to be sent.
 */
async function howEnded(seen: Seen): Promise<'FIN' | 'RST'> {
  await ended(seen);
  if (seen.endings[0] !== 'FIN') return 'RST';
  return new Promise((resolve) =>
    seen.socket.write(Uint8Array.of(0), (error) => resolve(error ? 'RST' : 'FIN')),
  );
}

const resources = () => {
  const info = process.getActiveResourcesInfo();
  return ['Timeout', 'TCPSocketWrap'].map((kind) => info.filter((one) => one === kind).length);
};

function framed(...bodies: Uint8Array[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const header = Buffer.alloc(4);
      header.writeUInt32LE(body.length);
      return [header, body];
    }),
  );
}

const body = Buffer.from('a request of 25 bytes ...');

describe('a client that behaves', () => {
  it('cuts what it receives into frames, in whatever pieces they come', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect();
    const long = Buffer.from(noise(new Random(7), 100_000));
    const bodies = [body, Buffer.alloc(0), long, Buffer.from('x')];
    const stream = framed(...bodies);
    const asked = client.nextFrame(10_000);
    for (const byte of stream.subarray(0, 40)) {
      socket.write(Uint8Array.of(byte));
      await sleep(0);
    }
    socket.write(stream.subarray(40));
    expect(Buffer.from(await asked)).toEqual(body);
    const two = await Promise.all([client.nextFrame(10_000), client.nextFrame(10_000)]);
    expect(two.map((frame) => frame.length)).toEqual([0, 100_000]);
    expect(long.equals(two[1])).toBe(true);
    expect(Buffer.from(await client.nextFrame(10_000)).toString()).toBe('x');
    expect(client.frames).toHaveLength(4);
    expect(client.bytesReceived).toBe(stream.length);
  });

  it('gives out what came before the end, then says how it ended', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect();
    const before = resources();
    const asked = Array.from({ length: 50 }, () => client.nextFrame(3_600_000));
    const late = expect(Promise.all(asked)).rejects.toMatchObject({
      why: 'end',
    });
    socket.end(framed(body, body));
    expect(await client.ended).toBe('end');
    await late;
    expect(client.frames).toHaveLength(2);
    await expect(client.nextFrame(10_000)).rejects.toThrow(
      'no more frames after 2: the server has ended the connection',
    );
    await until('no timer is left', () => resources()[0] <= before[0]);
  });

  it('says when no frame comes in time, and gives it out later', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect();
    const why = await client.nextFrame(5).catch((error) => error);
    expect(why).toBeInstanceOf(NoFrameError);
    expect(why).toMatchObject({ code: 'ERR_NO_FRAME', why: 'timeout' });
    socket.write(framed(body));
    expect(Buffer.from(await client.nextFrame(10_000))).toEqual(body);
    expect(() => client.nextFrame(-1)).toThrow(RangeError);
  });

  it('does not believe a header that promises too much', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect();
    socket.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    await expect(client.nextFrame(10_000)).rejects.toMatchObject({
      why: 'malformed',
      message: 'no more frames after 0: a header promises 4294967295 bytes',
    });
  });

  it('half-closes, and still receives', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    expect(await client.sendFrame(body)).toBe(true);
    expect(await client.end()).toBe(true);
    await ended(seen);
    expect(seen.endings).toEqual(['FIN']);
    expect(bytes(seen)).toEqual(framed(body));
    seen.socket.end(framed(body));
    expect(Buffer.from(await client.nextFrame(10_000))).toEqual(body);
    expect(await client.ended).toBe('end');
    await client.closed;
    expect(await client.end()).toBe(false);
    expect(await client.send(body)).toBe(false);
  });

  it('tells an orderly end, a reset and its own leaving apart', async () => {
    const { connect } = await recorder();
    const [first, one] = await connect();
    one.socket.end();
    const [second, two] = await connect();
    two.socket.resetAndDestroy();
    const [third, three] = await connect();
    await third.close();
    expect(await Promise.all([first.ended, second.ended, third.ended])).toEqual(['end', 'reset', 'left']);
    expect(second.error).toMatchObject({ code: 'ECONNRESET' });
    expect(await howEnded(three)).toBe('FIN');
    await expect(third.nextFrame(10_000)).rejects.toMatchObject({ why: 'left' });
  });

  it('keeps its side open after the end when asked to', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect({ allowHalfOpen: true });
    seen.socket.end();
    expect(await client.ended).toBe('end');
    expect(await client.sendFrame(body)).toBe(true);
    await received(seen, 29);
    expect(seen.endings).toEqual([]);
  });

  it('rejects when nobody listens, and when its signal comes first', async () => {
    const { server, port } = await recorder();
    await new Promise((resolve) => server.close(resolve));
    await expect(FaultClient.connect({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const signal = AbortSignal.abort(new Error('called off'));
    await expect(FaultClient.connect({ port, signal })).rejects.toThrow('called off');
    const controller = new AbortController();
    const connecting = FaultClient.connect({ port, signal: controller.signal });
    controller.abort(new Error('called off later'));
    await expect(connecting).rejects.toThrow('called off later');
  });
});

describe('on the wire', () => {
  it('half a frame is its first bytes, and then nothing', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    await client.halfFrame(body, 3);
    await received(seen, 3);
    await client.wait(20);
    expect(bytes(seen)).toEqual(framed(body).subarray(0, 3));
    expect(seen.endings).toEqual([]);
    expect(() => client.halfFrame(body, 29)).toThrow(RangeError);
    expect(() => client.halfFrame(body, 0)).toThrow(RangeError);
  });

  it('garbage is drawn from the seed, bare or behind a good header', async () => {
    const { connect } = await recorder();
    const got: Buffer[] = [];
    for (const seed of [11, 11, 12]) {
      const [client, seen] = await connect({ seed });
      await client.garbage(300);
      await client.noiseFrame(200);
      await received(seen, 504);
      got.push(bytes(seen));
    }
    expect(got[0].equals(got[1])).toBe(true);
    expect(got[0].equals(got[2])).toBe(false);
    expect(got[0].readUInt32LE(300)).toBe(200);
    expect(got[0]).toHaveLength(504);
    expect(new Set(got[0].subarray(0, 300)).size).toBeGreaterThan(100);
  });

  it.each([
    [2 ** 32 - 1, 16],
    [2 ** 31, 16],
    [5, 5],
  ])('an oversize frame promises %i bytes and sends %i', async (promised, sent) => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    await client.oversize(promised);
    await received(seen, 4 + sent);
    await client.wait(10);
    expect(bytes(seen)).toHaveLength(4 + sent);
    expect(bytes(seen).readUInt32LE(0)).toBe(promised);
  });

  it('an empty frame is a header alone', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    await client.emptyFrame();
    await received(seen, 4);
    expect(bytes(seen)).toEqual(Buffer.alloc(4));
  });

  it('a trickle comes in its small pieces', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    const got: number[] = [];
    seen.socket.on('data', () => got.push(bytes(seen).length));
    const sending = client.trickle(framed(body), { chunkBytes: 10, everyMs: 60_000 });
    await received(seen, 10);
    await client.wait(10);
    expect(got).toEqual([10]);
    await client.close();
    expect(await sending).toBe(10);

    const [quick, whole] = await connect();
    expect(await quick.trickle(framed(body), { chunkBytes: 10, everyMs: 1 })).toBe(29);
    await received(whole, 29);
    expect(bytes(whole)).toEqual(framed(body));
  });

  it('a reset comes after exactly the bytes before it, as an RST and not as a FIN', async () => {
    const { connect } = await recorder();
    const stream = framed(body, body, body);
    for (let count = 0; count <= stream.length; count += 3) {
      const [client, seen] = await connect();
      await client.resetAfter(stream, count);
      expect(await howEnded(seen)).toBe('RST');
      expect(bytes(seen)).toEqual(stream.subarray(0, count));
      expect(await client.ended).toBe('left');
    }
    const [client, seen] = await connect();
    await client.send(stream);
    await received(seen, stream.length);
    await client.reset();
    await ended(seen);
    expect(seen.endings).toEqual(['ECONNRESET']);
  });

  it('closing with something unread is an RST too', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect({ receive: 'never' });
    await new Promise((resolve) => seen.socket.write(body, resolve));
    await client.close();
    await ended(seen);
    expect(seen.endings).toEqual(['ECONNRESET']);
  });
});

describe('a flood', () => {
  it('sends every frame to a server that reads', async () => {
    const { connect } = await recorder();
    const [client, seen] = await connect();
    expect(await client.flood({ frames: 10_001, body, timeMsMax: 60_000 })).toBe(10_001);
    await received(seen, 290_029);
    expect(bytes(seen).equals(framed(...Array(10_001).fill(body)))).toBe(true);
    expect(await client.flood({ frames: 0, body })).toBe(0);
  });

  it('stops at the time given when the server does not read, and what it counts was taken', async () => {
    const { connect } = await recorder({ reads: false });
    const [client, seen] = await connect();
    const frames = 1_000_000;
    const taken = await client.flood({ frames, body: Buffer.alloc(996, 1), timeMsMax: 150 });
    expect(taken).toBeGreaterThan(0);
    // The kernel's buffers on both sides hold some megabytes, not the gigabyte asked for.
    expect(taken).toBeLessThan(100_000);
    let bytesRead = 0;
    seen.socket.on('data', (piece) => {
      bytesRead += piece.length;
    });
    seen.socket.resume();
    await until('what was taken has come', () => bytesRead >= taken * 1000);
    expect(client.ending).toBeUndefined();
  });

  it.each(['close', 'signal'] as const)('ends at once by %s', async (how) => {
    const { connect } = await recorder({ reads: false });
    const controller = new AbortController();
    const [client] = await connect({ signal: controller.signal });
    const taken = client.flood({ frames: 1_000_000, body: Buffer.alloc(996), timeMsMax: 60_000 });
    const stuck = client.send(Buffer.alloc(64 * 1024 * 1024));
    await client.wait(20);
    if (how === 'close') await client.close();
    else controller.abort();
    expect(await taken).toBeLessThan(100_000);
    expect(await stuck).toBe(false);
    expect(await client.ended).toBe('left');
  });
});

describe('reading', () => {
  const megabytes = 16;
  const much = Buffer.alloc(megabytes * 1024 * 1024, 1);

  it.each(['from the start', 'later on'])('stops at the kernel: the server gets stuck, %s', async (when) => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect(when === 'from the start' ? { receive: 'never' } : {});
    let before = 0;
    if (when === 'later on') {
      socket.write(framed(body));
      await client.nextFrame(10_000);
      client.stopReading();
      before = client.bytesReceived;
    }
    let written = false;
    socket.write(much, () => {
      written = true;
    });
    await client.wait(150);
    expect(written).toBe(false);
    expect(socket.writableLength).toBeGreaterThan(0);
    expect(client.bytesReceived).toBe(before);

    client.resumeReading();
    await until('all has come', () => client.bytesReceived === before + much.length);
    await until('the server is rid of it', () => written);
  });

  it('is as slow as it says', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect({ receive: 'count' });
    client.slowReader(100_000);
    const start = performance.now();
    socket.end(Buffer.alloc(50_000));
    expect(await client.ended).toBe('end');
    // Without what is read before the first pause; and timers count whole milliseconds, up to one less.
    expect(performance.now() - start).toBeGreaterThan((50_000 - 16_384 - 10_000) / 100 - 20);
    expect(client.bytesReceived).toBe(50_000);
    expect(client.frames).toEqual([]);
  });

  it('can stop for good while it is slow', async () => {
    const { connect } = await recorder();
    const [client, { socket }] = await connect({ receive: 'count' });
    client.slowReader(1_000_000);
    socket.write(Buffer.alloc(500_000));
    await until('some has come', () => client.bytesReceived > 20_000);
    client.stopReading();
    const before = client.bytesReceived;
    await client.wait(60);
    expect(client.bytesReceived).toBe(before);
    client.resumeReading();
    await until('all has come', () => client.bytesReceived === 500_000);
  });
});

describe('a reconnect storm', () => {
  it('opens what it was told to, so many at a time, and counts how each ended', async () => {
    const { port, seen } = await recorder({
      onConnection: ({ socket }) => {
        socket.once('data', ([what]) => {
          if (what === 1) socket.end();
          if (what === 2) socket.resetAndDestroy();
        });
      },
    });
    let now = 0;
    let most = 0;
    const drawn: number[] = [];
    const counts = await reconnectStorm({
      port,
      connections: 300,
      concurrency: 16,
      seed: 40,
      async behaviour(client, index) {
        drawn[index] = client.random.word();
        most = Math.max(most, ++now);
        await client.send(Uint8Array.of(index % 3));
        if (index % 3 === 0) await client.reset();
        else await client.ended;
        now--;
        if (index === 7) throw Object.assign(new Error('as it may'), { code: 'EXAMPLE' });
      },
    });
    expect(counts).toEqual({
      connected: 300,
      refused: 0,
      ended: 100,
      reset: 100,
      left: 100,
      failed: 0,
      errors: { EXAMPLE: 1 },
    });
    expect(most).toBe(16);
    expect(drawn).toEqual(Array.from({ length: 300 }, (_, index) => new Random(40 + index).word()));
    await until('the server has had them all', () => seen.length === 300);
    await until('all are gone', () => seen.every(({ socket }) => socket.destroyed || socket.readableEnded));
  });

  it('counts those that nobody took', async () => {
    const { server, port } = await recorder();
    await new Promise((resolve) => server.close(resolve));
    const counts = await reconnectStorm({ port, connections: 20, concurrency: 3, async behaviour() {} });
    expect(counts).toMatchObject({ connected: 0, refused: 20, errors: {} });
  });

  it('ends by its signal, and a behaviour that never settles by its time', async () => {
    const { port } = await recorder();
    const controller = new AbortController();
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    let started = 0;
    const storm = reconnectStorm({
      port,
      connections: 1000,
      concurrency: 20,
      timeMsMax: 3_600_000,
      signal: controller.signal,
      behaviour() {
        if (++started === 20) controller.abort();
        return new Promise(() => {});
      },
    });
    expect(await storm).toMatchObject({ connected: 20, left: 20, errors: {} });
    process.off('warning', warned);
    expect(warnings).toEqual([]);

    const stuck = await reconnectStorm({
      port,
      connections: 4,
      concurrency: 2,
      timeMsMax: 10,
      behaviour: () => new Promise(() => {}),
    });
    expect(stuck).toMatchObject({ connected: 4, left: 4 });
  });
});

describe('the catalogue of faults', () => {
  it.each(faults)('$name draws all it sends from its generator, and leaves nothing behind', async (fault) => {
    const { connect } = await recorder();
    const runs: string[] = [];
    const before = resources();
    for (const seed of [5, 5]) {
      const [client, seen] = await connect({ seed: runs.length });
      await fault.run(client, new Random(seed), { bytesMax: 200_000, timeMsMax: 20_000 });
      await client.end();
      await client.close();
      await ended(seen);
      seen.socket.destroy();
      // What an RST overtakes in the kernel's buffers is lost.
      if (fault.name !== 'flood-then-reset') runs.push(bytes(seen).toString('hex'));
      expect(bytes(seen).length).toBeLessThanOrEqual(200_000);
    }
    expect(runs[0] === runs[1]).toBe(true);
    await until('timers and sockets are gone', () =>
      resources().every((count, kind) => count <= before[kind]),
    );
  });

  it('is over in its time, whatever the server does not do', async () => {
    const { connect } = await recorder({ reads: false });
    const setting = { bytesMax: 64 * 1024 * 1024, timeMsMax: 50, request: () => Buffer.alloc(100_000) };
    for (const fault of faults) {
      const [client] = await connect();
      await fault.run(client, new Random(1), setting);
      await client.close();
    }
  });

  it.each(faults)('$name ends with its client, and so do its timers', async (fault) => {
    const { connect } = await recorder({
      reads: false,
      onConnection: ({ socket }) => socket.write(Buffer.alloc(100_000)),
    });
    const before = resources();
    const [client, seen] = await connect({ receive: 'count' });
    const setting = { bytesMax: 64 * 1024 * 1024, timeMsMax: 3_600_000 };
    const running = fault.run(client, new Random(1), setting);
    await client.wait(5);
    await client.close();
    await running;
    seen.socket.destroy();
    await until('timers and sockets are gone', () =>
      resources().every((count, kind) => count <= before[kind]),
    );
  });

  it('ends as it says', async () => {
    const endings: Record<string, string> = {};
    const { connect } = await recorder();
    for (const { name, run } of faults) {
      const [client, seen] = await connect();
      await run(client, new Random(3), { bytesMax: 10_000 });
      const over = client.ending === 'left' || name.startsWith('half-close');
      endings[name] = over ? await howEnded(seen) : (seen.endings[0] ?? 'open');
    }
    expect(endings).toEqual({
      'connect-and-leave': 'FIN',
      'connect-and-reset': 'RST',
      'half-close': 'FIN',
      'half-header': 'open',
      'half-frame': 'open',
      'half-close-mid-frame': 'FIN',
      'reset-mid-frame': 'RST',
      'reset-at-byte-n': 'RST',
      'empty-frame': 'open',
      garbage: 'open',
      'noise-in-frame': 'open',
      oversize: 'open',
      'oversize-after-request': 'open',
      flood: 'open',
      'flood-then-reset': 'RST',
      trickle: 'open',
      'never-reads': 'open',
      'leaves-unread': 'FIN',
      'slow-reader': 'open',
    });
  });

  it('leaves answers unread where it says so', async () => {
    const { connect } = await recorder();
    const fault = faults.find(({ name }) => name === 'leaves-unread')!;
    const [client, seen] = await connect({ receive: 'never' });
    await new Promise((resolve) => seen.socket.write(body, resolve));
    await fault.run(client, new Random(3));
    expect(await howEnded(seen)).toBe('RST');
    expect(client.bytesReceived).toBe(0);
  });
});
