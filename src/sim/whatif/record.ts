import { AckgateError } from '../../errors.js';
import { readTurns, type Turn } from '../../journal/turn-log.js';
import { argument, checkKeys, integer } from '../../shared/checks.js';
import type { TimingHistograms } from '../../stage/timings.js';
import { type QuantilePoint, quantilesOf } from '../distributions.js';
import type { Shape, Shapes } from './components.js';
import { type DistributionFile, distributionFormat } from './shape-file.js';
import { WakeProbe, type WakeSample } from './wake-probe.js';

/** What `recordDistributions` records from. */
export interface RecordOptions {
  /** What is recorded, where and how: it is printed with every result that rests on it. */
  readonly about: string;
  /** Histograms of the stage, switched on with `diagnosis.setBaseline('timing')` before the first order. */
  readonly timings: TimingHistograms;
  /** What the journal was given as `turns`. */
  readonly turns: SharedArrayBuffer;
  /** Most orders to take down, 1 … 2^24 (default 200,000); those after that are not. */
  readonly ordersMax?: number;
}

/** What a replica measures for itself. */
export interface ReplicaRecording {
  /** What its journal did: `readTurns` of the log that the journal was given. */
  readonly turns: readonly Turn[];
  /** From the end of each turn to the acknowledgement of it being sent. */
  readonly notices: readonly {
    /** When the turn ended, of `monotonicNow`. */
    readonly atNs: number;
    /** How long the acknowledgement took from there, in nanoseconds. */
    readonly ns: number;
  }[];
}

/** Takes down when things happen to orders, on the thread that reads and journals them. */
export interface DistributionRecorder {
  /**
   * An order was read, its record appended and its response published. Costs three stores.
   *
   * @param seq what the journal's `append` returned; one above the last one
   * @param readNs when it was read, `appendedNs` when all was done; of `monotonicNow`
   */
  appended(seq: number, readNs: number, appendedNs: number): void;
  /** A replica's acknowledgement of everything up to `seq` being in its memory has come back, at `nowNs` of `monotonicNow`. */
  acknowledged(seq: number, nowNs: number): void;
  /** Ends the recording. The distributions; `replica`: what one of the replicas has measured. Milliseconds of work. */
  finish(replica?: ReplicaRecording): DistributionFile;
}

/** With fewer of them a p99 would be a guess. */
const samplesMin = 200;
const replayMax = 100_000;
const ordersMost = 2 ** 24;

/**
 * Records the distributions of a live stage and its `FileJournal`, for `whatIf` to simulate with. Until `finish`, a thread
 * of its own is woken every 2 ms, to see how long that takes.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_OUT_OF_RANGE for options
 * @throws (from `finish`) ERR_ACKGATE_INVALID_ARGUMENT when there were too few orders to tell anything
 */
export function recordDistributions(options: RecordOptions): DistributionRecorder {
  checkKeys('options', options, ['about', 'timings', 'turns', 'ordersMax']);
  const { about, timings, turns, ordersMax = 200_000 } = options;
  if (typeof about !== 'string' || about === '') throw argument('about', 'a text that is not empty');
  if (typeof timings !== 'object' || timings === null) throw argument('timings', 'the timings of a stage');
  if (!(turns instanceof SharedArrayBuffer)) throw argument('turns', 'what createTurnLog() gives');
  integer('ordersMax', ordersMax, 1, ordersMost);
  const readAt = new Float64Array(ordersMax);
  const appendedAt = new Float64Array(ordersMax);
  const roundTrips: Sample[] = [];
  const probe = new WakeProbe();
  let first = 0;
  let count = 0;
  let acknowledgedUpTo = 0;
  return {
    appended(seq, readNs, appendedNs) {
      if (count === ordersMax) return;
      if (count === 0) first = seq;
      readAt[count] = readNs;
      appendedAt[count] = appendedNs;
      count++;
    },
    acknowledged(seq, nowNs) {
      // Those before it, whose acknowledgement was the same: they waited longer for it.
      const from = Math.max(0, acknowledgedUpTo + 1 - first);
      for (let index = from; index <= seq - first && index < count; index++) {
        roundTrips.push({ atNs: appendedAt[index], ns: nowNs - appendedAt[index] });
      }
      acknowledgedUpTo = Math.max(acknowledgedUpTo, seq);
    },
    finish(replica) {
      const wakes = probe.finish();
      if (count < samplesMin) {
        throw new AckgateError(
          'ERR_ACKGATE_INVALID_ARGUMENT',
          `${count} orders were recorded, at least ${samplesMin} are needed: record for longer, or with more load`,
        );
      }
      const reads = readAt.subarray(0, count);
      const appends = appendedAt.subarray(0, count);
      const own = readTurns(turns).filter((turn) => turn.lastSequence >= first);
      const startNs = reads[0];
      const replay = (samples: readonly Sample[]) => replayShape(samples, startNs);
      const shapes: { -readonly [K in keyof Shapes]: Shapes[K] } = {
        arrivals: replay(steps(reads)),
        engine: replay(engineWork(reads, appends)),
        handover: replay(handovers(own, appends, first)),
        sync: replay(own.map(turnSample)),
        wake: replay(wakes),
        send: table(timings.flush),
      };
      if (replica !== undefined && replica.turns.length > 0) {
        shapes.replicaSync = replay(replica.turns.map(turnSample));
        shapes.notice = replay(replica.notices);
      }
      if (roundTrips.length > 0) {
        shapes.network = replay(roundTrips.map(({ atNs, ns }) => ({ atNs, ns: ns / 2 })));
      }
      return { format: distributionFormat, about, distributions: shapes };
    },
  };
}

/** A latency, and when it began. */
type Sample = WakeSample;

const turnSample = ({ beganNs, endedNs }: Turn): Sample => ({ atNs: beganNs, ns: endedNs - beganNs });

function replayShape(samples: readonly Sample[], startNs: number): Shape {
  const kept = samples.filter(({ atNs }) => atNs >= startNs).slice(0, replayMax);
  if (kept.length === 0) return { fixedNs: 0 };
  const whole = (ns: number) => Math.max(0, Math.round(ns));
  return { replayNs: kept.map(({ ns }) => whole(ns)), atNs: kept.map(({ atNs }) => whole(atNs - startNs)) };
}

/** What each order came after the one before it. */
function steps(times: Float64Array): Sample[] {
  return Array.from(times.subarray(1), (ns, i) => ({ atNs: times[i], ns: ns - times[i] }));
}

/** What each order took that thread: from when it was read, or the one before it was done. */
function engineWork(reads: Float64Array, appends: Float64Array): Sample[] {
  return Array.from(appends, (ns, i) => {
    const atNs = Math.max(reads[i], i === 0 ? 0 : appends[i - 1]);
    return { atNs, ns: ns - atNs };
  });
}

/** From the append that found the writer idle to its turn. */
function handovers(turns: readonly Turn[], appends: Float64Array, first: number): Sample[] {
  const found: Sample[] = [];
  for (let i = 1; i < turns.length; i++) {
    const before = turns[i - 1];
    const atNs = appends[before.lastSequence + 1 - first];
    if (atNs > before.endedNs) found.push({ atNs, ns: turns[i].beganNs - atNs });
  }
  return found;
}

/** The shares of a histogram that the stage has kept. */
function table(histogram: TimingHistograms['flush']): Shape {
  if (histogram.count === 0) return { fixedNs: 0 };
  const shares = quantilesOf([0]).map(([share]) => share);
  let floor = 0;
  const points = shares.map((share): QuantilePoint => {
    const ns = share === 0 ? histogram.min : share === 1 ? histogram.max : histogram.percentile(share * 100);
    floor = Math.max(floor, ns);
    return [share, floor];
  });
  return { quantilesNs: points };
}
