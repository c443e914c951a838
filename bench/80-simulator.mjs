// The simulator's speed: records per second of one core through a world with all its checks, and seeds per minute of
// the standard swarm (every fault, each seed twice, one thread per core).
//
//   node bench/80-simulator.mjs [--json] [--smoke] [--seeds <n>]

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runScenario, runSwarm, scenarioOf } from 'ackgate/sim';
import { machine, spread } from './support/rounds.mjs';

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, smoke: { type: 'boolean' }, seeds: { type: 'string' } },
});
const smoke = values.smoke ?? false;
const rounds = smoke ? 2 : 7;
const seeds = Number(values.seeds ?? (smoke ? 40 : 2000));

/** A busy server with small answers and nothing wrong: what is measured is the way of a record. */
const busy = scenarioOf({
  clients: 4,
  orders: smoke ? 20_000 : 500_000,
  orderGapNs: 100,
  payload: { min: 16, max: 16 },
  primarySyncNs: 200_000,
  ringCapacity: 8192,
  socketBytes: 1e6,
  until: 1,
});

/** Seconds of this thread's CPU, and of the clock. */
function measured(work) {
  const beganMs = performance.now();
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpu: (user + system) / 1e6, wall: (performance.now() - beganMs) / 1e3 };
}

function measureRecords() {
  const perCpu = [];
  const perWall = [];
  let records = 0;
  for (let round = 0; round <= rounds; round++) {
    const { result, cpu, wall } = measured(() => runScenario(busy, { twice: false }));
    if (result.failure !== null) throw new Error(`the world is broken: ${result.failure.message}`);
    records = result.records;
    if (round === 0) continue; // only warms up
    perCpu.push(records / cpu);
    perWall.push(records / wall);
  }
  return { records, perCpuSecond: spread(perCpu), perSecond: spread(perWall) };
}

async function measureSwarm() {
  const before = process.cpuUsage();
  const { wallMs, records, failed, hash } = await runSwarm({ seeds });
  const { user, system } = process.cpuUsage(before);
  const cpuMsPerSeed = (user + system) / 1e3 / seeds;
  const seedsPerMinute = Math.round((seeds / wallMs) * 60_000);
  return {
    seeds,
    failed,
    records,
    hash,
    wallMs,
    seedsPerMinute,
    cpuMsPerSeed,
    workers: availableParallelism(),
  };
}

const results = { records: measureRecords(), swarm: await measureSwarm() };
if (values.json) console.log(JSON.stringify({ machine: machine(), smoke, ...results }));
else {
  const { records, swarm } = results;
  const text = ({ median, low, high }) =>
    `${Math.round(median).toLocaleString('en')} (${Math.round(low).toLocaleString('en')}–${Math.round(high).toLocaleString('en')})`;
  console.log(`median (quartiles); ${JSON.stringify(machine())}`);
  console.log(
    `records  ${text(records.perSecond)} a second, ${text(records.perCpuSecond)} per second of CPU`,
  );
  console.log(
    `swarm    ${swarm.seedsPerMinute.toLocaleString('en')} seeds a minute on ${swarm.workers} threads, ` +
      `${swarm.cpuMsPerSeed.toFixed(1)} ms of CPU each; 10,000 seeds in ${(10_000 / swarm.seedsPerMinute).toFixed(1)} min; ` +
      `${swarm.failed} of ${swarm.seeds} failed`,
  );
}
