// What the soak runner itself costs: its memory over hours of load, and its CPU per request. 5,000 requests a second by
// 50 clients; time is virtual, and the server a function in this process that answers at once, so that an hour takes a
// minute or so and nothing but the runner's own load, its readings every second and its windows every ten are measured.
// The readings are kept, as the runner keeps them.
//
//   node bench/92-soak-runner.mjs [--json] [--smoke] [--hours N]
//   node bench/92-soak-runner.mjs --real SECONDS [--json]     over sockets, with an echo server in a process of its own
//
// Exits with 1 when an hour (in the smoke form a minute) adds 16 MiB or more to the heap or to RSS, or a request goes astray.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '#ackgate/soak/clock.js';
import { Load } from '#ackgate/soak/load/load.js';
import { keepHeapSmall } from '#ackgate/soak/small-heap.js';
import { resident } from './support/memory.mjs';
import { machine } from './support/rounds.mjs';
import { VirtualClock } from './support/virtual-clock.mjs';

setFlagsFromString('--expose-gc');
globalThis.gc = runInNewContext('gc');
// As the runner does.
keepHeapSmall();

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    hours: { type: 'string', default: '4' },
    real: { type: 'string' },
  },
});
const MiB = 1024 * 1024;
const growthBytesMax = 16 * MiB;
const requestsPerSecond = 5000;
const sampleSeconds = 1;
const samplesPerWindow = 10;

const config = {
  requestsPerSecond,
  clients: 50,
  requestTimeoutMs: 10_000,
  mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
  sizes: { small: 1, medium: 0, large: 0, huge: 0 },
  chaos: { reconnectDelayMs: 1000 },
};

/** Answers each request in the call that sends it, as it should be answered. */
const instantDriver = {
  name: 'instant',
  operations: ['simple', 'batch', 'streaming', 'error', 'slow'],
  requestBytesMax: MiB,
  async connect({ events }) {
    return {
      send({ id, operation }) {
        events.answered(id, operation === 'error' ? 'error' : 'success');
        return true;
      },
      async close() {},
    };
  },
};

const reading = async () => {
  const { heap, rss } = await resident();
  return { heapBytes: heap, rssBytes: rss };
};

/** Readings and windows of a load, as the runner keeps them. */
class Kept {
  samples = [];
  windows = [];

  take(load, atMs) {
    const process = { rssBytes: atMs, pssBytes: null, anonymousBytes: atMs, threads: 11, fds: 60 };
    const own = { heapUsedBytes: atMs, heapAfterGcBytes: null, externalBytes: 1, eventLoopDelayP99Ms: 1.5 };
    this.samples.push({
      atMs,
      phase: 'load',
      segment: 0,
      process,
      own,
      status: { connections: 50, records: atMs },
      load: load.reading(),
      chaos: {},
    });
    if (this.samples.length % samplesPerWindow === 0)
      this.windows.push({ atMs, segment: 0, ...load.window() });
  }
}

/** From each reading to the next. */
const growthOver = (points) =>
  points.slice(1).map(({ heapBytes, rssBytes }, index) => ({
    heapBytes: heapBytes - points[index].heapBytes,
    rssBytes: rssBytes - points[index].rssBytes,
  }));

async function measureVirtual() {
  const clock = new VirtualClock();
  const load = new Load({ driver: instantDriver, host: '', port: 0, config, clock, seed: 1 });
  const stop = new AbortController();
  await load.connect(stop.signal);
  const before = await reading();
  const running = load.run(stop.signal);
  const kept = new Kept();
  const pass = async (seconds) => {
    for (let second = 0; second < seconds; second += sampleSeconds) {
      await clock.advance(sampleSeconds * 1000);
      kept.take(load, clock.nowMs());
    }
  };

  await pass(values.smoke ? 20 : 300);
  const points = [{ name: 'after warm-up', ...(await reading()) }];
  const { due } = load.losses();
  const cpu = process.cpuUsage();
  const beganMs = performance.now();
  const stretches = values.smoke ? 1 : Number(values.hours);
  const stretchSeconds = values.smoke ? 60 : 3600;
  for (let stretch = 1; stretch <= stretches; stretch++) {
    await pass(stretchSeconds);
    points.push({ name: `after ${stretch} ${values.smoke ? 'min' : 'h'}`, ...(await reading()) });
    if (!values.json) console.log(line(points.at(-1)));
  }
  const { user, system } = process.cpuUsage(cpu);
  const losses = load.losses();
  const requests = losses.due - due;
  stop.abort();
  const finishing = load.finish(stop.signal);
  await clock.advance(1000);
  await Promise.all([running, finishing]);
  return {
    points: [{ name: 'before', ...before }, ...points],
    growth: growthOver(points),
    requests,
    cpuNsPerRequest: ((user + system) * 1000) / requests,
    wallMs: performance.now() - beganMs,
    samples: kept.samples.length,
    losses,
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function connectedLoad(options, until) {
  for (;;) {
    const load = new Load(options);
    try {
      await load.connect(new AbortController().signal);
      return load;
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(100);
    }
  }
}

async function measureReal(seconds) {
  const { echoDriver, echoServer } = await import('../test/fixtures/soak/echo-driver.mjs');
  const port = await freePort();
  const child = spawn(process.execPath, [echoServer, String(port)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  try {
    const options = { driver: echoDriver(), host: '127.0.0.1', port, config, clock: systemClock, seed: 1 };
    const load = await connectedLoad(options, performance.now() + 10_000);
    const stop = new AbortController();
    const running = load.run(stop.signal);
    const kept = new Kept();
    const pass = async (count) => {
      for (let second = 0; second < count; second++) {
        await sleep(1000);
        kept.take(load, performance.now());
      }
    };
    await pass(Math.max(5, Math.round(seconds / 4)));
    const points = [{ name: 'after warm-up', ...(await reading()) }];
    const { due } = load.losses();
    const cpu = process.cpuUsage();
    const beganMs = performance.now();
    await pass(seconds);
    const wallMs = performance.now() - beganMs;
    const { user, system } = process.cpuUsage(cpu);
    const requests = load.losses().due - due;
    points.push({ name: `after ${seconds} s`, ...(await reading()) });
    stop.abort();
    await running;
    await load.finish(new AbortController().signal);
    return {
      points,
      growth: growthOver(points),
      requests,
      cpuNsPerRequest: ((user + system) * 1000) / requests,
      wallMs,
      samples: kept.samples.length,
      last: kept.samples.at(-1).load,
      losses: load.losses(),
    };
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

const mebibytes = (bytes) => `${(bytes / MiB).toFixed(2).padStart(8)} MiB`;
const line = ({ name, heapBytes, rssBytes }) =>
  `${name.padEnd(14)} heap after GC ${mebibytes(heapBytes)}   RSS ${mebibytes(rssBytes)}`;

function print({ points, growth, requests, cpuNsPerRequest, wallMs, samples, last }) {
  console.log(JSON.stringify(machine()));
  for (const point of points) console.log(line(point));
  console.log(`growth of heap ${growth.map(({ heapBytes }) => mebibytes(heapBytes)).join(', ')}`);
  console.log(`growth of RSS  ${growth.map(({ rssBytes }) => mebibytes(rssBytes)).join(', ')}`);
  const core = (cpuNsPerRequest * requestsPerSecond) / 1e7;
  console.log(
    `${requests.toLocaleString('en')} requests in ${(wallMs / 1000).toFixed(1)} s, ${samples} samples kept; ` +
      `${cpuNsPerRequest.toFixed(0)} ns of CPU each: ${core.toFixed(1)} % of a core at ${requestsPerSecond}/s`,
  );
  if (last !== undefined) console.log(`the last second: ${JSON.stringify(last)}`);
}

const result = values.real === undefined ? await measureVirtual() : await measureReal(Number(values.real));
if (values.json) {
  const setting = { bench: 'soak-runner', machine: machine(), smoke: values.smoke, growthBytesMax };
  console.log(JSON.stringify({ ...setting, ...result }));
} else print(result);

const { due, expected } = result.losses;
if (expected !== due) {
  console.error(`${due - expected} of ${due} requests were not answered as expected`);
  process.exitCode = 1;
}
for (const { heapBytes, rssBytes } of result.growth) {
  if (heapBytes < growthBytesMax && rssBytes < growthBytesMax) continue;
  console.error(`memory grew too much: heap by${mebibytes(heapBytes)}, RSS by${mebibytes(rssBytes)}`);
  process.exitCode = 1;
}
