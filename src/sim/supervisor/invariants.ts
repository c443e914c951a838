/** What every run of the supervisor's world checks; see docs/SIMULATION.md. */
export const supervisorInvariants = {
  S01: 'every connection is removed once, and its services are told once and in order',
  S02: 'what waits on a connection is cancelled before its services are told of its end',
  S03: 'no receive() waits for a connection that has ended, and each settles as it is to',
  S04: 'a reply reaches its own awaiter alone, once and unchanged',
  S05: 'no client is sent a second disconnect frame',
  S06: 'permits, slots and counters balance, and the cap holds',
  S07: 'connection ids are never used again',
  S08: 'every stage of a shutdown runs once, in order, whatever failed before it',
  S09: 'a shutdown ends in time, and waits no longer than for work',
  S10: 'each client gets exactly its answers, those owed to it before its end',
  S11: 'nothing is sent before it was durable',
  S12: 'whole frames are handed over once, in order, and not after the end',
  S13: 'no more than 32 frames of a connection are taken in a turn',
  S14: 'no timer and no wait is left at the end',
  S15: 'whatever is thrown around it, the supervisor throws nothing but what it says',
  S16: 'a seed runs the same way twice',
} as const;

/** Id of an invariant, such as `S01`; `supervisorInvariants` says what it promises. */
export type SupervisorInvariant = keyof typeof supervisorInvariants;

/** The first thing that went wrong in a run. */
export interface SupervisorFailure {
  /** What was broken. */
  readonly invariant: SupervisorInvariant;
  /** What was seen, in a sentence. */
  readonly message: string;
  /** When, in virtual nanoseconds since the start. */
  readonly atNs: number;
  /** Tasks of the control thread before it: with `shutdownAfterTask` a run can be led there again. */
  readonly task: number;
}

/** Notes that an invariant is broken. The run ends behind the task in which it happened. */
export type Broken = (invariant: SupervisorInvariant, message: string) => void;
