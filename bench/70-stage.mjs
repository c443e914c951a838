// The whole stage in one loop: publish, gate, append, flush, reap, over real loopback sockets that another process
// drains. Both backends side by side; also how often memory had to be collected, since nothing may allocate per record.
//
//   node bench/70-stage.mjs [--json] [--smoke]

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createInlineStage } from 'ackgate';
import { machine, spread } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const connections = 64;
const payloadBytes = 256;
const recordsPerRound = smoke ? 20_000 : 200_000;
const rounds = smoke ? 2 : 9;
const batch = 1024;

/** Connects to the port, reads everything and keeps nothing. */
function drain(port) {
  for (let i = 0; i < connections; i++) connect(port, '127.0.0.1').resume();
}

async function openStage(backend) {
  const stage = createInlineStage({ backend, policy: 'local', heartbeatIntervalMs: 0, connections });
  const dropped = [];
  stage.on('dropped', (event) => dropped.push(event));
  const ids = [];
  const server = createServer((socket) => ids.push(stage.attach(socket))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const child = fork(fileURLToPath(import.meta.url), ['drain', String(server.address().port)]);
  while (ids.length < connections) await turn();
  let sequence = 0;
  return {
    /** Microseconds of this process for `records` records, all of them handed to the kernel. */
    run(records) {
      const { producer, cursors } = stage;
      const before = process.cpuUsage();
      for (let published = 0; published < records; ) {
        for (let i = 0; i < batch; i++) {
          if (producer.claim(payloadBytes) < 0) throw new Error('the ring is full');
          producer.publish(ids[published++ % connections], ++sequence);
        }
        cursors.primary.advance(sequence);
        // A round takes what it can; what a peer has not taken yet goes with the next.
        while (stage.doWork() > 0);
      }
      const { user, system } = process.cpuUsage(before);
      if (dropped.length > 0) throw new Error(`connections were dropped: ${JSON.stringify(dropped[0])}`);
      return user + system;
    },
    async close() {
      const closed = stage.close({ drainMs: 1000 });
      while (stage.doWork() >= 0 && stage.status().state !== 'closed') await turn();
      await closed;
      child.kill();
      server.close();
    },
  };
}

async function measure() {
  const stages = { uring: await openStage('uring'), posix: await openStage('posix') };
  const samples = { uring: [], posix: [] };
  const collections = { uring: 0, posix: 0 };
  let running = null;
  const observer = new PerformanceObserver((list) => {
    if (running !== null) collections[running] += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  for (let round = 0; round <= rounds; round++) {
    for (const [name, stage] of Object.entries(stages)) {
      const us = stage.run(recordsPerRound);
      running = round > 0 ? name : null; // the first round only warms up
      await turn(); // lets the observer speak
      running = null;
      if (round > 0) samples[name].push((us * 1000) / recordsPerRound);
    }
  }
  observer.disconnect();
  for (const stage of Object.values(stages)) await stage.close();
  return Object.fromEntries(
    Object.entries(samples).map(([name, values]) => [
      name,
      { cpuNsPerRecord: spread(values), collections: collections[name], records: rounds * recordsPerRound },
    ]),
  );
}

if (process.argv[2] === 'drain') {
  drain(Number(process.argv[3]));
} else {
  const results = await measure();
  if (json) console.log(JSON.stringify({ machine: machine(), smoke, connections, payloadBytes, results }));
  else {
    console.log(
      `${connections} connections, ${payloadBytes} B; median (quartiles);`,
      JSON.stringify(machine()),
    );
    for (const [name, { cpuNsPerRecord, collections, records }] of Object.entries(results)) {
      const { median, low, high } = cpuNsPerRecord;
      console.log(
        `${name.padEnd(6)} ${median.toFixed(0)} ns (${low.toFixed(0)}–${high.toFixed(0)}) of CPU per record, ` +
          `${collections} collections in ${records} records`,
      );
    }
  }
}
