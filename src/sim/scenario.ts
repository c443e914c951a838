import { type Fault, type FaultRates, faultNames, frameFaults } from './faults.js';
import { Random } from './random.js';

/** A node besides the primary. Times are means, in nanoseconds. */
export interface ScenarioNode {
  /** Where it stands, for policies that count zones; null: in a zone of its own. */
  zone: string | null;
  /** One way between it and the primary, at least half of this, 0 … 10^13. */
  networkNs: number;
  /** One sync of its journal, at least half of this, 0 … 10^13. */
  syncNs: number;
  /** Its acknowledgements wait so long for more to tell, 0 … 10^13. */
  ackDelayNs: number;
  /** Whether it tells its cursors by frames, which are its heartbeat as well; else its adapter connects and moves them. */
  frames: boolean;
}

/** A whole run, as plain data: with its seed it decides everything that happens. */
export interface Scenario {
  /** Decides everything that is drawn, an integer from 0 to 2^53-1. */
  seed: number;
  /** Places for connections, 1 … 1024. */
  slots: number;
  /** Clients that connect at first, 0 … `slots`. */
  clients: number;
  /** Nodes besides the primary, at most 15. */
  nodes: ScenarioNode[];
  /** The primary's zone, for policies that count zones; null: one of its own. */
  primaryZone: string | null;
  /** Mean time of a sync of the primary's journal, in nanoseconds, 1 … 10^13; none takes less than half of it. */
  primarySyncNs: number;
  /** A mode or a policy text, in force from the start. */
  policy: string;
  /** Orders that come, 0 … 10,000,000. */
  orders: number;
  /** Mean time between two orders, in nanoseconds, 1 … 10^13. */
  orderGapNs: number;
  /** Most clients that hear of an order, 1 … 1000; how many is drawn for each. */
  fanOut: number;
  /** Sizes of bodies in bytes, drawn for each. */
  payload: {
    /** 5 … `max`. */
    min: number;
    /** `min` … `maxPayload`. */
    max: number;
  };
  /** Sequence of the first order, less 1: 0 … 2^52. */
  firstSeq: number;
  /** Slots of the output ring, a power of two, 2 … 2^20. */
  ringCapacity: number;
  /** Largest payload of a record, in bytes, 5 … 60,000. */
  maxPayload: number;
  /** Most records that the stage takes in one round, 1 … 2^20. */
  recordsPerBatch: number;
  /** The stage flushes once a connection has so many bytes waiting, 1 … 65,536, … */
  flushBytes: number;
  /** … or so many records were appended, 1 … 2^20, … */
  flushRecords: number;
  /** … or the oldest appended byte is this old, in nanoseconds, 0 … 10^9. */
  flushDelayNs: number;
  /** A connection to which nothing was appended for this long, in nanoseconds, gets a heartbeat; 0: none. At most 10^13. */
  heartbeatIntervalNs: number;
  /** A client that takes nothing for this long is dropped; nanoseconds, 10^6 … 10^13. */
  blockedTimeoutNs: number;
  /** One that was blocked for this long in total is dropped, too; nanoseconds, at most 10^13; 0: never. */
  blockedTotalNs: number;
  /** A node without frames for longer than this is out of the view; nanoseconds, 5×10^7 … 6×10^10. */
  staleAfterNs: number;
  /** What the kernel does with a send to a full socket: it keeps it until there is room, as io_uring does, or refuses it. */
  whenFull: 'wait' | 'refuse';
  /** Requests that one submission takes, 1 … 65,536; fewer than there are connections make it small. */
  ringEntries: number;
  /** Results that one call collects, 1 … 65,536; what finds no row is left for the next one. */
  resultRows: number;
  /** Size of the kernel's send queue of each connection, in bytes, 1 … 2^30. */
  socketBytes: number;
  /** Bytes per second that a healthy client reads, 0 … 10^12. */
  readRate: number;
  /** Whether records are encoded by the stage; else payloads are sent as they are. */
  encoder: boolean;
  /** Whether the stage takes its timings from the start. */
  timings: boolean;
  /** Whether the server also sends disconnect frames to clients that may stay. */
  notices: boolean;
  /** Faults happen until then, in virtual nanoseconds since the start, 0 … 10^13; then everything heals. */
  troubleNs: number;
  /** Rate of each fault, 0 … 1, at each of its opportunities; one that is missing does not happen. */
  faults: FaultRates;
}

const policies = [
  'local',
  'hybrid',
  'durably-replicated',
  'replicated',
  'persisted>=2 && in_memory>=3',
  'persisted>=3',
  'persisted>=2 zones',
  'persisted>=1 && in_memory>=2 zones',
  'in_memory>=1',
];

/** Policies that a cluster of this many nodes can meet at all. */
export function policiesFor(nodes: number): string[] {
  const needs = [1, 2, 2, 2, 3, 3, 2, 2, 1];
  return policies.filter((_, index) => needs[index] <= nodes);
}

/** Nothing special, nothing wrong: what a scenario is when it says nothing else. */
export function plainScenario(seed: number): Scenario {
  return {
    seed,
    slots: 4,
    clients: 4,
    nodes: [],
    primaryZone: null,
    primarySyncNs: 50_000,
    policy: 'local',
    orders: 200,
    orderGapNs: 10_000,
    fanOut: 1,
    payload: { min: 16, max: 64 },
    firstSeq: 0,
    ringCapacity: 256,
    maxPayload: 448,
    recordsPerBatch: 1024,
    flushBytes: 32_768,
    flushRecords: 1024,
    flushDelayNs: 200_000,
    heartbeatIntervalNs: 50e6,
    blockedTimeoutNs: 100e6,
    blockedTotalNs: 0,
    staleAfterNs: 1e9,
    whenFull: 'wait',
    ringEntries: 4096,
    resultRows: 4096,
    socketBytes: 65_536,
    readRate: 1e9,
    encoder: false,
    timings: false,
    notices: false,
    troubleNs: 50e6,
    faults: {},
  };
}

/** What a seed stands for: sizes, policy and a random subset of the faults that are allowed, each with a rate. */
export function drawScenario(seed: number, allowed: readonly Fault[] = faultNames): Scenario {
  const random = new Random(seed);
  // Of its own: what was drawn before there were frames stays as it was.
  const framesRandom = new Random(seed ^ 0x00f4a3e5);
  const tell = framesRandom.pick(['never', 'never', 'some', 'all']);
  const nodes = Array.from(
    { length: random.below(5) },
    (): ScenarioNode => ({
      zone: random.chance(0.6) ? random.pick(['a', 'b', 'c']) : null,
      networkNs: random.magnitude(5_000, 500_000),
      syncNs: random.magnitude(10_000, 1_000_000),
      ackDelayNs: random.chance(0.5) ? 0 : random.magnitude(1_000, 200_000),
      frames: tell === 'all' || (tell === 'some' && framesRandom.chance(0.5)),
    }),
  );
  const rates: FaultRates = {};
  const share = random.pick([0, 0.1, 0.3, 0.6]);
  for (const fault of faultNames) {
    // Drawn for every fault, so that leaving one out leaves the others as they are.
    const from = frameFaults.includes(fault) ? framesRandom : random;
    const on = from.chance(share);
    const rate = from.magnitude(1, 300) / 1000;
    if (on && allowed.includes(fault)) rates[fault] = rate;
  }
  // A replica that comes back is worth a close look at how it does.
  const closely = random.chance(0.6) && allowed.includes('torn-cursor');
  if (rates['replica-flap'] !== undefined && closely) rates['torn-cursor'] ??= 0.02;
  if (tell !== 'never') addCompanions(rates, framesRandom, allowed);
  const slots = random.chance(0.05) ? random.between(20, 60) : random.between(1, 8);
  const large = rates['large-batch'] !== undefined;
  const long = random.chance(0.04);
  // So that some policies are degraded for longer than it takes until that is logged again.
  if (long && share > 0 && allowed.includes('replica-lost')) rates['replica-lost'] ??= 0.3;
  // So that a slow client is behind for longer than any client may be blocked.
  const slow = rates['slow-reader'] !== undefined && random.chance(0.5);
  // The same for one of which the kernel takes nothing.
  const zero = rates['result-zero'] !== undefined && random.chance(0.3);
  const maxPayload = large ? random.pick([4096, 16_000, 60_000]) : random.pick([64, 448, 448, 1500]);
  const payloadMax = random.between(9, maxPayload);
  const orders = long ? random.between(20, 60) : random.magnitude(20, large ? 120 : 400);
  const orderGapNs = long ? 2e8 : random.magnitude(1_000, 200_000);
  return withSilences(framesRandom, long, {
    seed,
    slots,
    clients: random.between(1, slots),
    nodes,
    primaryZone: random.chance(0.5) ? random.pick(['a', 'b']) : null,
    primarySyncNs: random.magnitude(10_000, 1_000_000),
    policy: random.pick(policiesFor(nodes.length + 1)),
    orders,
    orderGapNs,
    fanOut: random.between(1, 3),
    payload: { min: 9, max: large ? maxPayload : payloadMax },
    firstSeq: random.pick([0, 0, 5, 1_000_000, 2 ** 32 - 50, 2 ** 33 + 7]),
    ringCapacity: 2 ** random.between(rates['ring-full'] === undefined ? 6 : 1, 9),
    maxPayload,
    recordsPerBatch: random.pick([4, 64, 1024, 1024]),
    flushBytes: random.pick([1, 1400, 1400, 32_768]),
    flushRecords: random.pick([1, 16, 256, 1024]),
    flushDelayNs: random.pick([0, 200_000, 200_000]),
    heartbeatIntervalNs: random.pick([0, 20e6, 50e6, 50e6, 1e9]),
    blockedTimeoutNs: random.pick(zero ? [20e6] : slow ? [50e6, 100e6] : [20e6, 50e6, 100e6]),
    blockedTotalNs: random.chance(0.2) ? 200e6 : 0,
    staleAfterNs: 1e9,
    whenFull: random.chance(slow ? 0.25 : 0.5) ? 'wait' : 'refuse',
    ringEntries: rates['small-ring'] === undefined ? 4096 : random.pick([1, 2, 4]),
    resultRows: rates['completion-overflow'] === undefined ? 4096 : random.pick([1, 2, 4]),
    socketBytes: random.magnitude(2_000, slow ? 20_000 : 500_000),
    readRate: random.magnitude(5e6, 2e9),
    encoder: rates['encoder-throws'] !== undefined || random.chance(0.3),
    timings: random.chance(0.3),
    troubleNs: long ? orders * orderGapNs : random.magnitude(zero ? 250e6 : slow ? 150e6 : 2e6, 300e6),
    notices: random.chance(0.3),
    faults: rates,
  });
}

/** Faults of frames that show little alone. */
function addCompanions(rates: FaultRates, random: Random, allowed: readonly Fault[]): void {
  const add = (fault: Fault, rate: number, chance: number) => {
    if (random.chance(chance) && allowed.includes(fault)) rates[fault] ??= rate;
  };
  if (rates['frame-stale'] === undefined && rates['node-frozen'] === undefined) return;
  // Lives that end, and of which the next one has less.
  add('replica-flap', 0.1, 0.7);
  add('replica-behind', 0.1, 0.7);
  // What is done about a silence, and when it ends, is worth a close look.
  if (rates['node-frozen'] !== undefined) add('torn-cursor', 0.05, 0.6);
}

/** Nodes that tell frames get time to fall silent in, mostly with orders that wait for them. */
function withSilences(random: Random, long: boolean, scenario: Scenario): Scenario {
  if (!scenario.nodes.some(({ frames }) => frames)) return scenario;
  const staleAfterNs = long ? 1e9 : random.pick([50e6, 50e6, 100e6, 1e9]);
  if (long || staleAfterNs === 1e9 || random.chance(0.4)) return { ...scenario, staleAfterNs };
  // Many silences, one after the other, for those that are looked at closely.
  const closely =
    scenario.faults['node-frozen'] !== undefined && scenario.faults['torn-cursor'] !== undefined;
  const silences = closely ? random.between(8, 16) : random.between(3, 6);
  const troubleNs = Math.max(scenario.troubleNs, silences * staleAfterNs);
  // Each that comes alone keeps everybody busy.
  const orders = Math.min(scenario.orders, 60);
  const orderGapNs = Math.max(scenario.orderGapNs, Math.floor(troubleNs / orders));
  return { ...scenario, staleAfterNs, troubleNs, orders, orderGapNs };
}
