import type { Invariant } from '../failure.js';

/**
 * What can go wrong between a sender and its kernel. Each is asked where it can happen: delays and submissions only of a
 * sender whose sends wait, for the other hands nothing over that could be late.
 */
export interface KernelFaults {
  /** Most that a send of `length` bytes takes, 1 … length. */
  sendLimit(length: number): number;
  /** What a send reports instead of being done: 0, `-EAGAIN`, `-EINTR`, an errno of a broken peer; null: it is done. */
  sendResult(slot: number): number | null;
  /** How long a request takes that could be done at once, in nanoseconds. */
  completionDelayNs(): number;
  /** How long a cancelled request and the end of a slot take. */
  cancelDelayNs(): number;
  /** The errno with which a submission ends after `taken` of `count` requests; null: it takes all of them. */
  submission(count: number): { taken: number; errno: number; hidden: boolean } | null;
  /** Where among `count` results that wait a new one goes, 0 … count. */
  resultPlace(count: number): number;
  /** An invariant is broken; does not return. */
  violated(invariant: Invariant, message: string): never;
}
