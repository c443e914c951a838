// What clients that come and go cost those that stay, and what they leave behind in the server. 100 clients that stay ask
// and get answers all the time, over a gated stage with a supervisor; beside them others connect, ask, get their answer, and
// leave: by an end of stream, a reset, a disconnect frame, half a frame and a reset, or garbage, with up to two pushes that
// they have not replied to.
//
//   node bench/79-churn.mjs [--json] [--smoke]
//
// A gap is the time between two answers to the same client; 5 ms of it are the client's own, which thinks so long
// before it asks again. A round is a section without churn, a section with it, and a look at the server when the others are gone.
// The journal is a timer that makes everything durable once a millisecond: a real disk would be measured instead.
//
// What competes on a small machine: the server's main thread, its stage, and two processes of clients, of which the one
// that comes and goes never sleeps.
import { balances, openChurn } from './support/churn.mjs';
import { machine, spread } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const staying = 100;
const atOnce = 64;
const rounds = smoke ? 1 : 5;
const churned = smoke ? 300 : 10_000;
/** Until pools have grown, and everything is compiled. */
const warmUp = smoke ? 100 : 2000;
const quietMs = smoke ? 300 : 3000;
const goalGapMs = 250;

async function measure() {
  const churn = await openChurn(staying);
  try {
    await churn.churn(warmUp, atOnce, 1);
    const before = await churn.measure();
    const samples = [];
    for (let round = 0; round < rounds; round++) {
      const quiet = await churn.quiet(quietMs);
      const busy = await churn.churn(churned, atOnce, round + 2);
      samples.push({ quiet, busy, after: await churn.measure() });
    }
    await churn.stop();
    return { before, samples };
  } finally {
    await churn.close();
  }
}

/** Throws for what must not be: not for what is slow. */
function check({ before, samples }) {
  const total = staying + warmUp + rounds * churned;
  const { after } = samples.at(-1);
  if (after.spawned !== total) throw new Error(`${after.spawned} connections were taken instead of ${total}`);
  if (after.pushes.failed > 0) throw new Error(`${after.pushes.failed} pushes failed in a way of their own`);
  for (const { after: now } of samples) {
    for (const name of balances) {
      if (now[name] !== before[name])
        throw new Error(`${name}: ${now[name]} after churn instead of ${before[name]}`);
    }
  }
}

function summarize({ before, samples }) {
  const over = (value) => spread(samples.map(value));
  const section = (name) => ({
    p50Us: over((sample) => sample[name].latencyUs.p50),
    p99Us: over((sample) => sample[name].latencyUs.p99),
    p999Us: over((sample) => sample[name].latencyUs.p999),
    gapMs: over((sample) => sample[name].gapMs),
    gapMsMax: Math.max(...samples.map((sample) => sample[name].gapMs)),
    answers: samples.reduce((sum, sample) => sum + sample[name].answers, 0),
  });
  const left = {};
  for (const { busy } of samples) {
    for (const [way, count] of Object.entries(busy.result.left)) left[way] = (left[way] ?? 0) + count;
  }
  const { after } = samples.at(-1);
  const busy = section('busy');
  return {
    churnPerSecond: over((sample) => sample.busy.result.perSecond),
    left,
    quiet: section('quiet'),
    busy,
    before,
    after,
    rss: samples.map((sample) => sample.after.rss),
    heap: samples.map((sample) => sample.after.heap),
    goalGapMs,
    goalMet: busy.gapMsMax <= goalGapMs,
  };
}

function print({ churnPerSecond, left, quiet, busy, before, after, rss, heap, goalMet, ...rest }) {
  const text = ({ median, low, high }, digits) =>
    `${median.toFixed(digits)} (${low.toFixed(digits)} - ${high.toFixed(digits)})`;
  const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(`medians (quartiles) of rounds; ${JSON.stringify(rest)}`);
  console.log(`churned ${text(churnPerSecond, 0)} connections a second; left by ${JSON.stringify(left)}`);
  console.log(`pushes ${JSON.stringify(after.pushes)}; ended ${JSON.stringify(nonZero(after.ended))}`);
  for (const [name, one] of Object.entries({ 'without churn': quiet, 'with churn': busy })) {
    console.log(
      `${name.padEnd(14)} p50 ${text(one.p50Us, 0)} us, p99 ${text(one.p99Us, 0)} us, p99.9 ${text(one.p999Us, 0)} us, ` +
        `largest gap ${text(one.gapMs, 1)} ms, worst ${one.gapMsMax.toFixed(1)} ms; ${one.answers} answers`,
    );
  }
  for (const name of balances) console.log(`${name.padEnd(14)} ${before[name]} before, ${after[name]} after`);
  console.log(`RSS            ${mebibytes(before.rss)} before, then ${rss.map(mebibytes).join(', ')}`);
  console.log(`heap           ${mebibytes(before.heap)} before, then ${heap.map(mebibytes).join(', ')}`);
  console.log(
    `no gap over ${goalGapMs} ms: ${goalMet ? 'met' : 'missed'}, the worst was ${busy.gapMsMax.toFixed(1)} ms`,
  );
}

const nonZero = (counts) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));

const measured = await measure();
check(measured);
const setting = { staying, atOnce, churned, rounds };
const report = { bench: 'churn', machine: machine(), smoke, ...setting, ...summarize(measured) };
if (json) console.log(JSON.stringify(report));
else print(report);
