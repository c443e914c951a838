import {
  type Distribution,
  exponential,
  fixed,
  type QuantilePoint,
  quantileTable,
  replayed,
  uniform,
} from '../distributions.js';

/** The parts of an acknowledgement's way that take time. All times are nanoseconds. */
export const componentTexts = {
  engine: 'from reading an order to its record being appended and its response published',
  handover: "from an append to an idle journal's writer beginning with it",
  sync: "one turn of the primary's journal: write and fdatasync",
  replicaSync: "one turn of a replica's journal; as sync when it is left out",
  notice: "from a replica's journal having synced to the acknowledgement of that being sent",
  network: 'one way between two nodes of a zone, their threads included',
  zoneNetwork: 'one way between two zones; as network when it is left out',
  wake: 'from waking the parked stage to its next round',
  send: 'one native call that hands bytes to the kernel',
  arrivals: 'between two orders; drawn from the load when it is left out',
} as const;

export type Component = keyof typeof componentTexts;
export const components = Object.keys(componentTexts) as Component[];

/** A distribution as plain data, as it stands in a file. */
export type Shape =
  | { readonly fixedNs: number }
  | { readonly uniformNs: readonly [low: number, high: number] }
  | { readonly exponentialNs: { readonly low: number; readonly mean: number } }
  /** Pairs of a share, 0 … 1, and nanoseconds, both rising. */
  | { readonly quantilesNs: readonly QuantilePoint[] }
  /** Measured latencies in their order, replayed; and when each was measured, from the beginning of the recording. */
  | { readonly replayNs: readonly number[]; readonly atNs?: readonly number[] };

export type Shapes = { readonly [C in Component]?: Shape | undefined };

/** Something to draw from; a replayed one has a place of its own in its samples, so every user makes one. */
export function toDistribution(shape: Shape, positionNs: () => number): Distribution {
  if ('fixedNs' in shape) return fixed(shape.fixedNs);
  if ('uniformNs' in shape) return uniform(shape.uniformNs[0], shape.uniformNs[1]);
  if ('exponentialNs' in shape) return exponential(shape.exponentialNs.low, shape.exponentialNs.mean);
  if ('quantilesNs' in shape) return quantileTable(shape.quantilesNs);
  return replayed(shape.replayNs, shape.atNs, positionNs);
}

/** Mean of a distribution, in nanoseconds. */
export function meanNs(shape: Shape): number {
  if ('fixedNs' in shape) return shape.fixedNs;
  if ('uniformNs' in shape) return (shape.uniformNs[0] + shape.uniformNs[1]) / 2;
  if ('exponentialNs' in shape) return shape.exponentialNs.low + shape.exponentialNs.mean;
  if ('replayNs' in shape) return shape.replayNs.reduce((sum, ns) => sum + ns, 0) / shape.replayNs.length;
  const points = shape.quantilesNs;
  return points.reduce((sum, [share, ns], i) => {
    if (i === 0) return 0;
    const [before, nsBefore] = points[i - 1];
    return sum + ((share - before) * (ns + nsBefore)) / 2;
  }, 0);
}
