import { integer } from '../shared/checks.js';

const headerBytes = 64;
const turnDoubles = 3;
const turnsMax = 2 ** 24;

/** One turn of a journal's writer: a write and an `fdatasync`. Times are of `monotonicNow`. */
export interface Turn {
  /** When it began to write, in nanoseconds. */
  readonly beganNs: number;
  /** When the records were durable, in nanoseconds. */
  readonly endedNs: number;
  /** Last sequence that it made durable. */
  readonly lastSequence: number;
}

/**
 * Memory for the times of so many turns, 24 bytes each; those after that are not noted. Give it to a journal as `turns`.
 *
 * @param turns 1 … 2^24
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE
 */
export function createTurnLog(turns: number): SharedArrayBuffer {
  integer('turns', turns, 1, turnsMax);
  return new SharedArrayBuffer(headerBytes + turns * turnDoubles * 8);
}

/** The turns noted so far, on any thread. */
export function readTurns(log: SharedArrayBuffer): Turn[] {
  const count = Atomics.load(new Int32Array(log, 0, 1), 0);
  const values = new Float64Array(log, headerBytes);
  return Array.from({ length: count }, (_, i) => ({
    beganNs: values[i * turnDoubles],
    endedNs: values[i * turnDoubles + 1],
    lastSequence: values[i * turnDoubles + 2],
  }));
}

/** The writer's side. */
export class TurnLog {
  readonly #count: Int32Array;
  readonly #values: Float64Array;

  constructor(log: SharedArrayBuffer) {
    this.#count = new Int32Array(log, 0, 1);
    this.#values = new Float64Array(log, headerBytes);
  }

  note(beganNs: number, endedNs: number, lastSequence: number): void {
    const at = this.#count[0] * turnDoubles;
    if (at === this.#values.length) return;
    this.#values[at] = beganNs;
    this.#values[at + 1] = endedNs;
    this.#values[at + 2] = lastSequence;
    Atomics.store(this.#count, 0, this.#count[0] + 1);
  }
}
