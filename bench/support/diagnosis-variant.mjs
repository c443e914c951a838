// One variant of bench/22-diagnosis.mjs in a process of its own: answers each line of input with the nanoseconds that the
// stage took for a record.
import { createInterface } from 'node:readline';
import { variants } from './diagnosis-variants.mjs';
import { createNullRounds } from './null-stage.mjs';

const { before, set } = variants[process.argv[2]];
const perRound = process.argv.includes('--smoke') ? 20 : 400;
const { round, records, check, directives, stage } = createNullRounds({ identified: true });

function measure() {
  // The median of many short turns: a turn that was interrupted says nothing about the stage.
  const turns = Array.from({ length: perRound }, () => round() / records).sort((a, b) => a - b);
  check();
  return turns[perRound >> 1];
}

if (before !== undefined) {
  directives.write(before, {}, 'off');
  measure();
  if (stage.diagnosis.captured === 0) throw new Error('nothing was captured');
}
if (set !== undefined) directives.write(set, {}, 'off');
measure();
console.log('"ready"');
for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(measure()));
