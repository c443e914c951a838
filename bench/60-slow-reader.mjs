// For how long a client that reads steadily can look dead: megabytes are queued for it in the kernel, and the queue
// becomes shorter in pieces, with silence between. Behind the patience in src/egress/blocked-watch.ts.
//
//   node bench/60-slow-reader.mjs [--json] [--smoke]

import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { allocateArena } from '../dist/egress/arena.js';
import { nativeAddon } from '../dist/egress/native.js';
import { PosixSender } from '../dist/egress/posix-sender.js';
import { machine } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const seconds = smoke ? 1 : 45;
const readsPerSecond = 10;

function readSlowly({ port, rate }) {
  const socket = connect(port, '127.0.0.1');
  let allowance = 0;
  socket.on('readable', () => {});
  setInterval(() => {
    allowance += rate / readsPerSecond;
    const chunk = socket.read(Math.min(Math.floor(allowance), socket.readableLength));
    allowance -= chunk?.length ?? 0;
  }, 1000 / readsPerSecond);
}

/** Longest time for which the kernel's queue for the client did not become shorter. */
async function longestSilence(rate) {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const accepted = new Promise((resolve) => server.once('connection', resolve));
  const { port } = server.address();
  const client = new Worker(new URL(import.meta.url), { workerData: { port, rate } });
  const socket = await accepted;
  // At the end the client is gone before all of it was sent.
  socket.on('error', () => {});
  const addon = nativeAddon();
  const wakeFd = addon.createWakeFd();
  const sender = new PosixSender({
    arena: allocateArena(1),
    slots: 1,
    ringEntries: 64,
    wakeFd,
    fence: new Int32Array(new SharedArrayBuffer(4)),
  });
  sender.open(0, 1, addon.adoptFd(socket._handle.fd, 0));
  // More than the client can read in the whole run.
  socket.write(Buffer.alloc(rate * seconds + (16 << 20)));
  await sleep(smoke ? 300 : 3000);
  const started = performance.now();
  let shorterAt = started;
  let queued = sender.queuedBytes(0);
  const queuedFirst = queued;
  let longestMs = 0;
  while (performance.now() - started < seconds * 1000) {
    await sleep(10);
    const now = sender.queuedBytes(0);
    // Node refills the queue as soon as the kernel calls it writable: only the way down counts.
    if (now < queued) {
      longestMs = Math.max(longestMs, performance.now() - shorterAt);
      shorterAt = performance.now();
    }
    queued = now;
  }
  longestMs = Math.max(longestMs, performance.now() - shorterAt);
  sender.destroy(100);
  addon.closeFd(wakeFd);
  await client.terminate();
  socket.destroy();
  server.close();
  return {
    bytesPerSecond: rate,
    queued: queuedFirst,
    longestSilenceSeconds: longestMs / 1000,
  };
}

if (isMainThread) {
  const results = await Promise.all([20_000, 50_000, 200_000].map((rate) => longestSilence(rate)));
  if (json) console.log(JSON.stringify({ machine: machine(), smoke, seconds, results }));
  else {
    console.log(`longest silence of a steady reader in ${seconds} s;`, JSON.stringify(machine()));
    for (const { bytesPerSecond, queued, longestSilenceSeconds } of results) {
      console.log(
        `${String(bytesPerSecond / 1000).padStart(5)} KB/s, ${(queued / 1e6).toFixed(1)} MB queued: ` +
          `${longestSilenceSeconds.toFixed(1)} s`,
      );
    }
  }
} else {
  readSlowly(workerData);
}
