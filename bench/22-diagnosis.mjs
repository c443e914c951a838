// What diagnosis costs the stage for each record, with a sender that takes everything at once: off, with directives that
// select nothing, and at each level, side by side in one run. Every variant has a process of its own, so that none
// runs code that was compiled for another.
//
//   node bench/22-diagnosis.mjs [--json] [--smoke]

import { fileURLToPath } from 'node:url';
import { variants } from './support/diagnosis-variants.mjs';
import { peerRounds } from './support/peer-rounds.mjs';
import { machine, spread } from './support/rounds.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const rounds = smoke ? 2 : 15;
const program = fileURLToPath(new URL('./support/diagnosis-variant.mjs', import.meta.url));
const names = Object.keys(variants);

const programs = names.map((name) => [name, [program, name, ...(smoke ? ['--smoke'] : [])]]);
const samples = await peerRounds(Object.fromEntries(programs), rounds);
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
