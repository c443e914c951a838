import { AckgateRangeError } from '../errors.js';
import { sequenceError } from '../ring/producer.js';
import { argument, checkKeys, integer } from '../shared/checks.js';
import { describe } from '../shared/describe.js';

/**
 * What a node says of itself: how far it has the primary's journal. That it says so is also its heartbeat.
 *
 * Plain data, the same for every engine: an adapter makes one of whatever its engine tells.
 */
export interface CursorFrame {
  /** Name of the node, which is not the primary. */
  readonly node: string;
  /**
   * The node's own count, 0 … 2^53-1: higher each time that it may have lost what it had only in memory, or follows
   * another history. Within one epoch what a node has only grows.
   */
  readonly epoch: number;
  /** Highest wire sequence up to which it has everything in memory, 0 … 2^53-1. */
  readonly inMemory: number;
  /** Highest wire sequence up to which it has everything on its disk, 0 … 2^53-1. Having a sequence on disk counts as having it in memory. */
  readonly persisted: number;
  /** Its failure zone, for policies that count zones; fixed once given. */
  readonly zone?: string;
  /**
   * When the cursors were read, in milliseconds from 0 to 2^53-1, with a fraction or without, by the clock of whoever
   * made the frame. Only compared with other frames of the node; within an epoch it must not go back.
   */
  readonly at: number;
}

/**
 * What became of a frame.
 *
 * - `taken`: it counts, and is a sign of life.
 * - `repeated`: no later than the last one of its epoch; a frame that comes twice, or was overtaken.
 * - `stale-epoch`: of an epoch that is over.
 * - `ahead`: it names a sequence that the primary never issued. Nothing of it counts; the node is out of the view if
 *   its epoch is new.
 */
export type IngestResult = 'taken' | 'repeated' | 'stale-epoch' | 'ahead';

/** A node as its frames, or calls, have left it. */
export interface NodeStatus {
  /** Its name. */
  readonly name: string;
  /** Its failure zone; null: none was given. */
  readonly zone: string | null;
  /** Part of the view. */
  readonly connected: boolean;
  /** Highest sequence that it has in memory, or on its disk if that is more; 0 while it is not connected. */
  readonly inMemory: number;
  /** Highest sequence on its disk; 0 while it is not connected. */
  readonly persisted: number;
  /** Of its last frame; null when none ever came. */
  readonly epoch: number | null;
  /** Since its last frame was taken, in milliseconds; null when none ever was. */
  readonly silentMs: number | null;
}

const keys = [
  'node',
  'epoch',
  'inMemory',
  'persisted',
  'zone',
  'at',
] as const satisfies (keyof CursorFrame)[];

/**
 * A copy whose every field is what it should be, with the effective cursor in memory. How long node and zone may be is
 * looked at where they are kept.
 */
export function checkCursorFrame(value: unknown): CursorFrame {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw argument('frame', `an object { ${keys.join(', ')} }, got ${describe(value)}`);
  }
  // A zone or an epoch that got lost in a slip of the pen would change what the frame means.
  checkKeys('frame', value, keys);
  const { node, epoch, inMemory, persisted, zone, at } = value as CursorFrame;
  if (typeof node !== 'string' || node === '') throw argument('frame.node', 'a non-empty string');
  if (zone !== undefined && (typeof zone !== 'string' || zone === '')) {
    throw argument('frame.zone', 'a non-empty string, or left out');
  }
  integer('frame.epoch', epoch, 0, Number.MAX_SAFE_INTEGER);
  if (!isSequence(inMemory)) throw sequenceError('frame.inMemory', inMemory);
  if (!isSequence(persisted)) throw sequenceError('frame.persisted', persisted);
  if (typeof at !== 'number') throw argument('frame.at', 'milliseconds as a number');
  if (!(at >= 0 && at <= Number.MAX_SAFE_INTEGER)) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `frame.at must be milliseconds from 0 to 2^53-1, got ${at}`,
    );
  }
  const known = { node, epoch, inMemory: Math.max(inMemory, persisted), persisted, at };
  return zone === undefined ? known : { ...known, zone };
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
