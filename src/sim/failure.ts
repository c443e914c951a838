/** What every run checks; see docs/SIMULATION.md. */
export const invariants = {
  I01: 'nothing is submitted before its sequence was durable',
  I02: 'each client gets exactly its released frames, in order and unchanged',
  I03: 'a client that reads gets its bytes, whatever the others do',
  I04: 'no connection holds more than its cap',
  I05: 'everything drains once faults have stopped',
  I06: 'every drop happens once, for its reason, and gives everything back',
  I07: 'the kernel never reads memory that was changed or freed meanwhile',
  I08: 'heartbeats come when they are due, and to nobody who is busy or blocked',
  I09: 'gauge, log and degraded time follow the cluster',
  I10: 'nothing is submitted after a fence, and nothing undurable at shutdown',
  I11: 'counters add up',
  I12: 'a seed runs the same way twice',
  I13: 'a node counts with what it has in its present life, and as long as it is heard',
} as const;

/** Id of an invariant, such as `I01`; `invariants` says what it promises. */
export type Invariant = keyof typeof invariants;

/** A run that broke an invariant. */
export class SimulationFailure extends Error {
  /** The first one that was broken. */
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(message);
    this.name = 'SimulationFailure';
    this.invariant = invariant;
  }
}
