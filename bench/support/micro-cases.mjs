// The parts of bench/20-micro.mjs. `create` returns a function that does the work of one sample and returns its cost,
// in nanoseconds per operation, unless the unit is 'count'; and, where needed, one that ends it.
import { ConnectionTable } from '../../dist/egress/connection-table.js';
import { Egress } from '../../dist/egress/egress.js';
import { sendBufferBytes } from '../../dist/egress/sender.js';
import { lengthPrefixFraming } from '../../dist/encode/framing.js';
import { createNodeTable, Policy, PolicyEvaluator } from '../../dist/policy/index.js';
import { Heartbeats } from '../../dist/stage/heartbeats.js';
import { countCollections } from './collections.mjs';
import { createNullRounds, NullSender } from './null-stage.mjs';
import { openTwoThreads } from './two-threads.mjs';

const payloadBytes = 64;
const payload = new Uint8Array(payloadBytes).fill(3);
const roundsPerSample = 64;

/** Records of one sample, as many as take tens of milliseconds; a multiple of the batches. */
async function twoThreads(name, records) {
  const { run, end } = await openTwoThreads(name, { capacity: 4096, payload });
  return { run: () => run(records), end };
}

/** A tag and a number before the bytes: about the least that an encoder does. */
const smallEncoder = {
  bodyBytesMax: 128,
  encode({ bytes, payloadBytes, wireSeq }, out) {
    out[0] = 0x10;
    out[1] = wireSeq;
    out[2] = wireSeq >>> 8;
    out[3] = wireSeq >>> 16;
    for (let i = 0; i < payloadBytes; i++) out[4 + i] = bytes[i];
    return 4 + payloadBytes;
  },
};

function nullStage(options) {
  const rounds = createNullRounds({ payloadBytes, ...options });
  return {
    run() {
      let ns = 0;
      for (let i = 0; i < roundsPerSample; i++) ns += rounds.round();
      rounds.check();
      return ns / (roundsPerSample * rounds.records);
    },
  };
}

/** What the engine pays for each record; the stage takes them in between. */
function publish() {
  const rounds = createNullRounds({ payloadBytes });
  return {
    run() {
      let ns = 0;
      for (let i = 0; i < roundsPerSample; i++) {
        const startMs = performance.now();
        rounds.publish();
        ns += (performance.now() - startMs) * 1e6;
        rounds.take();
      }
      return ns / (roundsPerSample * rounds.records);
    },
  };
}

/** The three nodes of a cluster that moves on: who is ahead changes from one evaluation to the next. */
function policyEvaluation() {
  const views = 1024;
  const evaluations = 200 * views;
  const evaluator = new PolicyEvaluator(Policy.parse('persisted>=2 && in_memory>=3'));
  const nodes = createNodeTable();
  nodes.count = 3;
  const lag = Int32Array.from({ length: 6 * views }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);
  return {
    run() {
      let checksum = 0;
      const startMs = performance.now();
      for (let i = 0; i < evaluations; i++) {
        const sequence = 2 ** 40 + i;
        const at = 6 * (i % views);
        for (let node = 0; node < 3; node++) {
          nodes.inMemory[node] = sequence - lag[at + node];
          nodes.persisted[node] = sequence - lag[at + node] - lag[at + 3 + node];
        }
        evaluator.evaluate(nodes);
        checksum += evaluator.durablePos;
      }
      const ns = ((performance.now() - startMs) * 1e6) / evaluations;
      if (!(checksum > 0)) throw new Error('nothing was evaluated');
      return ns;
    },
  };
}

const tickNs = 10e6;
const ticksPerSample = 200;

/**
 * Ticks 10 ms apart, on virtual time, over connections that are all written to every half second, so that no heartbeat
 * is ever due: a tick finds those whose deadline would have been now, and puts them off.
 */
function heartbeatTick() {
  const slots = 16_384;
  const sender = new NullSender(slots);
  const egress = new Egress({
    sender,
    arena: new Uint8Array(new SharedArrayBuffer(slots * sendBufferBytes)),
    table: new ConnectionTable(slots),
    framing: lengthPrefixFraming,
    fence: new Int32Array(1),
    onClosing: () => {},
    onEnded: () => {},
    delivery: { delivered: () => {}, discarded: () => {} },
  });
  const heartbeats = new Heartbeats(egress, lengthPrefixFraming.heartbeat, 1e9, 0);
  for (let slot = 0; slot < slots; slot++) {
    egress.open(slot, slot + 1, 0, 0);
    egress.appendedTotal[slot] = 1;
    heartbeats.opened(slot, 0);
  }
  const turns = 50;
  let tick = 0;
  return {
    run() {
      let ns = 0;
      for (let i = 0; i < ticksPerSample; i++) {
        const nowNs = ++tick * tickNs;
        for (let slot = tick % turns; slot < slots; slot += turns) egress.lastAppendNs[slot] = nowNs;
        const startMs = performance.now();
        const sent = heartbeats.tick(nowNs);
        ns += (performance.now() - startMs) * 1e6;
        if (sent > 0) throw new Error('a heartbeat was sent');
      }
      return ns / ticksPerSample;
    },
  };
}

/** Collections while so many records go through the whole stage, publishing included. */
function collections({ smoke }) {
  const records = smoke ? 200_000 : 10_000_000;
  const rounds = createNullRounds({ payloadBytes });
  // Called from one place, so that the compiler doesn't make one function of the two: one is the engine's thread.
  const steps = [rounds.publish, rounds.take];
  const pass = (count) => {
    for (let done = 0; done < count; done += rounds.records) {
      for (const step of steps) step();
    }
    rounds.check();
  };
  pass(records / 10);
  return { run: () => countCollections(() => pass(records)) };
}

/** By name; `goal` is in the unit. The names are what others look for. */
export const cases = {
  'ring-two-threads': {
    unit: 'per second',
    goal: '>= 10000000 per second',
    create: ({ smoke }) => twoThreads('claim/publish', smoke ? 64_000 : 1_024_000),
  },
  'post-message-two-threads': {
    unit: 'per second',
    create: ({ smoke }) => twoThreads('postMessage', smoke ? 6400 : 32_000),
  },
  'post-message-batches-two-threads': {
    unit: 'per second',
    create: ({ smoke }) => twoThreads('postMessage of batches', smoke ? 6400 : 64_000),
  },
  'ringbuf-js-two-threads': {
    unit: 'per second',
    create: ({ smoke }) => twoThreads('ringbuf.js', smoke ? 64_000 : 512_000),
  },
  'policy-evaluation': { unit: 'per second', goal: '>= 20000000 per second', create: policyEvaluation },
  'stage-null-sender': { unit: 'ns', goal: '<= 120 ns', create: () => nullStage({}) },
  'stage-null-sender-in-turn': { unit: 'ns', create: () => nullStage({ inTurn: true }) },
  'stage-null-sender-encoder': { unit: 'ns', create: () => nullStage({ encoder: smallEncoder }) },
  publish: { unit: 'ns', create: publish },
  'heartbeat-tick': { unit: 'us', goal: '<= 20 us', create: heartbeatTick },
  collections: { unit: 'count', goal: '<= 0', create: collections },
};
