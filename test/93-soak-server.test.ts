import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { processStat } from '#ackgate/shared/process-stat.js';
import { describeExit, lastLines } from '#ackgate/soak/exit.js';
import { ProbeClient } from '#ackgate/soak/probe-client.js';
import { freePort } from '#ackgate/soak/samplers/ports.js';
import { peakWhile } from '#ackgate/soak/samplers/rss.js';
import { ServerProcess, type ServerStart } from '#ackgate/soak/server-process.js';
import { echoDriver } from './support/soak-echo.js';

const MiB = 1024 * 1024;
const patient = { timeout: 30_000 };
const acts = fileURLToPath(new URL('fixtures/soak/child-acts.mjs', import.meta.url));
const commonJsMain = fileURLToPath(new URL('fixtures/soak/child-main.cjs', import.meta.url));

type Options = Partial<ServerStart['command']> & { probe?: ServerStart['probe'] };

function start(args: readonly string[], { probe = false, ...command }: Options = {}): ServerProcess {
  const server = ServerProcess.start({
    command: { command: process.execPath, args, ...command },
    host: '127.0.0.1',
    port: 4711,
    directory: '/its/folder',
    probe,
  });
  onTestFinished(async () => {
    server.kill();
    await server.exited;
  });
  return server;
}

const act = (name: string, options?: Options) => start([acts, ...name.split(' ')], options);

async function says(server: ServerProcess, words: RegExp): Promise<RegExpExecArray> {
  await expect.poll(() => server.output, patient).toMatch(words);
  return words.exec(server.output) as RegExpExecArray;
}

/** Whether it runs: one that has ended may not have been waited for. */
const isAlive = (pid: number): boolean => processStat(pid)?.ended === false;

function ordered(server: ServerProcess, order: string, value: number): Promise<void> {
  return new Promise((resolve) => {
    const off = server.onMessage((message) => {
      if ((message as { done: string }).done !== order) return;
      off();
      resolve();
    });
    server.send({ order, value });
  });
}

describe('a server ends', () => {
  it('by itself: with its exit code and last output', async () => {
    const server = act('says-and-exits');
    expect(server.exit).toBeNull();
    const exit = await server.exited;
    expect(exit).toEqual({ code: 3, signal: null, error: null });
    expect(server.exit).toEqual(exit);
    expect(describeExit(exit)).toBe('exit code 3');
    expect(server.output).toContain('first words\n');
    expect(server.output).toContain('last words\n');
    // All of it may be called on.
    server.kill();
    expect(server.send('nobody hears this')).toBe(false);
    expect(await server.stop(1000)).toEqual(exit);
    expect(await server.own(true)).toBeNull();
  });

  it('by itself, killed by a signal', async () => {
    const server = act('stays');
    await says(server, /on/);
    process.kill(server.pid, 'SIGSEGV');
    expect(describeExit(await server.exited)).toBe('signal SIGSEGV');
  });

  it('when it is asked to, in order', async () => {
    const server = act('ends-slowly');
    await says(server, /on/);
    const exits = await Promise.all([server.stop(30_000), server.stop(0)]);
    expect(exits).toEqual(Array(2).fill({ code: 7, signal: null, error: null }));
    expect(server.output).toContain('in order');
  });

  it('when it does not want to', async () => {
    const server = act('ignores-sigterm');
    await says(server, /on/);
    expect(await server.stop(200)).toEqual({ code: null, signal: 'SIGKILL', error: null });
    expect(server.output).toContain('no\n');
  });

  it('when it is killed', async () => {
    const server = act('ignores-sigterm');
    await says(server, /on/);
    server.kill();
    expect(describeExit(await server.exited)).toBe('signal SIGKILL');
  });

  it.each([
    ['/no/such/program', 'no such command (ENOENT)'],
    ['no-such-program-anywhere', 'no such command (ENOENT)'],
    [fileURLToPath(import.meta.url), 'EACCES'],
    ['with\0zero', 'null bytes'],
  ])('because %j is no command', async (command, why) => {
    for (const probe of [false, true]) {
      const server = start([], { command, probe, ipc: true });
      const exit = await server.exited;
      expect(exit).toMatchObject({ code: null, signal: null });
      expect(exit.error).toContain('could not be started');
      expect(exit.error).toContain(why);
      expect(describeExit(exit)).toBe(exit.error);
      expect(server.exit).toEqual(exit);
      expect(server.pid).toBeNaN();
      // Nobody is meant by this.
      server.kill();
      expect(server.send('x')).toBe(false);
      expect(await server.stop(1)).toEqual(exit);
      expect(await server.own(false)).toBeNull();
    }
  });
});

describe('its group', () => {
  const wrapped = (inner: string): string[] => ['-c', `"$0" "$1" ${inner} & echo wrapped $!; wait; exit 9`];
  const wrapper = (inner: string) =>
    start([...wrapped(inner), process.execPath, acts], { command: '/bin/sh', probe: 'auto' });

  it('is not ours', () => {
    const group = (pid: number) => processStat(pid)?.group;
    const server = act('stays');
    expect(group(server.pid)).toBe(server.pid);
    expect(group(process.pid)).not.toBe(server.pid);
  });

  it('ends with a wrapper that is asked to end: the server in it in its own time', async () => {
    const server = wrapper('ends-slowly');
    const [, pid] = await says(server, /wrapped (\d+)/);
    await says(server, /on\n/);
    await server.stop(30_000);
    expect(isAlive(Number(pid))).toBe(false);
    // The shell was gone by then.
    expect(server.output).toContain('in order');
  });

  it('ends with a wrapper that is asked to end, also one that does not want to', async () => {
    const server = wrapper('ignores-sigterm');
    const [, pid] = await says(server, /wrapped (\d+)/);
    await says(server, /on\n/);
    expect((await server.stop(300)).signal).toBe('SIGTERM');
    expect(server.output).toContain('no\n');
    await expect.poll(() => isAlive(Number(pid)), patient).toBe(false);
  });

  it('ends with a wrapper that is killed', async () => {
    const server = wrapper('ignores-sigterm');
    const [, pid] = await says(server, /wrapped (\d+)/);
    await says(server, /on\n/);
    server.kill();
    await server.exited;
    await expect.poll(() => isAlive(Number(pid)), patient).toBe(false);
  });

  it('ends when it is killed while the rest of it was still given time', async () => {
    const server = wrapper('ignores-sigterm');
    const [, pid] = await says(server, /wrapped (\d+)/);
    await says(server, /on\n/);
    const stopped = server.stop(1e6);
    await expect.poll(() => server.exit, patient).not.toBeNull();
    expect(isAlive(Number(pid))).toBe(true);
    server.kill();
    await expect.poll(() => isAlive(Number(pid)), patient).toBe(false);
    await stopped;
  });

  it('ends with a server that ends by itself', async () => {
    const server = act('leaves');
    const [, pid] = await says(server, /left (\d+)/);
    expect(describeExit(await server.exited)).toBe('exit code 0');
    await expect.poll(() => isAlive(Number(pid)), patient).toBe(false);
  });

  it('is not waited for by who has left it with its output, and the end is known at once', async () => {
    const server = act('daemonizes');
    let over = false;
    server.exited.then(() => {
      over = true;
    });
    // In the very turn of the loop: no timer can have run since.
    while (server.exit === null && !over) await new Promise(setImmediate);
    expect(over).toBe(false);
    expect(await server.exited).toEqual(server.exit);
    expect(describeExit(await server.exited)).toBe('exit code 0');
    const [, pid] = await says(server, /left (\d+)/);
    onTestFinished(() => void process.kill(Number(pid), 'SIGKILL'));
    expect(isAlive(Number(pid))).toBe(true);
  });
});

describe('its output', () => {
  it('is kept to the end, and no more of it', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = () => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = used();
    const server = act('logs 50');
    await says(server, /the end\n$/);
    // What was collected is given back by and by.
    await expect.poll(() => used() - before, patient).toBeLessThan(16 * MiB);
    expect(server.output).toHaveLength(64 * 1024);
    expect(lastLines(server.output, 2)).toBe(`${'.'.repeat(1023)}\nthe end`);
  });

  it('of nothing has no lines', () => {
    expect(lastLines('', 3)).toBe('');
    expect(lastLines('a\nb\nc\n\n', 2)).toBe('b\nc');
    expect(lastLines('a', 2)).toBe('a');
  });
});

describe('its command', () => {
  const told = async (server: ServerProcess) => {
    await server.exited;
    return JSON.parse(server.output);
  };

  it('has the port and the folder where it asks for them', async () => {
    const server = start([acts, 'tells', '--at={port}:{port}', '{dir}/x'], { env: { GIVEN: 'yes' } });
    expect(await told(server)).toEqual({
      PORT: '4711',
      GIVEN: 'yes',
      args: ['--at=4711:4711', '/its/folder/x'],
      execArgv: [],
    });
    expect(server.commandLine).toEqual([process.execPath, acts, 'tells', '--at=4711:4711', '/its/folder/x']);
  });

  it('gets the probe when it is Node, and does not see its descriptor', async () => {
    for (const command of [process.execPath, 'node']) {
      const { execArgv, ACKGATE_SOAK_FD } = await told(act('tells', { command, probe: 'auto' }));
      expect(execArgv).toEqual(['--import', expect.stringMatching(/^file:.*\/soak\/probe\.js$/)]);
      expect(ACKGATE_SOAK_FD).toBeUndefined();
    }
    const server = start(['-c', 'echo "fd $ACKGATE_SOAK_FD."'], { command: 'sh', probe: 'auto' });
    await server.exited;
    expect(server.output).toBe('fd .\n');
  });

  it('does not get the descriptor of a probe in the runner', async () => {
    process.env.ACKGATE_SOAK_FD = '9';
    onTestFinished(() => void delete process.env.ACKGATE_SOAK_FD);
    expect(await told(act('tells'))).not.toHaveProperty('ACKGATE_SOAK_FD');
  });
});

describe('IPC', () => {
  it('goes both ways, until it is not listened to', async () => {
    const server = act('obeys', { ipc: true });
    const heard: unknown[] = [];
    const off = server.onMessage((message) => heard.push(message));
    await ordered(server, 'buffer', 10);
    expect(heard).toEqual([{ done: 'buffer', holds: 10 }]);
    off();
    await ordered(server, 'buffer', 20);
    expect(heard).toHaveLength(1);
    // It has nothing else to do.
    server.send({ order: 'leave' });
    expect(describeExit(await server.exited)).toBe('exit code 0');
    server.send({ order: 'buffer' });
  });

  it('without a channel, nothing', async () => {
    const server = act('stays');
    await says(server, /on/);
    expect(server.send('nobody hears this')).toBe(false);
    server.onMessage(() => {})();
    expect(server.exit).toBeNull();
  });

  it('a server that dies with messages on their way to it takes nobody along', async () => {
    const server = act('obeys', { ipc: true, probe: 'auto' });
    await says(server, /on/);
    process.kill(server.pid, 'SIGKILL');
    const own = server.own(true);
    for (let count = 0; count < 1000; count++) server.send({ order: 'buffer', value: 'x'.repeat(1000) });
    expect(describeExit(await server.exited)).toBe('signal SIGKILL');
    expect(await own).toBeNull();
  });

  it('the echo server tells its status', async () => {
    const port = await freePort();
    const driver = echoDriver();
    const command = driver.server?.({ host: '127.0.0.1', port, directory: '' });
    const server = start(command?.args ?? [], { ipc: true });
    expect(await driver.status?.(server)).toEqual({ connections: 0, requests: 0 });
    expect(describeExit(await server.stop(30_000))).toBe('exit code 0');
  });
});

describe('the probe', () => {
  it('tells the heap with and without garbage', async () => {
    const server = act('obeys', { ipc: true, probe: 'auto' });
    await says(server, /on/);
    const idle = await server.own(true);
    expect(idle?.heapAfterGcBytes).toBeGreaterThan(0);
    // What lives on is not the runner's to say; the garbage is much more than that.
    await ordered(server, 'garbage', 20_000);
    const without = await server.own(false);
    expect(without?.heapAfterGcBytes).toBeNull();
    expect(without?.heapUsedBytes).toBeGreaterThan((idle?.heapAfterGcBytes as number) + MiB);
    const collected = await server.own(true);
    expect(collected?.heapUsedBytes).toBeGreaterThan((idle?.heapAfterGcBytes as number) + MiB);
    expect(collected?.heapAfterGcBytes).toBeLessThan((collected?.heapUsedBytes as number) - MiB);
  });

  it('tells external memory', async () => {
    const server = act('obeys', { ipc: true, probe: 'auto' });
    await says(server, /on/);
    const before = (await server.own(true))?.externalBytes as number;
    await ordered(server, 'buffer', 32 * MiB);
    const during = (await server.own(false))?.externalBytes as number;
    expect(during - before).toBeGreaterThan(31 * MiB);
    await ordered(server, 'garbage', 1);
    const delta = async () => ((await server.own(true))?.externalBytes as number) - before;
    await expect.poll(delta, patient).toBeLessThan(MiB);
  });

  describe('tells the delay of the event loop', () => {
    /** It counts from one tick to the next: a reading that has a figure shows that there are ticks. */
    const delay = async (server: ServerProcess): Promise<number> => {
      let delayMs: number | null | undefined;
      const ask = async () => {
        delayMs = (await server.own(false))?.eventLoopDelayP99Ms;
        return delayMs;
      };
      await expect.poll(ask, { ...patient, interval: 30 }).not.toBeNull();
      return delayMs as number;
    };
    const rounds = [1, 2, 3];

    it('since the last reading', async () => {
      const server = act('obeys', { ipc: true, probe: 'auto' });
      await says(server, /on/);
      const quiet: number[] = [];
      for (const _ of rounds) {
        await delay(server);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await ordered(server, 'block', 400);
        expect((await server.own(false))?.eventLoopDelayP99Ms).toBeGreaterThan(350);
        quiet.push(await delay(server));
      }
      // The machine may have delays of its own, but not each time.
      expect(Math.min(...quiet)).toBeLessThan(200);
    });

    it('also when the question came in the middle of it', async () => {
      const server = act('obeys', { ipc: true, probe: 'auto' });
      await says(server, /on/);
      await delay(server);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await ordered(server, 'block-in-timer', 1000);
      await says(server, /blocking/);
      expect((await server.own(false))?.eventLoopDelayP99Ms).toBeGreaterThan(350);
    });

    it('without that of its own collection', async () => {
      const server = act('obeys', { ipc: true, probe: 'auto' });
      await says(server, /on/);
      await ordered(server, 'objects', 1_000_000);
      await server.own(true);
      const shares: number[] = [];
      for (const _ of rounds) {
        await delay(server);
        const beganMs = performance.now();
        await server.own(true);
        const collectionMs = performance.now() - beganMs;
        shares.push((await delay(server)) / collectionMs);
      }
      expect(Math.min(...shares)).toBeLessThan(0.5);
    });
  });

  it('lets a server end that has nothing to do', async () => {
    const server = act('nothing', { probe: 'auto' });
    expect(describeExit(await server.exited)).toBe('exit code 0');
    expect(server.output).toBe('');
  });

  it('lets a server be the program that was started', async () => {
    const server = start([commonJsMain], { probe: 'auto' });
    await server.exited;
    expect(server.output).toBe('main\n');
  });

  it('is in no thread and no program that the server starts', async () => {
    const server = act('forks', { probe: 'auto' });
    expect(describeExit(await server.exited)).toBe('exit code 0');
    const [thread, program, ...more] = server.output.trim().split('\n');
    for (const said of [thread, program]) expect(JSON.parse(said)).not.toHaveProperty('ACKGATE_SOAK_FD');
    expect(JSON.parse(program).execArgv[0]).toBe('--import');
    expect(more).toEqual([]);
  });

  it('leaves a descriptor alone that is no socket', async () => {
    for (const fd of ['1', '77', 'x', '']) {
      const server = act('tells', { probe: false, env: { NODE_OPTIONS: probeOption, ACKGATE_SOAK_FD: fd } });
      expect(describeExit(await server.exited)).toBe('exit code 0');
      expect(JSON.parse(server.output)).toMatchObject({ PORT: '4711' });
    }
  });

  it('leaves a descriptor alone that is a pipe of the server', async () => {
    const script = 'echo for the server | "$0" --import "$1" "$2" reads-3 3<&0';
    const env = { ACKGATE_SOAK_FD: '3' };
    const shell = spawn('sh', ['-c', script, process.execPath, probeUrl, acts], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    onTestFinished(() => void shell.kill('SIGKILL'));
    const [said] = await once(shell.stdout, 'data');
    expect(String(said)).toContain('for the server');
  });

  it('does not care for nonsense, nor for a runner that dies', async () => {
    const child = spawn(process.execPath, ['--import', probeUrl, acts, 'obeys'], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'ipc'],
      env: { ...process.env, ACKGATE_SOAK_FD: '3' },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const pipe = child.stdio[3] as Duplex;
    pipe.write('nonsense\nnull\n\n{"id":5,"gc":"no"}\n');
    const [reply] = await once(pipe, 'data');
    expect(JSON.parse(String(reply))).toMatchObject({ id: 5, heapAfterGcBytes: null });
    // A reply that nobody takes any more.
    pipe.write('{"id":6,"gc":true}\n');
    pipe.destroy();
    child.send({ order: 'buffer', value: 77 });
    const [done] = await once(child, 'message');
    expect(done).toMatchObject({ holds: 77 });
    child.send({ order: 'leave' });
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('is asked in vain where there is none', async () => {
    const server = act('stays');
    await says(server, /on/);
    expect(await server.own(true)).toBeNull();
  });
});

const probeUrl = new URL('../dist/soak/probe.js', import.meta.url).href;
const probeOption = `--import ${probeUrl}`;

describe('the pipe to the probe', () => {
  function pipe() {
    const sent: string[] = [];
    const end = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        sent.push(String(chunk));
        done();
      },
    });
    return { end, sent, client: new ProbeClient(end) };
  }
  const reply = (id: number, figures: object) => `${JSON.stringify({ id, ...figures })}\n`;
  const nothing = {
    heapUsedBytes: null,
    heapAfterGcBytes: null,
    externalBytes: null,
    eventLoopDelayP99Ms: null,
  };

  it('does not take a late reply for that of the next request', async () => {
    const { end, sent, client } = pipe();
    expect(await client.read(true, 1)).toBeNull();
    const second = client.read(false, 30_000);
    expect(sent.map((line) => JSON.parse(line))).toEqual([
      { id: 1, gc: true },
      { id: 2, gc: false },
    ]);
    end.push(reply(1, { heapUsedBytes: 111 }));
    end.push(reply(2, { heapUsedBytes: 222 }));
    expect(await second).toEqual({ ...nothing, heapUsedBytes: 222 });
    // Twice is once.
    end.push(reply(2, { heapUsedBytes: 333 }));
    const third = client.read(false, 30_000);
    end.push(reply(3, {}).slice(0, 4));
    end.push(reply(3, {}).slice(4));
    expect(await third).toEqual(nothing);
  });

  it('takes only figures', async () => {
    const { end, client } = pipe();
    const reading = client.read(false, 30_000);
    end.push('null\n7\n{}\n[]\nnonsense\n');
    end.push(reply(1, { heapUsedBytes: '5', heapAfterGcBytes: -1, externalBytes: [7], more: 1 }));

    expect(await reading).toEqual(nothing);
  });

  it('that ends has no answers', async () => {
    for (const end of ['push', 'destroy', 'flood']) {
      const { end: stream, client } = pipe();
      const reading = client.read(false, 1e9);
      if (end === 'push') stream.push(null);
      else if (end === 'destroy') stream.destroy(new Error('ECONNRESET'));
      else stream.push('x'.repeat(10_000));
      expect(await reading).toBeNull();
      expect(await client.read(false, 1e9)).toBeNull();
    }
  });
});

describe('a peak', () => {
  it('of fifty milliseconds is seen, and gone afterwards', async () => {
    const server = start(['--expose-gc', acts, 'obeys'], { ipc: true });
    await says(server, /on/);
    // Not the first of its kind, with all that has to be loaded for it.
    await ordered(server, 'peak', MiB);
    const idle = await peakWhile(server.pid, 5, async () => {});
    expect(idle.idleRssBytes).toBeLessThanOrEqual(idle.peakRssBytes as number);
    const peak = await peakWhile(server.pid, 5, () => ordered(server, 'peak', 64 * MiB));
    const above = ({ peakRssBytes }: typeof idle) => (peakRssBytes as number) - (idle.peakRssBytes as number);
    expect(above(peak)).toBeGreaterThan(56 * MiB);
    expect((peak.peakRssBytes as number) - (peak.idleRssBytes as number)).toBeGreaterThan(56 * MiB);
    expect(peak.readings).toBeGreaterThan(3);
    const after = async () => above(await peakWhile(server.pid, 5, async () => {}));
    await expect.poll(after, patient).toBeLessThan(16 * MiB);
  });
});
