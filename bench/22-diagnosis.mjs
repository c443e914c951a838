// What diagnosis costs the stage for each record, with a sender that takes everything at once: off, with directives that
// select nothing, and at each level, side by side in one run. Every variant has a process of its own, so that none
// runs code that was compiled for another.
//
//   node bench/22-diagnosis.mjs [--json] [--smoke]

import { fileURLToPath } from 'node:url';
import { variants } from './support/diagnosis-variants.mjs';
import { Peer } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const rounds = smoke ? 2 : 15;
const program = fileURLToPath(new URL('./support/diagnosis-variant.mjs', import.meta.url));
const names = Object.keys(variants);

async function measure() {
  const peers = new Map();
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  try {
    for (const name of names) {
      const peer = new Peer([program, name, ...(smoke ? ['--smoke'] : [])]);
      peers.set(name, peer);
      await peer.answer();
    }
    for (let round = 0; round <= rounds; round++) {
      for (const [name, peer] of peers) {
        const ns = await peer.ask('round');
        if (round > 0) samples[name].push(ns); // the first one only warms up
      }
    }
  } finally {
    await Promise.all(Array.from(peers.values(), (peer) => peer.close()));
  }
  return samples;
}

const samples = await measure();
const off = samples.off;
const cases = names.map((name) => ({
  name,
  nsPerRecord: spread(samples[name]),
  // Pair by pair: what else the machine does falls on both alike.
  overOff: spread(samples[name].map((ns, round) => ns / off[round])),
}));
if (json)
  process.stdout.write(`${JSON.stringify({ bench: 'diagnosis', machine: machine(), rounds, cases })}\n`);
else {
  console.log(`ns that the stage takes for a record, median (quartiles); ${JSON.stringify(machine())}`);
  for (const { name, nsPerRecord, overOff } of cases) {
    const text = ({ median, low, high }, digits) =>
      `${median.toFixed(digits)} (${low.toFixed(digits)} – ${high.toFixed(digits)})`;
    console.log(`${name.padEnd(32)}${text(nsPerRecord, 1).padEnd(28)}${text(overOff, 2)} × off`);
  }
}
