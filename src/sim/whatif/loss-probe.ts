import type { SimulatedJournal } from '../cluster/journal.js';
import type { SimulatedReplica } from '../cluster/replica.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import { type Failure, failures } from './failures.js';
import { type ClusterShape, zoneOf } from './shape.js';

/** What a failure would have lost, over all moments at which it was tried. */
export interface LossCount {
  /** What was tried. */
  readonly failure: Failure;
  /** At how many drawn moments of the run. */
  readonly moments: number;
  /** At how many of them some acknowledged order was on no surviving node. */
  readonly withLoss: number;
  /** Acknowledged orders lost, the most at one moment. */
  readonly ordersMax: number;
  /** Acknowledged orders lost, the mean over all moments. */
  readonly ordersMean: number;
}

export interface LossProbeParts {
  timeline: Timeline;
  random: Random;
  moments: number;
  untilNs: number;
  cluster: ClusterShape;
  /** Highest order that was acknowledged, and that the primary has processed. */
  acknowledged: () => number;
  processed: () => number;
  journal: SimulatedJournal;
  replicas: readonly SimulatedReplica[];
}

/**
 * Stops the world at drawn moments and counts the acknowledged orders that no node would have after each failure. The
 * run goes on afterwards: what is left is decided by what every node has at that moment.
 */
export class LossProbe {
  readonly #parts: LossProbeParts;
  readonly #withLoss = new Map<Failure, number>();
  readonly #sum = new Map<Failure, number>();
  readonly #max = new Map<Failure, number>();
  #tried = 0;

  constructor(parts: LossProbeParts) {
    this.#parts = parts;
  }

  get counts(): LossCount[] {
    const of = (counts: Map<Failure, number>, failure: Failure) => counts.get(failure) ?? 0;
    return failures.map((failure) => ({
      failure,
      moments: this.#tried,
      withLoss: of(this.#withLoss, failure),
      ordersMax: of(this.#max, failure),
      ordersMean: this.#tried === 0 ? 0 : of(this.#sum, failure) / this.#tried,
    }));
  }

  start(): void {
    if (this.#parts.moments > 0) this.#next();
  }

  #next(): void {
    const { timeline, random, moments, untilNs } = this.#parts;
    const left = moments - this.#tried;
    // The first of so many moments that are spread over the rest of the time.
    const gapNs = (untilNs - timeline.nowNs) * (1 - (1 - random.fraction()) ** (1 / left));
    timeline.after(Math.max(0, Math.floor(gapNs)), () => {
      this.#tried++;
      this.#try();
      if (this.#tried < moments) this.#next();
    });
  }

  #try(): void {
    const acknowledged = this.#parts.acknowledged();
    for (const failure of failures) {
      const lost = Math.max(0, acknowledged - this.#survives(failure));
      if (lost === 0) continue;
      this.#withLoss.set(failure, (this.#withLoss.get(failure) ?? 0) + 1);
      this.#sum.set(failure, (this.#sum.get(failure) ?? 0) + lost);
      this.#max.set(failure, Math.max(this.#max.get(failure) ?? 0, lost));
    }
  }

  /** Highest order that some surviving node has. */
  #survives(failure: Failure): number {
    const { cluster, journal, replicas } = this.#parts;
    const ownZone = zoneOf(0, cluster);
    const inMemory = replicas.map(({ inMemory, persisted }) => Math.max(inMemory, persisted));
    switch (failure) {
      case 'process':
        return Math.max(journal.persisted, ...inMemory);
      case 'machine':
        return Math.max(0, ...inMemory);
      case 'zone':
        return Math.max(0, ...inMemory.filter((_, i) => zoneOf(i + 1, cluster) !== ownZone));
      case 'power':
        return Math.max(journal.persisted, ...replicas.map(({ persisted }) => persisted));
    }
  }
}
