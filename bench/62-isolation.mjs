// What one sick client costs the others. 256 clients get responses in an open loop; 26 of them fall ill: they stop reading
// (zero window), trickle, or reset. Measured is how late the frames of the 230 others come.
//
//   node bench/62-isolation.mjs [--json] [--smoke]
//
// A round takes the servers one after another, each with five sections: nobody ill, stopped, trickle, reset, nobody ill.
// A ratio is p99 with the sick to the mean of the two without; the noise floor is the ratio of those two to each other.
//
// A frame is late from the moment that it was meant to be sent. What never came counts as late until the end of its
// section: the figures of a server that stood still are the least that they can be, marked >=.
//
// Who stops or trickles has a small receive buffer and short segments, so that the server's kernel keeps some 25 KB for
// it: with loopback's segments of 64 KiB it keeps megabytes, and no send blocks within seconds. No server sets
// `SO_SNDBUF`. After some 0.4 s the sick are blocked; before the end of a section they overflow what the stage keeps for them.
// Who resets has read everything until then.
//
// What competes on a small machine: the engine (asleep between ticks of 1 ms), the stage or the server's main thread, and
// two processes of clients, healthy and sick, asleep in epoll.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ward } from './support/isolation.mjs';
import { buildReference, reference } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';
import { isPatient } from './support/ward.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const rounds = smoke ? 1 : 7;
const clients = 256;
const patients = 26;
const pace = { rate: 20_000, perTick: 20, bytes: 1024 };
const seconds = smoke ? 1.2 : 1.6;
const warmUpSeconds = smoke ? 0.1 : 0.2;

const closing = { receiveBytes: 4096, segmentBytes: 300 };
const plain = { receiveBytes: 0, segmentBytes: 0 };
const nobody = { command: null, ...plain };
const sicknesses = {
  stopped: { command: 'sick stopped', ...closing },
  trickle: { command: 'sick trickle 16 100', ...closing },
  // One after another: if all reset at once, it would be over after one tick, and no percentile would show it.
  reset: { command: `sick reset ${Math.floor((seconds * 1000) / (patients + 1))}`, ...plain },
};

const sender = (name) => [
  fileURLToPath(new URL(`senders/${name}.mjs`, import.meta.url)),
  ...[clients, patients, pace.bytes].map(String),
];

/** Starts nothing yet. Without liburing there is no `classic`. */
function makeWards(folder) {
  const setting = { clients, patients, pace, warmUpSeconds, seconds, folder };
  const wards = { ackgate: new Ward({ ...setting, argv: sender('isolation-stage'), stays: true }) };
  const classic = reference('classic');
  if (classic !== null)
    wards.classic = new Ward({ ...setting, argv: [classic, String(clients)], stays: false });
  wards['net.Socket'] = new Ward({ ...setting, argv: sender('isolation-socket'), stays: true });
  return wards;
}

const percentileUs = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] / 1e3;

/** Throws for what must not be: not for what is slow. */
function check({ undelivered, answer }, variant, sickness) {
  const refuse = (why) => {
    throw new Error(`${variant}, ${sickness}: ${why}`);
  };
  const closes = sickness === 'stopped' || sickness === 'trickle';
  if (variant === 'classic' && closes) {
    if (undelivered === 0) refuse('no window closed, so that nothing was shown');
    return;
  }
  const wronged = (answer?.gone ?? []).filter(
    (at) => sickness === 'without' || !isPatient(at, clients, patients),
  );
  if (wronged.length > 0) refuse(`${wronged.length} healthy clients were dropped`);
  if (undelivered > 0) refuse(`${undelivered} frames for healthy clients did not come`);
  if (variant === 'classic') return;
  // On a busy machine a smoke run may be over before the last is.
  if (closes && answer.blocked < (smoke ? 1 : patients))
    refuse(`only ${answer.blocked} of ${patients} were seen blocked`);
  if (sickness === 'reset' && answer.gone.length < patients)
    refuse(`only ${answer.gone.length} resets were seen`);
}

async function section(ward, variant, sickness) {
  const illness = sicknesses[sickness] ?? nobody;
  // It would never end by itself.
  const standsStill = variant === 'classic' && illness.receiveBytes > 0;
  const result = await ward.section(illness, standsStill ? 300 : undefined);
  check(result, variant, sickness);
  const { latenessNs, undelivered, answer } = result;
  return {
    p50Us: percentileUs(latenessNs, 0.5),
    p99Us: percentileUs(latenessNs, 0.99),
    undelivered,
    answer,
  };
}

/** By variant, then by sickness, one entry a round; `again` is the second without, for which a smoke run has no time. */
async function measure(wards) {
  const order = ['without', ...Object.keys(sicknesses), ...(smoke ? [] : ['again'])];
  const measured = {};
  for (const variant of Object.keys(wards)) {
    measured[variant] = Object.fromEntries(order.map((name) => [name, []]));
    // Node becomes fast as it goes.
    if (!smoke) await section(wards[variant], variant, 'without');
  }
  for (let round = 0; round < rounds; round++) {
    for (const [variant, ward] of Object.entries(wards)) {
      for (const name of order) {
        measured[variant][name].push(await section(ward, variant, name === 'again' ? 'without' : name));
      }
    }
  }
  return measured;
}

const median = (samples) => spread(samples).median;
const medians = (sections) => ({
  p50Us: median(sections.map(({ p50Us }) => p50Us)),
  p99Us: median(sections.map(({ p99Us }) => p99Us)),
});
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function makeNote(variant, sickness, sections) {
  const undelivered = median(sections.map((one) => one.undelivered));
  if (undelivered > 0) {
    return `>=: stood still; ${undelivered} frames for healthy clients had not come at the end of a section`;
  }
  if (variant === 'classic') return '';
  const answers = sections.map(({ answer }) => answer);
  const parts = [
    sickness === 'reset'
      ? `${median(answers.map(({ gone }) => gone.length))} gone`
      : `${median(answers.map(({ blocked }) => blocked))} blocked`,
  ];
  const drops = Object.entries(answers.at(-1).drops).map(([reason, count]) => `${count} ${reason}`);
  if (drops.length > 0) parts.push(`dropped: ${drops.join(', ')}`);
  if (answers.some(({ queuedBytes }) => queuedBytes > 0)) {
    const queued = median(answers.map(({ queuedBytes }) => queuedBytes));
    const growth = median(answers.map(({ rssGrowth }) => rssGrowth));
    parts.push(`${megabytes(queued)} queued after ${seconds} s and growing, memory + ${megabytes(growth)}`);
  }
  return parts.join('; ');
}

function summarize(measured) {
  return Object.entries(measured).flatMap(([variant, by]) => {
    const before = by.without;
    const after = by.again ?? before;
    return Object.keys(sicknesses).map((sickness) => {
      const sections = by[sickness];
      return {
        variant,
        sickness,
        without: medians([...before, ...after]),
        with: medians(sections),
        p99Ratio: spread(
          sections.map(({ p99Us }, round) => (2 * p99Us) / (before[round].p99Us + after[round].p99Us)),
        ),
        noiseFloor: smoke ? null : spread(after.map(({ p99Us }, round) => p99Us / before[round].p99Us)),
        undelivered: median(sections.map(({ undelivered }) => undelivered)),
        note: makeNote(variant, sickness, sections),
      };
    });
  });
}

function print({ cases, ...rest }) {
  console.log(`lateness of the ${clients - patients} healthy in us, p50 / p99;`, JSON.stringify(rest));
  const figures = ({ p50Us, p99Us }) => `${p50Us.toFixed(0)} / ${p99Us.toFixed(0)}`.padStart(18);
  const ratio = (value) =>
    (value === null
      ? ''
      : `${value.median.toFixed(2)} (${value.low.toFixed(2)} - ${value.high.toFixed(2)})`
    ).padStart(28);
  console.log(
    `${''.padEnd(20)}${'without'.padStart(18)}${'with'.padStart(18)}${'p99 with / without'.padStart(28)}` +
      `${'noise floor'.padStart(28)}`,
  );
  for (const one of cases) {
    console.log(
      `${one.variant.padEnd(11)}${one.sickness.padEnd(9)}${figures(one.without)}${figures(one.with)}` +
        `${ratio(one.p99Ratio)}${ratio(one.noiseFloor)}  ${one.note}`,
    );
  }
}

const folder = mkdtempSync(join(tmpdir(), 'ackgate-isolation-'));
let wards = {};
try {
  buildReference();
  wards = makeWards(folder);
  const measured = await measure(wards);
  const cases = summarize(measured);
  const { backend } = measured.ackgate.without[0].answer;
  const setting = { clients, sick: patients, rounds, ...pace, seconds, backend };
  const report = { bench: 'isolation', machine: machine(), smoke, ...setting, cases };
  if (json) console.log(JSON.stringify(report));
  else print(report);
} finally {
  await Promise.all(Object.values(wards).map((ward) => ward.close()));
  rmSync(folder, { recursive: true });
}
