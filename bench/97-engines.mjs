// What an acknowledgement takes on each engine, how many a second there are, and how much of that is Ackgate's.
//
//   node bench/97-engines.mjs [--json] [--smoke] [--engine file|postgres|nats]
//
// Round after round each engine does the same orders twice. *Behind Ackgate*: clients on sockets in a process of their own, an
// engine thread that journals and publishes, the stage that releases under a mode. *Bare*: the engine's own client in a plain
// loop that commits in groups, without clients and without a gate, until it knows that the mode is met. Both in an open loop
// at a fixed rate (drawn times; latencies) and in a closed loop with a window (throughput).
//
// Latency behind Ackgate runs from the server having read the order to the kernel having its acknowledgement
// (`serverEndToEnd`), bare from the order being sent to the loop to the loop knowing. What was recorded meanwhile goes into
// `ackgate sim whatif`, and what that predicts is put beside what was measured: see bench/support/engines/predict.mjs.
//
// PostgreSQL (a primary, two standbys) and nats-server (two `ackgate replica` processes) are started on loopback. All servers,
// replicas and clients share this machine's cores and its disk: what is theirs, and what is ours, is slower than on machines
// of their own. An engine whose servers are missing is left out, with the reason.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { connections, orderBytes, windowOrders } from './support/engines/load.mjs';
import { predict } from './support/engines/predict.mjs';
import { printEngines } from './support/engines/print.mjs';
import { engines } from './support/engines/setups.mjs';
import { machine, spread } from './support/rounds.mjs';

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, smoke: { type: 'boolean' }, engine: { type: 'string' } },
});
const smoke = values.smoke === true;
const size = smoke
  ? { rounds: 1, startSeconds: 0.3, warmSeconds: 0.3, seconds: 1, closedWarmSeconds: 0.2, closedSeconds: 0.4 }
  : {
      rounds: 5,
      startSeconds: 2,
      warmSeconds: 0.5,
      seconds: 2.5,
      closedWarmSeconds: 0.5,
      closedSeconds: 1.5,
    };
const perSecond = 1000;
const smokeMode = { file: 'local', postgres: 'hybrid', nats: 'hybrid' };

const wanted = values.engine === undefined ? Object.keys(engines) : [values.engine];
const unknown = wanted.find((name) => !Object.hasOwn(engines, name));
if (unknown !== undefined) {
  console.error(`unknown engine "${unknown}": known are ${Object.keys(engines).join(', ')}`);
  process.exit(2);
}

/** One round of an engine: everything by mode. */
async function round(setup, modes, hasReplicas, seed) {
  const load = { perSecond, seconds: size.seconds, seed };
  const times = { seconds: size.closedSeconds, warmSeconds: size.closedWarmSeconds };
  const parts = {
    async served() {
      const served = await setup.served();
      try {
        const found = {};
        await served.warmUp(size.startSeconds);
        for (const mode of modes) found[mode] = { paced: await served.paced(mode, load, size.warmSeconds) };
        for (const mode of modes) found[mode].closed = await served.closed(mode, times);
        return found;
      } finally {
        await served.close();
      }
    },
    async bare() {
      const bare = await setup.bare();
      try {
        await bare.paced(modes, { ...load, seconds: size.warmSeconds, seed: seed + 1000 });
        const paced = await bare.paced(modes, load);
        const closed = {};
        for (const mode of modes) closed[mode] = await bare.closed(mode, times);
        return { paced, closed };
      } finally {
        await bare.close();
      }
    },
  };
  // Neither is always the one that finds the caches, and the disk, as the other left them.
  const found = {};
  for (const name of seed % 2 === 0 ? ['bare', 'served'] : ['served', 'bare'])
    found[name] = await parts[name]();
  const { served, bare } = found;
  return modes.map((mode) => {
    const { paced, closed } = served[mode];
    return {
      ackgateUs: paced.us,
      clientUs: paced.clientUs,
      group: paced.group,
      perSecond: closed.perSecond,
      closedGroup: closed.group,
      bareUs: bare.paced.us[mode],
      bareGroup: bare.paced.group,
      barePerSecond: bare.closed[mode].perSecond,
      predictedUs: predict(mode, paced, hasReplicas ? bare.paced : null),
    };
  });
}

/** Medians over the rounds; ratios and differences are taken within a round. */
function summarize(mode, rounds) {
  const over = (read) => spread(rounds.map(read));
  const percentiles = (read) =>
    Object.fromEntries(['p50', 'p99', 'p999'].map((at) => [at, over((one) => read(one)[at])]));
  const both = (read) => ({ p50: over((one) => read(one, 'p50')), p99: over((one) => read(one, 'p99')) });
  return {
    name: mode,
    ackgateUs: percentiles((one) => one.ackgateUs),
    clientUs: percentiles((one) => one.clientUs),
    bareUs: percentiles((one) => one.bareUs),
    overBare: both(({ ackgateUs, bareUs }, at) => ackgateUs[at] / bareUs[at]),
    oursUs: both(({ ackgateUs, bareUs }, at) => ackgateUs[at] - bareUs[at]),
    perSecond: over((one) => one.perSecond),
    barePerSecond: over((one) => one.barePerSecond),
    throughputOverBare: over((one) => one.perSecond / one.barePerSecond),
    ordersPerGroup: over((one) => one.group),
    bareOrdersPerGroup: over((one) => one.bareGroup),
    closedOrdersPerGroup: over((one) => one.closedGroup),
    predictedUs: percentiles((one) => one.predictedUs),
    predictedOverMeasured: both(({ predictedUs, ackgateUs }, at) => predictedUs[at] / ackgateUs[at]),
  };
}

async function measure(directory) {
  const setups = {};
  const skipped = {};
  try {
    for (const name of wanted) {
      const why = engines[name].missing();
      if (why !== null) {
        skipped[name] = why;
        console.error(`engines: ${name} is left out: ${why}`);
      } else {
        setups[name] = await engines[name].start(directory);
      }
    }
    const rounds = {};
    // The first one only warms up.
    for (let seed = smoke ? 1 : 0; seed <= size.rounds; seed++) {
      for (const [name, setup] of Object.entries(setups)) {
        const modes = smoke ? [smokeMode[name]] : engines[name].modes;
        const found = await round(setup, modes, engines[name].hasReplicas, seed);
        if (seed > 0) rounds[name] = [...(rounds[name] ?? []), found];
      }
      if (!smoke) console.error(`engines: round ${seed} of ${size.rounds}`);
    }
    const found = Object.entries(rounds).map(([name, all]) => {
      const modes = smoke ? [smokeMode[name]] : engines[name].modes;
      return {
        name,
        modes: modes.map((mode, i) =>
          summarize(
            mode,
            all.map((one) => one[i]),
          ),
        ),
      };
    });
    return { engines: found, skipped };
  } finally {
    for (const setup of Object.values(setups)) await setup.close();
  }
}

/** Which servers they are. */
function versionsOf() {
  const programs = { postgres: [findPostgres(), 'postgres'], nats: [findNats(), 'nats-server'] };
  return Object.fromEntries(
    Object.entries(programs)
      .filter(([, [{ found }]]) => found)
      .map(([name, [{ folder }, program]]) => [
        name,
        execFileSync(join(folder, program), ['--version'], { encoding: 'utf8' }).trim(),
      ]),
  );
}

const directory = mkdtempSync(join(process.env.ACKGATE_BENCH_DIR ?? tmpdir(), 'ackgate-engines-'));
// Servers that root starts run as a user of their own.
chmodSync(directory, 0o755);
// So that what ends with this process does, and nothing stays there.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const result = {
  bench: 'engines',
  machine: machine(),
  smoke,
  servers: versionsOf(),
  load: { perSecond, connections, orderBytes, windowOrders },
  ...size,
  ...(await measure(directory)),
};
if (values.json) console.log(JSON.stringify(result));
else printEngines(result);
