import { AckgateError, AckgateRangeError } from '../errors.js';
import { MAX_CLUSTER_SIZE } from './clause.js';
import type { NodeTable } from './evaluator.js';

/** One connected node as a plain object; the first of a view is the primary. */
export interface NodeCursor {
  /** Highest sequence accepted into the node's pipeline. Not looked at for the primary; null: nothing yet. */
  readonly inMemory: number | null;
  /** Highest sequence on the node's disk. */
  readonly persisted: number;
  /** Rack or availability zone; a node without one stands alone. */
  readonly zone?: string;
}

/**
 * Fills `table` from a view. Throws `ERR_ACKGATE_SEQUENCE` for a cursor that isn't an integer from 0 to 2^53-1,
 * `ERR_ACKGATE_CLUSTER_FULL` for more than `MAX_CLUSTER_SIZE` nodes, `ERR_ACKGATE_INVALID_ARGUMENT` for the rest.
 */
export function fillNodeTable(table: NodeTable, view: readonly NodeCursor[]): void {
  if (!Array.isArray(view)) throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'view must be an array');
  if (view.length > MAX_CLUSTER_SIZE) {
    throw new AckgateError(
      'ERR_ACKGATE_CLUSTER_FULL',
      `view has ${view.length} nodes, it must have at most ${MAX_CLUSTER_SIZE}`,
    );
  }
  const zones: string[] = [];
  for (let index = 0; index < view.length; index++) {
    const node: unknown = view[index];
    if (typeof node !== 'object' || node === null) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `view[${index}] must be an object`);
    }
    const { inMemory, persisted, zone } = node as NodeCursor;
    table.inMemory[index] = index === 0 || inMemory === null ? 0 : checkCursor(inMemory, index, 'inMemory');
    table.persisted[index] = checkCursor(persisted, index, 'persisted');
    table.zone[index] = zone === undefined ? -1 : zoneNumber(zones, zone, index);
  }
  table.count = view.length;
}

function checkCursor(value: unknown, index: number, name: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  const got = typeof value === 'number' ? value : value === null ? 'null' : typeof value;
  throw new AckgateRangeError(
    'ERR_ACKGATE_SEQUENCE',
    `view[${index}].${name} must be an integer from 0 to 2^53-1, got ${got}`,
  );
}

function zoneNumber(zones: string[], zone: unknown, index: number): number {
  // An empty name is more likely a forgotten setting than a zone; taking it for either would miscount copies.
  if (typeof zone !== 'string' || zone === '') {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `view[${index}].zone must be a non-empty string, or left out`,
    );
  }
  const known = zones.indexOf(zone);
  return known === -1 ? zones.push(zone) - 1 : known;
}
