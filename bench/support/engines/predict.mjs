// What `ackgate sim whatif` makes of the parts. Those of the primary (arrivals, engine, handover, turns, wakes, sends) were
// recorded while the load was served that is predicted; how long replicas take, in the bare run of the same round: Ackgate
// does not say when it heard of a replica.
import { whatIf } from '#ackgate/sim/index.js';
import { answerBytes, connections } from './load.mjs';

const us = (ns) => Math.round(ns / 10) / 100;

/** @param bare of the same round; null for an engine without replicas */
export function predict(mode, { recorded, orders }, bare) {
  const distributions = { ...recorded.distributions, ...(bare === null ? {} : replicaShapes(bare)) };
  const { policies } = whatIf({
    policies: [mode],
    cluster: { nodes: bare === null ? 1 : 3, zones: 1 },
    load: { fanOut: 1, payloadBytes: answerBytes, connections },
    distributions: { ...recorded, distributions },
    orders: Math.max(1000, orders),
    failureRates: [],
    lossMoments: 0,
  });
  const { p50, p99, p999 } = policies[0].latencyNs;
  return { p50: us(p50), p99: us(p99), p999: us(p999) };
}

/**
 * Half of the time until it was in the replica's memory; the turns of the replica's own journal and how soon it told of
 * them, or else how much later it was seen to have flushed.
 */
function replicaShapes({ sentNs, replica, measured }) {
  const replay = (samples) => ({
    replayNs: samples.map(({ ns }) => Math.max(0, Math.round(ns))),
    atNs: samples.map(({ atNs }) => Math.max(0, Math.round(atNs - sentNs[0]))),
  });
  const network = replay(replica.inMemory.map((ns, i) => ({ atNs: sentNs[i], ns: (ns - sentNs[i]) / 2 })));
  if (measured === null) {
    const flushes = replica.persisted.flatMap((ns, i) =>
      ns === replica.persisted[i - 1] ? [] : [{ atNs: sentNs[i], ns: ns - replica.inMemory[i] }],
    );
    return { network, replicaSync: replay(flushes), notice: { fixedNs: 0 } };
  }
  const turns = measured.turns.filter(({ beganNs }) => beganNs >= sentNs[0]);
  let next = 0;
  const notices = turns.flatMap(({ endedNs, lastSequence }) => {
    while (next < measured.acks.length && measured.acks[next].sequence < lastSequence) next++;
    const ack = measured.acks[next];
    return ack === undefined ? [] : [{ atNs: endedNs, ns: ack.sentNs - endedNs }];
  });
  const syncs = turns.map(({ beganNs, endedNs }) => ({ atNs: beganNs, ns: endedNs - beganNs }));
  return { network, replicaSync: replay(syncs), notice: replay(notices) };
}
