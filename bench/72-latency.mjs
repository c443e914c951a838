// The time from publish to the client having the bytes.
//
//   node bench/72-latency.mjs [--json] [--smoke]
//
// The client is a process in C that sleeps in the kernel until something comes. The sender is another process: `limit` (C,
// one thread, the least that io_uring needs), `ackgate` (engine thread and stage in its Worker; each idle strategy), or
// `net.Socket`. Three questions:
//
// - Ping-pong: one client asks over a FIFO that the engine waits at in a blocking read; the next question comes when the
//   answer is there. Blocks of round trips in turn; the ratio is the median of the ratios of the blocks' own p50.
//   A closed loop asks less often while it is slow, so what it left out is put back: `recordValueWithExpectedInterval`,
//   with the block's p50 as the interval. `uncorrectedUs` has the round trips as they were.
// - Open loop: 64 clients, frames of 64 bytes, each with a time of its own, at a share of what the variant itself does
//   in a closed loop with 512 frames under way, as found just before. Latencies count from the time that was meant, so
//   that lateness counts, whoever is late: this is what corrects for coordinated omission here. The engine sleeps between
//   two times, which takes some 60 µs at least.
// - Two flushes: an answer that leaves in two parts, 300 µs apart; the time from publishing the second part to the client
//   having it. With Nagle's algorithm (`withoutNoDelay`: the same in C, with TCP_NODELAY off) it waits for an
//   acknowledgement that the client's kernel delays.
//
// What competes with what on two cores. In the ping-pong and the two flushes the thread that sends has the last core,
// client and engine thread the first: no client of a server ever shared a core with whoever sends to it. `limit` is also
// measured on the client's core (`onClientsCore`), where nothing goes from core to core. In the open loop the kernel
// places all threads: engine, stage and client are three for two cores, and a spinning stage takes one of them.
// What goes from core to core is as fast as the machine is: `coreDistanceNs` (a line of the cache, there and back, before
// and after the ping-pong) changes when a host moves the cores of its virtual machine, to the fourfold and back.
// Idle cores are kept awake (/dev/cpu_dma_latency) where that is allowed, as on hosts that are tuned for latency: to wake
// up a core of a virtual machine takes longer than all the rest. A client's core that is busy with something else costs
// nearly as much: measure on a machine that is idle. Senders whose turn it is not are stopped (SIGSTOP).

import { coreDistanceNs, keepCoresAwake, lastCore } from './support/cores.mjs';
import { createHistogram, medianOf, microseconds, readSamples } from './support/latencies.mjs';
import { file, limits, variants, withPairs } from './support/latency-pairs.mjs';
import { buildReference } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const bodyBytes = 64;
const clients = 64;
const framesPerFlush = 256;
const loads = [0.1, 0.5, 0.8];
const gapUs = 300;
const size = smoke
  ? {
      warm: 1000,
      rounds: 2,
      trips: 500,
      twice: 50,
      nagle: 3,
      openRounds: 1,
      openSeconds: 0.1,
      calibrate: 100,
    }
  : {
      warm: 20_000,
      rounds: 15,
      trips: 10_000,
      twice: 400,
      nagle: 25,
      openRounds: 3,
      openSeconds: 1.3,
      calibrate: 1500,
    };

const named = ({ variant, idle }) => ({ variant, idle });

/** Samples of `count` questions: both sides are told, and both say that they are through. */
async function questions(pair, told, asked) {
  return pair.turn(async () => {
    await Promise.all([pair.sender.ask(told), pair.client.ask(`${asked} ${file}`)]);
    return readSamples(file);
  });
}

const pingPong = (pair, count) =>
  questions(pair, `answer ${count} ${bodyBytes}`, `pingpong ${count} ${bodyBytes}`);
const twice = (pair, count, noDelay = 1) =>
  questions(pair, `twice ${count} ${bodyBytes} ${gapUs} ${noDelay}`, `twice ${count} ${bodyBytes}`);

/** Round trips and ways from publishing to the client, in turns. */
async function measurePingPong(pairs) {
  const found = pairs.map(() => ({
    trips: createHistogram(),
    corrected: createHistogram(),
    ways: createHistogram(),
    p50: [],
  }));
  for (const pair of pairs) await pingPong(pair, size.warm);
  for (let round = 0; round < size.rounds; round++) {
    for (const [i, pair] of pairs.entries()) {
      const samples = await pingPong(pair, size.trips);
      const trips = samples.subarray(0, size.trips);
      const p50 = medianOf(trips);
      found[i].p50.push(p50);
      for (const ns of trips) {
        found[i].trips.recordValue(ns);
        found[i].corrected.recordValueWithExpectedInterval(ns, p50);
      }
      for (const ns of samples.subarray(size.trips)) found[i].ways.recordValue(ns);
    }
  }
  const ratioTo = (reference, i) =>
    reference < 0 ? null : spread(found[i].p50.map((ns, round) => ns / found[reference].p50[round]));
  const limitAt = (core) => pairs.findIndex((pair) => pair.variant === 'limit' && pair.core === core);
  return pairs.map((pair, i) => ({
    ...named(pair),
    onClientsCore: pair.core === 0,
    count: size.trips * size.rounds,
    us: microseconds(found[i].corrected),
    uncorrectedUs: microseconds(found[i].trips),
    publishToClientUs: microseconds(found[i].ways),
    ratio: ratioTo(limitAt(lastCore), i),
    ratioOnClientsCore: ratioTo(limitAt(0), i),
  }));
}

async function measureTwoFlushes(pairs) {
  const found = pairs.map(() => createHistogram());
  for (let round = 0; round <= size.openRounds; round++) {
    for (const [i, pair] of pairs.entries()) {
      const samples = await twice(pair, size.twice);
      if (round > 0) for (const ns of samples) found[i].recordValue(ns);
    }
  }
  return pairs.map((pair, i) => ({ ...named(pair), count: found[i].totalCount, us: microseconds(found[i]) }));
}

/** The second part when the kernel may hold small segments back; only the C program can be asked for that. */
async function measureNagle(pairs) {
  const pair = pairs.find(({ variant }) => variant === 'limit');
  if (pair === undefined) return null;
  const histogram = createHistogram();
  for (const ns of await twice(pair, size.nagle, 0)) histogram.recordValue(ns);
  return { ...named(pair), count: size.nagle, us: microseconds(histogram) };
}

/** Frames a second in a closed loop: two rounds of as many frames as the stage puts into one flush are under way. */
async function calibrate(pair, rounds) {
  return pair.turn(async () => {
    await pair.client.ask(`record ${bodyBytes} ${framesPerFlush}`);
    const { responses } = await pair.sender.ask(
      `windowed ${rounds} ${framesPerFlush / clients} ${bodyBytes}`,
    );
    const { frames, wallNs } = await pair.client.ask(`collect ${responses} -`);
    return (frames / wallNs) * 1e9;
  });
}

async function paced(pair, perSecond) {
  return pair.turn(async () => {
    await pair.client.ask(`record ${bodyBytes} 0`);
    const { responses } = await pair.sender.ask(`paced ${perSecond} 1 ${size.openSeconds} ${bodyBytes}`);
    const { frames } = await pair.client.ask(`collect ${responses} ${file}`);
    if (frames !== responses) throw new Error(`${frames} frames came instead of ${responses}`);
    return readSamples(file);
  });
}

async function measureOpenLoop(pairs) {
  const cases = [];
  for (const pair of pairs) {
    await calibrate(pair, size.calibrate);
    const perSecond = await calibrate(pair, size.calibrate);
    for (const load of loads) {
      cases.push({ pair, load, perSecond: Math.round(perSecond * load), histogram: createHistogram() });
    }
  }
  for (let round = 0; round < size.openRounds; round++) {
    for (const { pair, perSecond, histogram } of cases) {
      for (const ns of await paced(pair, perSecond)) histogram.recordValue(ns);
    }
  }
  return cases.map(({ pair, load, perSecond, histogram }) => ({
    ...named(pair),
    load,
    perSecond,
    count: histogram.totalCount,
    us: microseconds(histogram),
  }));
}

async function measureOneClient() {
  const onClientsCore = limits({ core: 0 });
  return withPairs(1, [...variants(), ...onClientsCore], async (pairs) => {
    const distances = [coreDistanceNs()];
    const trips = await measurePingPong(pairs);
    distances.push(coreDistanceNs());
    const others = pairs.slice(0, pairs.length - onClientsCore.length);
    return {
      conditions: { threadsPlaced: pairs.every((pair) => pair.placed), coreDistanceNs: distances },
      pingPong: trips.slice(0, others.length),
      onClientsCore: trips.slice(others.length),
      twoFlushes: await measureTwoFlushes(others),
      withoutNoDelay: await measureNagle(others),
    };
  });
}

async function measure(coresAwake) {
  const { conditions, ...oneClient } = await measureOneClient();
  const spin = oneClient.pingPong.find(({ idle }) => idle === 'spin');
  return {
    bench: 'latency',
    machine: machine(),
    smoke,
    conditions: { coresAwake, ...conditions },
    ...oneClient,
    openLoop: await withPairs(clients, variants(), measureOpenLoop),
    ratios: {
      pingPongP50StageOverLimit: spin.ratio?.median ?? null,
      pingPongP50StageOverLimitOnClientsCore: spin.ratioOnClientsCore?.median ?? null,
    },
  };
}

function table(title, rows, lead) {
  const keys = ['p50', 'p90', 'p99', 'p999', 'p9999', 'max'];
  console.log(`\n${title}`);
  console.log(`${''.padEnd(32)}${keys.map((key) => key.padStart(11)).join('')}`);
  for (const row of rows) {
    const figures = keys.map((key) => row.us[key].toFixed(1).padStart(11)).join('');
    console.log(`${lead(row).padEnd(32)}${figures}${row.note ?? ''}`);
  }
}

function print(result) {
  const name = ({ variant, idle, onClientsCore }) =>
    `${variant}${idle === null ? '' : ` ${idle}`}${onClientsCore ? ', on the client’s core' : ''}`;
  const ratio = ({ median, low, high }) => `${median.toFixed(2)} (${low.toFixed(2)} … ${high.toFixed(2)})`;
  const ratios = (row) =>
    row.ratio === null ? '' : `   ${ratio(row.ratio)}, ${ratio(row.ratioOnClientsCore)} × limit there`;
  const trips = [...result.pingPong, ...result.onClientsCore];
  console.log(JSON.stringify({ ...result.machine, ...result.conditions }));
  table(
    'ping-pong, µs for a round trip, corrected for coordinated omission; p50 × limit',
    trips.map((row) => ({ ...row, note: ratios(row) })),
    name,
  );
  table(
    'ping-pong, µs from publish to the client',
    trips.map((row) => ({ ...row, us: row.publishToClientUs })),
    name,
  );
  table(
    `open loop, ${clients} clients, µs from the time meant`,
    result.openLoop,
    (row) => `${name(row)} ${row.load * 100} % ${Math.round(row.perSecond / 1000)}k/s`,
  );
  table(`second part of an answer, µs from its publishing`, result.twoFlushes, name);
  if (result.withoutNoDelay !== null) {
    table('the same without TCP_NODELAY', [result.withoutNoDelay], name);
  }
}

buildReference();
const result = await measure(keepCoresAwake());
if (json) console.log(JSON.stringify(result));
else print(result);
