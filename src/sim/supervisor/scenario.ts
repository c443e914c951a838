import type { SupervisorLimits } from '../../supervisor/options.js';
import type { Fault, FaultRates } from '../faults.js';
import { Random } from '../random.js';

/** Those of the stage's faults that make sense around a supervisor. */
const stageFaults = [
  'short-send',
  'blocked',
  'late-completion',
  'delayed-cancel',
  'reordered-results',
  'ring-full',
  'journal-stall',
  'stage-pause',
  'control-full',
  'exit',
] as const satisfies readonly Fault[];

/** What can be wrong with the parts that a shutdown calls: which of its stages fails. */
export type ShutdownTrouble = 'readiness' | 'accepting' | 'flush' | 'stage' | 'health';

const shutdownTroubles: readonly ShutdownTrouble[] = ['readiness', 'accepting', 'flush', 'stage', 'health'];

/** What a run of the supervisor's world begins with. Times are virtual. */
export interface SupervisorScenario {
  /** Decides everything that is drawn, an integer from 0 to 2^53-1. */
  readonly seed: number;
  /** The limits that the supervisor is given. */
  readonly limits: SupervisorLimits;
  /** Slots of the stage, at least the cap on connections; what is above it is for clients that are refused. */
  readonly slots: number;
  /** Clients that connect at some time. */
  readonly clients: number;
  /** Services that are told of connections, and flushed at the shutdown. */
  readonly services: number;
  /** How often, 0 … 1, a service throws or rejects, or a handler does something that is its connection's end. */
  readonly trouble: number;
  /** How often, 0 … 1, clients break the rules. */
  readonly hostile: number;
  /** Rates of the stage's faults, 0 … 1, at each of their opportunities. */
  readonly faults: FaultRates;
  /** Slots of the output ring, a power of two. */
  readonly ringCapacity: number;
  /** Largest answer, in bytes. */
  readonly payloadBytes: number;
  /** Size of the kernel's send queue of each connection, in bytes. */
  readonly socketBytes: number;
  /** Bytes per second that a client reads. */
  readonly readRate: number;
  /** A client that takes nothing for this long is dropped, in nanoseconds. */
  readonly blockedTimeoutNs: number;
  /** A sync of the journal takes a quarter of this at least, and 1.25 times as long in the mean; nanoseconds. */
  readonly syncNs: number;
  /** Mean time between two things that the application does by itself, in nanoseconds. */
  readonly actGapNs: number;
  /** Most that a timer is late, in nanoseconds. */
  readonly latenessNs: number;
  /** Most that the stage's events are late, in nanoseconds. */
  readonly eventDelayNs: number;
  /** When the shutdown begins, in nanoseconds since the start, unless `shutdownAfterTask` says otherwise. */
  readonly shutdownNs: number;
  /** It begins behind so many tasks of the control thread instead; null: at `shutdownNs`. */
  readonly shutdownAfterTask: number | null;
  /** How long the shutdown waits for connections that have work under way, in milliseconds. */
  readonly drainMs: number;
  /** How long it waits for each flush, in milliseconds. */
  readonly flushMs: number;
  /** So long after its beginning it is told to wait no longer, in nanoseconds; null: nobody is in a hurry. */
  readonly hurryNs: number | null;
  /** Asks for the shutdown a second time. */
  readonly again: boolean;
  /** Those of the parts it calls that fail; one that ends the health server may also hang. */
  readonly troubles: readonly ShutdownTrouble[];
}

/** What a seed stands for. */
export function drawSupervisorScenario(seed: number): SupervisorScenario {
  const random = new Random(seed);
  const connections = random.between(1, 6);
  const faults: FaultRates = {};
  const share = random.pick([0, 0.2, 0.5]);
  for (const fault of stageFaults) {
    const on = random.chance(fault === 'exit' ? share / 5 : share);
    const rate = random.magnitude(1, 200) / 1000;
    if (on) faults[fault] = rate;
  }
  const lifeNs = random.magnitude(2e6, 400e6);
  return {
    seed,
    limits: {
      connections,
      subscriptions: random.between(1, 4),
      pendingPushes: random.between(1, 5),
      inboundBytes: random.magnitude(600, 20_000),
      frameBytes: random.between(64, 400),
      handling: random.pick([1, 1, 2, 4]),
    },
    slots: connections + random.between(0, 4),
    clients: random.between(1, 2 * connections + 2),
    services: random.between(1, 3),
    trouble: random.pick([0, 0.05, 0.2]),
    hostile: random.pick([0, 0.1, 0.3]),
    faults,
    ringCapacity: 2 ** random.between(faults['ring-full'] === undefined ? 5 : 1, 7),
    payloadBytes: random.pick([64, 256, 256, 8_000]),
    socketBytes: random.magnitude(500, 100_000),
    readRate: random.magnitude(1e5, 1e9),
    blockedTimeoutNs: random.magnitude(10e6, 300e6),
    syncNs: random.magnitude(20_000, 20e6),
    actGapNs: lifeNs / random.magnitude(10, 150),
    latenessNs: random.pick([0, 0, 50_000, 3e6]),
    eventDelayNs: random.pick([1_000, 30_000, 2e6]),
    shutdownNs: Math.floor(lifeNs * (0.1 + random.fraction())),
    shutdownAfterTask: null,
    drainMs: random.pick([0, 1, 20, 200, 1000, 3000]),
    flushMs: random.between(20, 80),
    hurryNs: random.chance(0.3) ? random.magnitude(1_000, 500e6) : null,
    again: random.chance(0.3),
    troubles: random.chance(0.5) ? [] : shutdownTroubles.filter(() => random.chance(0.3)),
  };
}
