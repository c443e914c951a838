// How close is `ackgate sim whatif` to what it simulates? A stage on a thread of its own, a journal that syncs, replicas
// with journals of their own and clients on loopback sockets serve a drawn load; meanwhile the distributions of the parts
// are recorded. Then the same load is simulated with them. Both percentiles and their ratio are printed, per round.
//
// Acknowledgement latency is the same in both: from the server having read the order to the kernel having the answer.
// Targets: p50 within 10 %, p99 within 25 %. They are printed, never asserted: a machine that does other things as well
// starves all these threads at once, which no recording of each of them tells.
//
//   node bench/90-fidelity.mjs [--json] [--smoke]

import { loadavg, tmpdir } from 'node:os';
import { whatIf } from '#ackgate/sim/whatif/index.js';
import { measureHere } from '#ackgate/sim/whatif/record-here.js';
import { machine, spread } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const rounds = smoke ? 1 : 5;
const seconds = smoke ? 1 : 6;
const ordersPerSecond = 1000;
const connections = 16;
const directory = process.env.ACKGATE_BENCH_DIR ?? tmpdir();
const targets = { p50: 0.1, p99: 0.25 };

const scenarios = [
  { name: 'local', policy: 'local', replicas: 0 },
  { name: 'hybrid, two replicas', policy: 'hybrid', replicas: 2 },
  { name: 'durably-replicated, two replicas', policy: 'durably-replicated', replicas: 2 },
];

async function once({ policy, replicas }, seed) {
  const { file, measuredNs, orders } = await measureHere({
    seconds,
    ordersPerSecond,
    replicas,
    policy,
    connections,
    directory,
    seed,
  });
  const result = whatIf({
    policies: [policy],
    cluster: { nodes: replicas + 1, zones: 1 },
    load: { fanOut: 1, payloadBytes: 64, connections },
    distributions: file,
    orders: Math.max(1000, orders),
    failureRates: [],
    lossMoments: 0,
  });
  const { p50, p90, p99, p999 } = result.policies[0].latencyNs;
  const simulatedNs = { p50, p90, p99, p999 };
  const ratio = Object.fromEntries(
    Object.entries(simulatedNs).map(([name, ns]) => [name, ns / measuredNs[name]]),
  );
  return { orders, measuredNs, simulatedNs, ratio };
}

const results = scenarios.map((scenario) => ({ ...scenario, rounds: [] }));
for (let round = 1; round <= rounds; round++) {
  for (const result of results) result.rounds.push(await once(result, round));
}
for (const result of results) {
  result.ratio = Object.fromEntries(
    ['p50', 'p90', 'p99', 'p999'].map((name) => [
      name,
      spread(result.rounds.map(({ ratio }) => ratio[name])),
    ]),
  );
  result.met = Object.fromEntries(
    Object.entries(targets).map(([name, most]) => [name, Math.abs(result.ratio[name].median - 1) <= most]),
  );
}
const load = loadavg()[0];
if (json) {
  console.log(
    JSON.stringify({
      machine: machine(),
      load,
      smoke,
      ordersPerSecond,
      seconds,
      directory,
      targets,
      results,
    }),
  );
} else {
  const us = (ns) => `${Math.round(ns / 1000)}`.padStart(7);
  console.log(
    `${ordersPerSecond} orders/s for ${seconds} s on ${directory}, load ${load.toFixed(1)};`,
    JSON.stringify(machine()),
  );
  for (const { name, rounds: all, ratio, met } of results) {
    console.log(`\n${name}: µs measured and simulated`);
    for (const one of all) {
      const cells = ['p50', 'p99'].map(
        (at) => `${at} ${us(one.measuredNs[at])} ${us(one.simulatedNs[at])}  ×${one.ratio[at].toFixed(2)}`,
      );
      console.log(`  ${cells.join('    ')}    ${one.orders} orders`);
    }
    for (const [at, most] of Object.entries(targets)) {
      const { median, low, high } = ratio[at];
      console.log(
        `  ${at}: simulated is ${median.toFixed(2)} times measured, median (quartiles ${low.toFixed(2)}–${high.toFixed(2)}); ` +
          `target within ${most * 100} %: ${met[at] ? 'met' : 'missed'}`,
      );
    }
  }
}
