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

/** Name of such a part; `componentTexts` says what it measures. */
export type Component = keyof typeof componentTexts;
export const components = Object.keys(componentTexts) as Component[];

/** A distribution as plain data, as it stands in a file: nanoseconds, 0 or more. */
export type Shape =
  | {
      /** Always the same. */
      readonly fixedNs: number;
    }
  | {
      /** Anything between the two, equally likely. */
      readonly uniformNs: readonly [low: number, high: number];
    }
  | {
      /** `low` at least, and an exponentially distributed time on top. */
      readonly exponentialNs: {
        /** Shortest, in nanoseconds. */
        readonly low: number;
        /** Mean of what comes on top, in nanoseconds. */
        readonly mean: number;
      };
    }
  | {
      /** Pairs of a share, 0 … 1, and nanoseconds, both rising; straight lines between them. */
      readonly quantilesNs: readonly QuantilePoint[];
    }
  | {
      /** Measured latencies, replayed in their order, over and over. */
      readonly replayNs: readonly number[];
      /** When each of them was measured, in nanoseconds since the recording began; rising. Replays keep to it. */
      readonly atNs?: readonly number[];
    };

/** A distribution for each component; one that is missing is taken from a preset. */
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
