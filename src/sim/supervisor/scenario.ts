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

/** What can be wrong with the parts that a shutdown calls. */
export const shutdownTroubles = ['readiness', 'accepting', 'flush', 'stage', 'health'] as const;
export type ShutdownTrouble = (typeof shutdownTroubles)[number];

/** What a run of the supervisor's world begins with. Times are virtual. */
export interface SupervisorScenario {
  readonly seed: number;
  readonly limits: SupervisorLimits;
  /** Slots of the stage, at least the cap on connections; what is above it is for clients that are refused. */
  readonly slots: number;
  /** Clients that connect at some time. */
  readonly clients: number;
  readonly services: number;
  /** How often, 0 … 1, a service throws or rejects, or a handler does something that is its connection's end. */
  readonly trouble: number;
  /** How often, 0 … 1, clients break the rules. */
  readonly hostile: number;
  readonly faults: FaultRates;
  readonly ringCapacity: number;
  /** Largest answer. */
  readonly payloadBytes: number;
  readonly socketBytes: number;
  readonly readRate: number;
  readonly blockedTimeoutNs: number;
  readonly syncNs: number;
  /** Between two things that the application does by itself. */
  readonly actGapNs: number;
  /** Most that timers are late, and the stage's events. */
  readonly latenessNs: number;
  readonly eventDelayNs: number;
  /** When the shutdown begins. */
  readonly shutdownNs: number;
  /** Instead: behind so many tasks of the control thread. */
  readonly shutdownAfterTask: number | null;
  readonly drainMs: number;
  readonly flushMs: number;
  /** After the shutdown began; null: nobody is in a hurry. */
  readonly hurryNs: number | null;
  /** Asks for the shutdown a second time. */
  readonly again: boolean;
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
