// Checks the Promela models of what threads do to each other's memory (models/README.md) with spin, and that each
// defect put back into them is found. The last line is "N passed, N failed".
//   --quick       leaves the largest searches out
//   --json        one JSON document instead
//   --if-present  without spin or gcc: says so and ends with 0
import { availableParallelism } from 'node:os';
import './support/node-version.mjs';
import { missingTool, mutants, search, searches } from './support/models.mjs';

const known = ['--quick', '--json', '--if-present'];
const args = process.argv.slice(2);
const wrong = args.find((arg) => !known.includes(arg));
if (wrong !== undefined) {
  console.error(`unknown option "${wrong}": known are ${known.join(', ')}`);
  process.exit(2);
}
const [quick, json, ifPresent] = known.map((option) => args.includes(option));
const say = (line) => {
  if (!json) console.log(line);
};

const missing = await missingTool();
if (missing !== null) {
  if (json) console.log(JSON.stringify({ ok: false, missing, passed: 0, failed: 0 }));
  else console.log(`${missing}\n0 passed, 0 failed`);
  process.exit(ifPresent ? 0 : 2);
}

/** Calls `work` for each, two at a time where there are two cores, and `done` in the order of the list. */
async function inOrder(list, work, done) {
  const results = new Array(list.length);
  let next = 0;
  let told = 0;
  const worker = async () => {
    while (next < list.length) {
      const index = next++;
      results[index] = await work(list[index]);
      while (told < list.length && results[told] !== undefined) done(list[told], results[told++]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  return results;
}

const row = (model, what, states, depth, seconds, result) =>
  say(
    `${model.padEnd(7)} ${what.padEnd(52)} ${states.padStart(11)} ${depth.padStart(7)} ${seconds.padStart(7)}  ${result}`,
  );
const numbers = ({ states, depth, seconds }) => [states.toLocaleString('en'), `${depth}`, seconds.toFixed(1)];

const wanted = searches.filter(({ full }) => !(full && quick));
const failures = [];
row('model', 'switches', 'states', 'depth', 'seconds', 'result');
const clean = await inOrder(
  wanted,
  (each) => search(each, { trail: true }),
  ({ model, switches, live }, result) => {
    const { problem } = result;
    const good = problem === null;
    row(model, switches, ...numbers(result), good ? `holds${live ? ' (fairness)' : ''}` : 'FAILED');
    if (!good) failures.push(`${model} [${switches}]: ${problem.kind}\n${lastLines(problem.trail)}`);
  },
);

say('');
row('model', 'defect put back [switches]', 'states', 'depth', 'seconds', 'result');
const broken = await inOrder(
  mutants,
  (each) => search(each),
  ({ model, defect, switches }, result) => {
    const found = result.problem?.kind === 'property';
    row(
      model,
      switches ? `${defect} [${switches}]` : defect,
      ...numbers(result),
      found ? 'found' : 'NOT FOUND',
    );
    if (!found) failures.push(`${model} [${defect}]: ${result.problem?.kind ?? 'nothing was found'}`);
  },
);

const holding = clean.filter(({ problem }) => problem === null).length;
const found = broken.filter(({ problem }) => problem?.kind === 'property').length;
const passed = holding + found;
const failed = clean.length + broken.length - passed;
for (const failure of failures) console.error(`\n${failure}`);
if (json) {
  const numbersOf = ({ states, depth, seconds, problem }) => ({
    states,
    depth,
    seconds,
    problem: problem?.kind ?? null,
  });
  console.log(
    JSON.stringify({
      ok: failed === 0,
      models: wanted.map(({ model, switches }, i) => ({ model, switches, ...numbersOf(clean[i]) })),
      mutants: mutants.map(({ model, defect, switches }, i) => ({
        model,
        defect,
        switches,
        found: broken[i].problem?.kind === 'property',
        ...numbersOf(broken[i]),
      })),
      passed,
      failed,
    }),
  );
} else {
  say(`\nsearches that hold: ${holding} of ${clean.length}; defects found: ${found} of ${broken.length}`);
  say(`${passed} passed, ${failed} failed`);
}
process.exitCode = failed === 0 ? 0 : 1;

/** The end of the way to a failure; all of it is thousands of steps. */
function lastLines(text) {
  return text.split('\n').slice(-120).join('\n');
}
