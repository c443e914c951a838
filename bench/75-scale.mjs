// What grows with the number of connections, and what must not: CPU of the stage's thread per response while the load
// stays the same, memory of a connection that is idle, and how fast connections come and go. Sockets are attached as bare
// descriptors, one each; their clients are a process of their own.
//
//   node bench/75-scale.mjs [--json] [--smoke]
//
// The stage's thread has a core for itself; the thread that feeds it and the clients share the other. All of a byte's
// way through loopback, up to waking the client, is work of the thread that sends it.
import { fileURLToPath } from 'node:url';
import { nativeAddon } from '#ackgate/egress/native.js';
import { buildReference, connectedPeers, reference, uringFault } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';

const smoke = process.argv.includes('--smoke');
const json = process.argv.includes('--json');
const backend = uringFault() === null ? 'uring' : 'posix';
const bodyBytes = 64;
const frameBytes = 4 + bodyBytes;
/** What one round answers, whatever the number of connections. */
const batch = { connections: 64, frames: 4 };
const cpuShape = smoke
  ? { connections: [64, 256], rounds: 2, batches: 64 }
  : { connections: [64, 256, 1024, 4096, 16_384], rounds: 9, batches: 512 };
const warmUpRounds = smoke ? 1 : 2;
const clientPauseUs = 200;
const idleShape = smoke ? { connections: 256, runs: 1 } : { connections: 10_000, runs: 3 };
const churnShape = smoke
  ? { connections: 256, rounds: 2, runs: 1 }
  : { connections: 4096, rounds: 3, runs: 3 };
/** More sockets, for rounds that do not count. */
const warmUpSockets = { idle: 64, churn: 512 };

/** A stage that inherits its sockets. */
function stageWith(connections, name, args = [], options = {}) {
  const script = fileURLToPath(new URL(`senders/${name}.mjs`, import.meta.url));
  const program = [process.execPath, '--expose-gc', script, backend, ...args];
  return connectedPeers([reference('handover'), connections, ...program].map(String), connections, options);
}

/**
 * Programs that answer `batch` a round. Through loopback, waking a client is work of the thread that sends to it, and how
 * often one sleeps depends on who is faster; so these look for themselves, and are never woken.
 */
async function openSenders(connections) {
  const drainArgs = [String(clientPauseUs)];
  const stageArgs = [bodyBytes, batch.connections, batch.frames];
  const senders = { stage: await stageWith(connections, 'scale-rounds', stageArgs, { drainArgs }) };
  const limit = reference('limit');
  if (limit !== null)
    senders.limit = await connectedPeers([limit, String(connections)], connections, { drainArgs });
  return senders;
}

const commands = {
  stage: (batches) => `rounds ${batches}`,
  limit: (batches) => `rotating ${batches} ${batch.connections} ${batch.frames} ${bodyBytes}`,
};

/** CPU per response and sends of one sender, after its clients have everything. */
async function measureRound(name, sender, batches) {
  const result = await sender.server.ask(commands[name](batches));
  sender.sent = (sender.sent ?? 0) + result.responses * frameBytes;
  const { bytes } = await sender.clients.ask(`await ${sender.sent}`);
  if (bytes !== sender.sent) throw new Error(`the clients have ${bytes} bytes instead of ${sender.sent}`);
  return { cpuNs: result.cpuNs / result.responses, sendsPerResponse: result.sends / result.responses };
}

/** For each number of connections the rounds of `stage` and `limit`, which took turns. */
async function measureCpu({ connections, rounds, batches }) {
  const senders = new Map();
  const samples = new Map(connections.map((count) => [count, { stage: [], limit: [] }]));
  try {
    for (const count of connections) senders.set(count, await openSenders(count));
    // The first rounds only warm up.
    for (let round = -warmUpRounds; round < rounds; round++) {
      for (const [count, byName] of senders) {
        for (const [name, sender] of Object.entries(byName)) {
          const sample = await measureRound(name, sender, batches);
          if (round >= 0) samples.get(count)[name].push(sample);
        }
      }
    }
  } finally {
    const all = [...senders.values()].flatMap((byName) => Object.values(byName));
    await Promise.all(all.map((sender) => sender.close()));
  }
  return samples;
}

/** Spread of what `value` gives for each round; null when something of it was not measured. */
function overRounds(samples, value) {
  const count = samples.values().next().value.stage.length;
  const values = Array.from({ length: count }, (_, round) =>
    value((connections, name) => samples.get(connections)?.[name][round]?.cpuNs),
  );
  return values.some(Number.isNaN) ? null : spread(values);
}

function summarizeCpu(samples) {
  const growth = (name, from, to) => overRounds(samples, (cpuNs) => cpuNs(to, name) / cpuNs(from, name));
  const overLimit = (connections) =>
    overRounds(samples, (cpuNs) => cpuNs(connections, 'stage') / cpuNs(connections, 'limit'));
  const rows = [...samples.keys()].map((connections) => ({
    connections,
    cpuNs: overRounds(samples, (cpuNs) => cpuNs(connections, 'stage')),
    limitCpuNs: overRounds(samples, (cpuNs) => cpuNs(connections, 'limit')),
    overLimit: overLimit(connections),
    sendsPerResponse: spread(samples.get(connections).stage.map((sample) => sample.sendsPerResponse)).median,
  }));
  const beyond = overRounds(
    samples,
    (cpuNs) => cpuNs(4096, 'stage') / cpuNs(4096, 'limit') / (cpuNs(64, 'stage') / cpuNs(64, 'limit')),
  );
  return {
    cpu: rows,
    ratios: {
      cpu4096Over64: growth('stage', 64, 4096),
      cpu16384Over64: growth('stage', 64, 16_384),
      limit4096Over64: growth('limit', 64, 4096),
      limit16384Over64: growth('limit', 64, 16_384),
      /** How much faster than the least that can be done the stage grows. */
      growthBeyondLimit: beyond,
    },
  };
}

async function measureIdle({ connections, runs }) {
  const results = [];
  for (let run = 0; run < runs; run++) {
    const { server, close } = await stageWith(connections + warmUpSockets.idle, 'scale-idle', [bodyBytes]);
    try {
      const before = await server.ask('sockets');
      results.push({
        before,
        attached: await server.ask('attach'),
        used: await server.ask('use'),
        churned: await server.ask(`churn ${4 * connections}`),
      });
    } finally {
      await close();
    }
  }
  const each = (state, part) =>
    Math.round(
      spread(results.map((result) => result[state][part] - result.before[part])).median / connections,
    );
  return {
    connections,
    bytesPerConnection: each('attached', 'rss'),
    bytesPerConnectionAfterUse: each('used', 'rss'),
    bytesPerConnectionAfterChurn: each('churned', 'rss'),
    /** Of these, the objects of the thread that attached them. */
    heapBytesPerConnection: each('used', 'heap'),
    /** Not part of them: what the kernel needs to map them. */
    pageTableBytesPerConnection: each('used', 'pageTables'),
  };
}

async function measureChurn({ connections, rounds, runs }) {
  const attach = [];
  const detach = [];
  for (let run = 0; run < runs; run++) {
    const { server, close } = await stageWith(rounds * connections + warmUpSockets.churn, 'scale-churn');
    try {
      await server.ask(`churn ${warmUpSockets.churn}`);
      for (let round = 0; round < rounds; round++) {
        const { count, attachNs, detachNs } = await server.ask(`churn ${connections}`);
        attach.push((count / attachNs) * 1e9);
        detach.push((count / detachNs) * 1e9);
      }
    } finally {
      await close();
    }
  }
  return { connections, attachPerSecond: spread(attach), detachPerSecond: spread(detach) };
}

function print({ fdLimit, cpu, ratios, idle, attachPerSecond, detachPerSecond }) {
  const full = ({ median, low, high }, digits = 0) =>
    `${median.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
  console.log(`medians (quartiles); at most ${fdLimit} descriptors; ${JSON.stringify(machine())}`);
  for (const { connections, cpuNs, limitCpuNs, overLimit, sendsPerResponse } of cpu) {
    const limit = limitCpuNs === null ? '' : `, limit ${full(limitCpuNs)}, ratio ${full(overLimit, 2)}`;
    console.log(
      `${String(connections).padStart(6)} connections  ${full(cpuNs)} ns of CPU per response${limit}; ` +
        `${sendsPerResponse.toFixed(2)} sends each`,
    );
  }
  for (const [name, ratio] of Object.entries(ratios))
    if (ratio !== null) console.log(`${name} ${full(ratio, 2)}`);
  console.log(
    `${idle.connections} idle connections, bytes each: ${idle.bytesPerConnection} attached, ` +
      `${idle.bytesPerConnectionAfterUse} after an answer, ${idle.bytesPerConnectionAfterChurn} after others came and ` +
      `went; page tables ${idle.pageTableBytesPerConnection} more`,
  );
  console.log(`attach ${full(attachPerSecond)} a second, detach ${full(detachPerSecond)} a second`);
}

buildReference();
const { cpu, ratios } = summarizeCpu(await measureCpu(cpuShape));
const idle = await measureIdle(idleShape);
const { attachPerSecond, detachPerSecond } = await measureChurn(churnShape);
const result = {
  bench: 'scale',
  machine: machine(),
  smoke,
  fdLimit: nativeAddon().fdLimits().soft,
  batch: { ...batch, bodyBytes },
  cpu,
  ratios,
  idle,
  churnConnections: churnShape.connections,
  attachPerSecond,
  detachPerSecond,
};
if (json) console.log(JSON.stringify(result));
else print(result);
