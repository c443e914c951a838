import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import { type RealBackend, RealWorld } from './support/real-world.js';
import type { Peer } from './support/sender-world.js';

const addon = nativeAddon();
const { errno, stage } = addon.probeUring(256);
if (errno !== 0) console.warn(`the io_uring sender is not tested here: ${explainUring(errno, stage)}`);
const backends: RealBackend[] = errno === 0 ? ['uring', 'posix'] : ['posix'];

const fixture = (name: string) => new URL(`./fixtures/${name}`, import.meta.url);
const openFds = () => readdirSync('/proc/self/fd').length;
const threads = () => readdirSync('/proc/self/task').length;

describe.each(backends)('the %s sender and other threads', (backend) => {
  test('a wake from another thread ends the sleep at any moment', async () => {
    const world = await RealWorld.create(backend, 'tcp');
    const { sender, wakeFd, dispose } = world.makeSender({ slots: 1 });
    const words = new Int32Array(new SharedArrayBuffer(8));
    const waker = new Worker(fixture('sender-waker.mjs'), { workerData: { words, wakeFd } });
    await once(waker, 'online');
    const rounds = 500;
    let sleeps = 0;
    for (let round = 1; round <= rounds; round++) {
      Atomics.store(words, 0, round);
      Atomics.notify(words, 0);
      // The order of the stage: look, sleep, look again. The answer is stored before the wake is written.
      while (Atomics.load(words, 1) < round) {
        sender.park(50);
        sleeps++;
      }
    }
    Atomics.store(words, 0, 0x7fff_ffff);
    Atomics.notify(words, 0);
    await once(waker, 'exit');
    expect(sleeps).toBeLessThan(rounds * 3);
    expect(sender.destroy(1000)).toBe(0);
    dispose();
    await world.close();
  });

  test('Workers with blocked sends are terminated while they sleep: nothing is left, peers see the end', async () => {
    const world = await RealWorld.create(backend, 'tcp');
    const before = openFds();
    let threadsBefore = 0;
    for (let round = 0; round < 4; round++) {
      const peers: Peer[] = [];
      while (peers.length < 6) peers.push(await world.connect());
      const wakeFds = [addon.createWakeFd(), addon.createWakeFd()];
      const workers = wakeFds.map(
        (wakeFd, index) =>
          new Worker(fixture('sender-blocked.mjs'), {
            workerData: { backend, wakeFd, fds: peers.slice(index * 3, index * 3 + 3).map(({ fd }) => fd) },
          }),
      );
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      await Promise.all(workers.map((worker) => worker.terminate()));
      for (const peer of peers) {
        let read = peer.read(1 << 20);
        while (typeof read !== 'string') read = peer.read(1 << 20);
        expect(read).toBe('reset');
      }
      await Promise.all(peers.map((peer) => peer.destroy()));
      for (const wakeFd of wakeFds) addon.closeFd(wakeFd);
      expect(openFds()).toBe(before);
      // The first Workers start threads of the platform that stay.
      if (round === 0) threadsBefore = threads();
      else expect(threads()).toBeLessThanOrEqual(threadsBefore);
    }
    await world.close();
  });

  test('Workers are terminated in the middle of calls: the process goes on', () => {
    // A process of its own: what this looks for would take the tests with it.
    const program = fileURLToPath(fixture('sender-terminated.mjs'));
    const { status, stderr } = spawnSync(process.execPath, [program, backend], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('a sender that nobody destroyed is taken down with its object', async () => {
    const world = await RealWorld.create(backend, 'tcp');
    const program = fixture('sender-forgotten.mjs');
    const worker = new Worker(program, { workerData: { backend } });
    // Both at once: what a Worker has posted last comes in the same turn as its end.
    const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    expect(message).toEqual({ leaked: 0 });
    await world.close();
  });
});
