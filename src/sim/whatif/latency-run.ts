import type { ResolvedPolicy } from '../../policy/index.js';
import { RecordFlag } from '../../ring/layout.js';
import { SimulatedJournal } from '../cluster/journal.js';
import { SimulatedReplica } from '../cluster/replica.js';
import { type Distribution, exponential, fixed, held } from '../distributions.js';
import { Random } from '../random.js';
import { Timeline } from '../timeline.js';
import { AckWatch } from './ack-watch.js';
import { meanNs, type Shape, type Shapes, toDistribution } from './components.js';
import { LastCursor } from './last-cursor.js';
import { type LossCount, LossProbe } from './loss-probe.js';
import { PromptSender } from './prompt-sender.js';
import { type ClusterShape, type LoadShape, zoneOf } from './shape.js';
import { createVirtualStage } from './virtual-stage.js';

export interface LatencyRunParts {
  readonly seed: number;
  readonly orders: number;
  readonly policy: ResolvedPolicy;
  readonly cluster: ClusterShape;
  readonly load: LoadShape;
  readonly shapes: Shapes;
  /** How many times the failures are tried. */
  readonly moments: number;
}

export interface LatencyRunResult {
  /** From reading an order to the kernel having its acknowledgement, in order of the orders; the first ones left out. */
  readonly latenciesNs: Float64Array;
  /** Gate openings that made somebody wait, by who had been binding. */
  readonly openedByJournal: number;
  readonly openedByReplication: number;
  /** Orders, by whose cursor came last of those that the policy waited for. */
  readonly lastJournal: number;
  readonly lastReplication: number;
  /** Orders that found the ring full: the stage did not keep up with the load. */
  readonly stalled: number;
  readonly losses: readonly LossCount[];
  /** Virtual time from the first order to the last acknowledgement. */
  readonly elapsedNs: number;
}

/** Virtual time at which orders begin to come: the connections are there by then. */
const startNs = 1e6;
/**
 * How far apart in a recording two replicas read: not each other's copies, but slow together when they were recorded on a
 * machine that was slow.
 */
const nodeShiftNs = 1e6;
/** Share of the orders with which the run gets going; they are not counted. */
const warmUpShare = 0.02;

/**
 * Sends orders through the shipped stage while a simulated cluster moves its cursors. The same seed gives every policy
 * the same orders, disks and networks.
 */
export function runLatency(parts: LatencyRunParts): LatencyRunResult {
  const { orders, cluster, load, shapes, policy } = parts;
  const timeline = new Timeline();
  const chance = new Random(parts.seed);
  // All that was recorded together is replayed together; replicas a moment apart, they are not each other's copies.
  const lengthNs = recordingNs(shapes);
  const position = (node: number) => () =>
    (Math.max(0, timeline.nowNs - startNs) + node * nodeShiftNs) % lengthNs;
  const draw = (shape: Shape | undefined, node = 0) =>
    shape === undefined ? fixed(0) : toDistribution(shape, position(node));
  const drawLink = (shape: Shape | undefined, node: number) =>
    // Measured delays follow each other as they did.
    shape === undefined || 'replayNs' in shape
      ? draw(shape, node)
      : held(draw(shape), meanNs(shape), () => timeline.nowNs);
  const acks = new AckWatch(orders, load.connections, timeline);
  const sender = new PromptSender({
    timeline,
    random: chance.fork(),
    slots: load.connections,
    send: draw(shapes.send),
    wake: draw(shapes.wake),
    onTaken: (slot, bytes) => acks.taken(slot, bytes),
  });
  const { stage, view, turn } = createVirtualStage({
    timeline,
    sender,
    policy,
    connections: load.connections,
    payloadBytes: load.payloadBytes,
    zone: zoneOf(0, cluster),
  });
  while (stage.doWork(timeline.nowNs) > 0);

  const last = new LastCursor(policy, cluster);
  const journal = new SimulatedJournal({
    timeline,
    random: chance.fork(),
    sync: draw(shapes.sync),
    handover: draw(shapes.handover),
    onPersisted: (seq) => {
      last.moved(0, seq, seq);
      view.cursors.primary.advance(seq);
    },
  });
  const replicas = Array.from({ length: cluster.nodes - 1 }, (_, i) => {
    const node = i + 1;
    const zone = zoneOf(node, cluster);
    const cursor = view.cursors.node(`replica-${node}`, { zone });
    cursor.connect({ persisted: 0 });
    const away = zone !== zoneOf(0, cluster);
    const link = (away ? shapes.zoneNetwork : undefined) ?? shapes.network;
    const replica = new SimulatedReplica({
      timeline,
      random: chance.fork(),
      toReplica: drawLink(link, i),
      toPrimary: drawLink(link, i),
      sync: draw(shapes.replicaSync ?? shapes.sync, i),
      ...(shapes.notice && { notice: draw(shapes.notice, i) }),
      handover: draw(shapes.handover),
      onAck: (inMemory, persisted) => {
        last.moved(node, inMemory, persisted);
        cursor.advance({ inMemory, persisted });
      },
    });
    replica.connect();
    return replica;
  });

  const engine = new Engine({
    timeline,
    random: chance.fork(),
    orders,
    load,
    work: draw(shapes.engine),
    gaps: shapes.arrivals === undefined ? gapsOf(load) : draw(shapes.arrivals),
    publish: (seq, readNs) => {
      const { producer, output } = view;
      // All of an order's responses or none.
      if (producer.capacity - output.depth() < load.fanOut) return false;
      const ackTo = seq % load.connections;
      for (let i = 0; i < load.fanOut; i++) {
        producer.claim(load.payloadBytes);
        const to = (ackTo + i) % load.connections;
        const isAck = i === 0;
        if (isAck) acks.expect(to, load.payloadBytes, seq, readNs);
        else acks.other(to, load.payloadBytes);
        producer.publish(to + 1, seq, isAck ? RecordFlag.lastInRequest : 0);
      }
      return true;
    },
    appended: (seq) => {
      journal.append(seq);
      for (const replica of replicas) replica.send(seq);
    },
  });
  const probe = new LossProbe({
    timeline,
    random: chance.fork(),
    moments: parts.moments,
    // Over the time that the orders take to come.
    untilNs: startNs + (orders / load.ordersPerSecond) * 1e9,
    cluster,
    acknowledged: () => acks.highest,
    processed: () => engine.processed,
    journal,
    replicas,
  });
  timeline.run(startNs);
  engine.start();
  probe.start();
  while (acks.highest < orders) {
    turn();
    engine.retry();
  }
  const skipped = Math.floor(orders * warmUpShare);
  return {
    latenciesNs: acks.latenciesNs.subarray(skipped),
    openedByJournal: stage.gate.openedByJournal,
    openedByReplication: stage.gate.openedByReplication,
    lastJournal: last.journal,
    lastReplication: last.replication,
    stalled: engine.stalled,
    losses: probe.counts,
    elapsedNs: timeline.nowNs - startNs,
  };
}

/** How long what was recorded took; 1 when nothing was. */
function recordingNs(shapes: Shapes): number {
  const ends = Object.values(shapes).map((shape) =>
    shape !== undefined && 'replayNs' in shape ? (shape.atNs?.at(-1) ?? 0) : 0,
  );
  return Math.max(...ends) + 1;
}

function gapsOf({ ordersPerSecond, arrivals }: LoadShape): Distribution {
  const meanNs = 1e9 / ordersPerSecond;
  return arrivals === 'even' ? fixed(meanNs) : exponential(0, meanNs);
}

interface EngineParts {
  timeline: Timeline;
  random: Random;
  orders: number;
  load: LoadShape;
  work: Distribution;
  gaps: Distribution;
  /** Publishes an order's responses; false when the ring has no room. */
  publish: (seq: number, readNs: number) => boolean;
  appended: (seq: number) => void;
}

/** One thread that takes orders one after the other: appends each to the journal and publishes its responses. */
class Engine {
  /** Highest sequence that was appended. */
  processed = 0;
  stalled = 0;
  readonly #parts: EngineParts;
  /** When the order at hand was read, and when that thread is free again. */
  #readNs = 0;
  #isStalled = false;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#readNs = this.#parts.timeline.nowNs;
    this.#next();
  }

  /** Tries again what found no room. */
  retry(): void {
    if (this.#isStalled) this.#done();
  }

  #next(): void {
    const { timeline, random, gaps, work } = this.#parts;
    this.#readNs += gaps.sampleNs(random);
    const freeNs = Math.max(timeline.nowNs, this.#readNs) + work.sampleNs(random);
    timeline.at(Math.round(freeNs), this.#done);
  }

  readonly #done = () => {
    const { orders, publish, appended } = this.#parts;
    const seq = this.processed + 1;
    if (!this.#isStalled) appended(seq);
    if (!publish(seq, this.#readNs)) {
      if (!this.#isStalled) this.stalled++;
      this.#isStalled = true;
      return;
    }
    this.#isStalled = false;
    this.processed = seq;
    if (seq < orders) this.#next();
  };
}
