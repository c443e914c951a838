// One case of bench/20-micro.mjs in a process of its own, so that what one case teaches the compiler does not slow
// another down. Answers each line `round` with the result of one.
//
//   node [--cpu-prof] bench/support/micro-case.mjs CASE [--smoke] [ROUNDS]
import { createInterface } from 'node:readline';
import { Bench } from 'tinybench';
import { cases } from './micro-cases.mjs';

const name = process.argv[2];
const smoke = process.argv.includes('--smoke');
const { unit, create } = cases[name];
const { run, end } = await create({ smoke });

const bench = new Bench({
  time: smoke ? 20 : 300,
  iterations: 3,
  warmupTime: smoke ? 20 : 100,
  warmupIterations: 1,
  throws: true,
});
bench.add(name, () => {
  const startMs = performance.now();
  const ns = run();
  return { overriddenDuration: ns / 1e6, overriddenIterationCost: performance.now() - startMs };
});

/** Nanoseconds per operation: the mean, because what comes now and then is part of the cost. */
async function timedRound() {
  bench.reset();
  const [{ result }] = await bench.run();
  return result.latency.mean * 1e6;
}

const round = unit === 'count' ? run : timedRound;
const alone = Number(process.argv.at(-1));
if (alone > 0) {
  for (let i = 0; i < alone; i++) console.log((await round()).toFixed(1));
} else {
  console.log('"ready"');
  for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(await round()));
}
await end?.();
