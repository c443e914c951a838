import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseProcessStat, processStat } from '#ackgate/shared/process-stat.js';
import { checkPlatform, describeMachine, versions } from '#ackgate/soak/machine.js';
import { OutputTail } from '#ackgate/soak/output-tail.js';
import { pageSizeBytes, pageSizeOf } from '#ackgate/soak/samplers/page-size.js';
import {
  countConnections,
  freePort,
  listensItself,
  portTaken,
  serverConnections,
  settledConnections,
} from '#ackgate/soak/samplers/ports.js';
import { childrenOf, parseSmapsRollup, parseStatus, readProcess } from '#ackgate/soak/samplers/process.js';
import { parseStatm, peakWhile, RssSampler } from '#ackgate/soak/samplers/rss.js';
import { parseTcpTable, readTcpTable } from '#ackgate/soak/samplers/tcp-table.js';

const MiB = 1024 * 1024;

function program(...args: string[]): ChildProcess {
  const child = spawn(args[0], args.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function goneProcess(): Promise<number> {
  const child = program('true');
  await once(child, 'close');
  return child.pid as number;
}

describe('parsers', () => {
  const rollup = `560ca903a000-7fff38073000 ---p 00000000 00:00 0                          [rollup]
Rss:                1576 kB
Pss:                 335 kB
Pss_Anon:            112 kB
Private_Clean:        68 kB
Anonymous:           111 kB
AnonHugePages:         7 kB
`;

  it('smaps_rollup', () => {
    expect(parseSmapsRollup(rollup)).toEqual({
      rssBytes: 1576 * 1024,
      pssBytes: 335 * 1024,
      anonymousBytes: 111 * 1024,
    });
    expect(parseSmapsRollup('')).toEqual({ rssBytes: null, pssBytes: null, anonymousBytes: null });
    expect(parseSmapsRollup(null)).toEqual({ rssBytes: null, pssBytes: null, anonymousBytes: null });
    expect(parseSmapsRollup(rollup.replace('335 kB', 'many')).pssBytes).toBeNull();
  });

  const status =
    'Name:\tThreads: 9\nState:\tS (sleeping)\nVmHWM:\t  900 kB\nVmRSS:\t  812 kB\nThreads:\t11\n';

  it('status', () => {
    expect(parseStatus(status)).toEqual({ rssBytes: 812 * 1024, threads: 11 });
    // One that has ended has a thread, but is no running process.
    expect(parseStatus('Name:\tnode\nState:\tZ (zombie)\nThreads:\t1\n')).toEqual({
      rssBytes: null,
      threads: null,
    });
    expect(parseStatus(null)).toEqual({ rssBytes: null, threads: null });
  });

  it('stat, whatever the command is called', () => {
    const rest = '17 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 7301 0 0';
    const stat = { parent: 4, group: 18, ended: false, startTicks: 7301 };
    expect(parseProcessStat(`17 (node) S 4 18 ${rest}`)).toEqual(stat);
    expect(parseProcessStat(`17 (a) R 9 (b) S 4 18 ${rest}`)).toEqual(stat);
    expect(parseProcessStat(`17 (node) Z 4 18 ${rest}`)).toEqual({ ...stat, ended: true });
    expect(parseProcessStat('')).toBeNull();
  });

  it('statm', () => {
    expect(parseStatm('250 30 20 1 0 80 0\n', 4096)).toBe(30 * 4096);
    expect(parseStatm('250 30 20 1 0 80 0\n', 65_536)).toBe(30 * 65_536);
    expect(parseStatm('0 0 0 0 0 0 0\n', 4096)).toBeNull();
    expect(parseStatm('', 4096)).toBeNull();
  });

  it.each([
    ['LE', 8],
    ['BE', 8],
    ['LE', 4],
    ['BE', 4],
  ] as const)('the auxiliary vector, %s with words of %i bytes', (order, wordBytes) => {
    const words = (...values: number[]) =>
      Buffer.concat(
        values.map((value) => {
          const word = Buffer.alloc(wordBytes);
          const at = order === 'LE' ? 0 : wordBytes - 4;
          if (order === 'LE') word.writeUInt32LE(value, at);
          else word.writeUInt32BE(value, at);
          return word;
        }),
      );
    // A value of 6 is no key.
    expect(pageSizeOf(words(33, 6, 16, 7, 6, 16_384, 0, 0), order, wordBytes)).toBe(16_384);
    expect(pageSizeOf(words(33, 6, 16, 7, 0, 0), order, wordBytes)).toBeNull();
    expect(pageSizeOf(words(6, 0, 0, 0), order, wordBytes)).toBeNull();
    expect(pageSizeOf(words(33, 1, 6), order, wordBytes)).toBeNull();
    expect(pageSizeOf(Buffer.alloc(3), order, wordBytes)).toBeNull();
  });

  it('tables of connections', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   3: 0100007F:1F90 0100007F:C351 08 00000001:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
   4: 0100007F:1F90 0100007F:C352 06 00000000:00000000 03:00000F5C 00000000     0        0 0 3 0
   5: 0100007F:01F9 0100007F:C353 01 00000000:00000000 00:00000000 00000000     0        0 5 1 0 20 4 30 10 -1
`;
    const none = new Set<string>();
    const count = (text: string, port: number, own = none) =>
      countConnections(parseTcpTable(text), port, own);
    expect(count(table, 8080)).toBe(2);
    expect(count(table, 505)).toBe(1);
    expect(count(table, 8081)).toBe(0);
    expect(count('', 8080)).toBe(0);
    const mapped = table.replaceAll('0100007F:', '0000000000000000FFFF00000100007F:');
    expect(count(mapped, 8080)).toBe(2);
    // The client's end: open in this process, in another, half closed, in the other table.
    expect(count(table, 8080, new Set(['3']))).toBe(1);
    expect(count(table, 8080, new Set(['2', '4']))).toBe(2);
    expect(count(table.replace('C350 0100007F:1F90 01', 'C350 0100007F:1F90 05'), 8080, new Set(['3']))).toBe(
      2,
    );
    const both = mapped.replace(/^.*C350 .*1F90 .*$/m, table.split('\n')[3]);
    expect(count(both, 8080, new Set(['3']))).toBe(1);
  });
});

describe('of a real process', () => {
  it('memory, threads and descriptors are those that it has', () => {
    const reading = readProcess(process.pid);
    const { rss } = process.memoryUsage();
    expect(reading.rssBytes).toBeGreaterThan(rss / 2);
    expect(reading.rssBytes).toBeLessThan(rss * 2);
    expect(reading.pssBytes).toBeGreaterThan(0);
    expect(reading.pssBytes).toBeLessThanOrEqual(reading.rssBytes as number);
    expect(reading.anonymousBytes).toBeGreaterThan(0);
    expect(reading.anonymousBytes).toBeLessThanOrEqual(reading.rssBytes as number);
    expect(reading.threads).toBeGreaterThan(4);
    const more = [1, 2, 3].map(() => openSync('/dev/null', 'r'));
    expect(readProcess(process.pid).fds).toBe((reading.fds as number) + 3);
    for (const fd of more) closeSync(fd);
  });

  it('of one that has ended, nothing', async () => {
    const gone = await goneProcess();
    const nothing = { rssBytes: null, pssBytes: null, anonymousBytes: null, threads: null, fds: null };
    expect(readProcess(gone)).toEqual(nothing);
    expect(readProcess(Number.NaN)).toEqual(nothing);
    expect(childrenOf(gone)).toBeNull();
    const sampler = new RssSampler(gone);
    expect(sampler.rssBytes()).toBeNull();
    sampler.close();
    const peak = await peakWhile(gone, 5, async () => 'done');
    expect(peak).toEqual({ idleRssBytes: null, peakRssBytes: null, readings: 0, value: 'done' });
  });

  it('one that has ended but was not waited for has no memory, descriptors or threads', async () => {
    // The shell's child ends; the program that takes the shell's place does not know of it.
    const child = program('sh', '-c', 'sleep 0 & echo $!; exec sleep 60');
    const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data');
    const pid = Number(String(line));
    const state = () => processStat(pid);
    await expect.poll(state, { timeout: 20_000 }).toMatchObject({ ended: true });
    expect(readProcess(pid)).toMatchObject({ rssBytes: null, pssBytes: null, threads: null });
    const sampler = new RssSampler(pid);
    expect(sampler.rssBytes()).toBeNull();
    sampler.close();
    expect(childrenOf(child.pid as number)).toBe(0);
  });

  it('the page size is what the kernel says', async () => {
    const child = program('getconf', 'PAGESIZE');
    const [text] = await once(child.stdout as NodeJS.ReadableStream, 'data');
    expect(pageSizeBytes()).toBe(Number(String(text)));
    expect(['LE', 'BE']).toContain(endianness());
  });

  it('RSS is read anew each time, and as by the other reading', () => {
    const sampler = new RssSampler(process.pid);
    onTestFinished(() => sampler.close());
    const before = sampler.rssBytes() as number;
    const taken = Buffer.alloc(64 * MiB, 1);
    const during = sampler.rssBytes() as number;
    expect(during - before).toBeGreaterThan(48 * MiB);
    const other = readProcess(process.pid).rssBytes as number;
    expect(Math.abs(during - other)).toBeLessThan(16 * MiB);
    expect(taken.length).toBe(64 * MiB);
  });

  it('RSS is that of this process, and null when it has ended', async () => {
    const child = program('cat');
    const sampler = new RssSampler(child.pid as number);
    onTestFinished(() => sampler.close());
    expect(sampler.rssBytes()).toBeGreaterThan(0);
    child.stdin?.end();
    await once(child, 'close');
    expect(sampler.rssBytes()).toBeNull();
    sampler.close();
    expect(sampler.rssBytes()).toBeNull();
  });

  it('a peak is asked for until the work is done, and its error passed on', async () => {
    // In a process of its own: what is collected here meanwhile would lower the peak.
    const script = `process.stdin.once('data', () => {
      globalThis.kept = Buffer.alloc(${64 * MiB}, 1);
      console.log('taken');
    });
    console.log('ready');`;
    const child = program(process.execPath, '-e', script);
    const said = async () => String((await once(child.stdout as NodeJS.ReadableStream, 'data'))[0]);
    expect(await said()).toBe('ready\n');
    const take = () => {
      child.stdin?.write('take');
      return said();
    };
    const { value, readings, idleRssBytes, peakRssBytes } = await peakWhile(child.pid as number, 5, take);
    expect(value).toBe('taken\n');
    expect(readings).toBeGreaterThanOrEqual(2);
    expect(idleRssBytes).toBeGreaterThan(0);
    expect((peakRssBytes as number) - (idleRssBytes as number)).toBeGreaterThan(48 * MiB);
    const descriptors = readProcess(process.pid).fds;
    const failing = peakWhile(process.pid, 5, () => Promise.reject(new Error('broken')));
    await expect(failing).rejects.toThrow('broken');
    expect(readProcess(process.pid).fds).toBe(descriptors);
  });

  it('children are counted with their own children', async () => {
    const script = 'sh -c "sleep 60 & echo; wait" & wait';
    const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void process.kill(-(child.pid as number), 'SIGKILL'));
    await once(child.stdout, 'data');
    await expect.poll(() => childrenOf(child.pid as number), { timeout: 20_000 }).toBe(2);
  });
});

describe('connections of a server', () => {
  const patient = { timeout: 20_000 };
  const whoever = (port: number) => countConnections(readTcpTable() ?? [], port, new Set());

  async function halfOpenServer(host = '127.0.0.1') {
    const accepted: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.resume();
      socket.on('error', () => {});
      accepted.push(socket);
    });
    server.listen(0, host);
    await once(server, 'listening');
    onTestFinished(() => {
      for (const socket of accepted) socket.destroy();
      server.close();
    });
    return { accepted, port: (server.address() as { port: number }).port };
  }

  /** Of this process. */
  async function client(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  }

  it.each(['127.0.0.1', '::'])('on %s: its own side, until it has closed it', async (host) => {
    const server = await halfOpenServer(host).catch((error: Error) => error);
    if (server instanceof Error) {
      console.warn(`not tested on ${host}: ${server.message}`);
      return;
    }
    const { accepted, port } = server;
    expect(serverConnections(port)).toBe(0);
    const script = `const clients = [1, 2].map(() => require('net').connect(${port}, '127.0.0.1'));
      process.stdin.on('data', () => clients[0].end());`;
    const clients = program(process.execPath, '-e', script);
    await expect.poll(() => accepted.length, patient).toBe(2);
    expect(serverConnections(port)).toBe(2);
    // The server does not close its side: CLOSE_WAIT is a connection all the same.
    const ended = Promise.race(accepted.map((socket) => once(socket, 'end')));
    clients.stdin?.write('\n');
    await ended;
    expect(serverConnections(port)).toBe(2);
    for (const socket of accepted) socket.destroy();
    await expect.poll(() => serverConnections(port), patient).toBe(0);
  });

  it.each(['127.0.0.1', '::'])('on %s: not one that this process keeps open', async (host) => {
    const server = await halfOpenServer(host).catch((error: Error) => error);
    if (server instanceof Error) {
      console.warn(`not tested on ${host}: ${server.message}`);
      return;
    }
    const { accepted, port } = server;
    const [halfClosed, closed] = [await client(port), await client(port), await client(port)];
    await expect.poll(() => accepted.length, patient).toBe(3);
    expect(whoever(port)).toBe(3);
    expect(serverConnections(port)).toBe(0);
    halfClosed.end();
    await expect.poll(() => serverConnections(port), patient).toBe(1);
    closed.destroy();
    await expect.poll(() => serverConnections(port), patient).toBe(2);
    expect(whoever(port)).toBe(3);
  });

  it('are given time to end, and no more', async () => {
    const { accepted, port } = await halfOpenServer();
    (await client(port)).end();
    await expect.poll(() => serverConnections(port), patient).toBe(1);
    let nowMs = 0;
    let onSleep = () => {};
    const clock = {
      nowMs: () => nowMs,
      async sleep(ms: number) {
        nowMs += ms;
        onSleep();
        await new Promise((resolve) => setTimeout(resolve, 1));
      },
    };
    const { signal } = new AbortController();
    expect(await settledConnections(port, 0, clock, signal)).toBe(1);
    expect(await settledConnections(port, 60_000, clock, AbortSignal.abort())).toBe(1);
    expect(nowMs).toBe(0);
    expect(await settledConnections(port, 510, clock, signal)).toBe(1);
    expect(nowMs).toBe(510);
    onSleep = () => {
      if (nowMs > 1000) accepted[0].destroy();
    };
    expect(await settledConnections(port, 1e9, clock, signal)).toBe(0);
    expect(nowMs).toBeGreaterThan(1000);
  });
});

describe('a port', () => {
  const listen = (port: number, host = '127.0.0.1') =>
    `require('net').createServer().listen({ port: ${port}, host: '${host}', backlog: 1 }, () => console.log('on'));`;

  it('that is free can be listened on', async () => {
    const server = createServer();
    server.listen(await freePort(), '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });

  it('is taken while somebody listens there', async () => {
    const port = await freePort();
    expect(await portTaken('127.0.0.1', port)).toBe(false);
    const child = program(process.execPath, '-e', listen(port, '0.0.0.0'));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    expect(await portTaken('127.0.0.1', port)).toBe(true);
    expect(await portTaken('localhost', port)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await portTaken('127.0.0.1', port)).toBe(false);
  });

  it('is taken by somebody who is too busy to accept', async () => {
    const port = await freePort();
    const child = program(process.execPath, '-e', listen(port));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill('SIGSTOP');
    for (let count = 0; count < 8; count++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
    }
    expect(await portTaken('127.0.0.1', port)).toBe(true);
  });

  it.each([
    ['itself', 'exec "$0" -e "$1"'],
    ['by a child', '"$0" -e "$1" & wait'],
    ['by one of its group whose parent is gone', '("$0" -e "$1" &); exec sleep 60'],
  ])('is listened on by a server %s', async (_how, script) => {
    const port = await freePort();
    const server = spawn('sh', ['-c', script, process.execPath, listen(port)], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = server.pid as number;
    onTestFinished(() => void process.kill(-pid, 'SIGKILL'));
    await once(server.stdout, 'data');
    expect(listensItself(pid, port)).toBe(true);
    expect(listensItself(program('cat').pid as number, port)).toBe(false);
  });

  it('is not known to be listened on where nobody is seen, or no process', async () => {
    expect(listensItself(process.pid, await freePort())).toBeNull();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    expect(listensItself(process.pid, port)).toBe(true);
    expect(listensItself(await goneProcess(), port)).toBeNull();
    expect(listensItself(Number.NaN, port)).toBeNull();
  });
});

describe('the end of an output', () => {
  const kept = (bytesMax: number, ...chunks: string[]) => {
    const tail = new OutputTail(bytesMax);
    for (const chunk of chunks) tail.append(Buffer.from(chunk));
    return tail.text();
  };

  it('is whole while it fits', () => {
    expect(kept(8)).toBe('');
    expect(kept(8, 'abc', 'de')).toBe('abcde');
    expect(kept(8, 'abcdefgh')).toBe('abcdefgh');
    expect(kept(8, 'abcd', '', 'efgh')).toBe('abcdefgh');
  });

  it('is what came last, in pieces of any size', () => {
    const text = Array.from({ length: 200 }, (_, index) => String.fromCharCode(33 + (index % 90))).join('');
    for (let size = 1; size <= 40; size++) {
      const pieces = text.match(new RegExp(`.{1,${size}}`, 'g')) as string[];
      expect(kept(16, ...pieces)).toBe(text.slice(-16));
    }
    expect(kept(16, 'abc', text, 'z')).toBe(`${text}z`.slice(-16));
  });

  it('does not begin with half a character', () => {
    expect(kept(4, 'aé', 'bcd')).toBe('bcd');
    expect(kept(4, '😀', 'ab')).toBe('ab');
    expect(kept(4, 'ééa')).toBe('éa');
    expect(kept(6, 'x😀', 'ab')).toBe('😀ab');
  });
});

describe('what it runs on', () => {
  it('is described without a name', () => {
    const machine = describeMachine();
    expect(Object.keys(machine)).toEqual(['cpu', 'cpus', 'memoryBytes', 'platform', 'kernel']);
    for (const value of Object.values(machine)) expect(value).toBeTruthy();
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(versions()).toMatchObject({ ackgate: version, node: process.versions.node });
  });

  it('must have /proc', () => {
    expect(() => checkPlatform()).not.toThrow();
    const refused = { code: 'ERR_ACKGATE_SOAK_PLATFORM' };
    expect(() => checkPlatform('darwin')).toThrow(
      expect.objectContaining({ ...refused, message: expect.stringContaining('darwin') }),
    );
    expect(() => checkPlatform('linux', '/proc/none')).toThrow(
      expect.objectContaining({ ...refused, message: expect.stringContaining('/proc/none') }),
    );
  });
});
