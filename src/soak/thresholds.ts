const MiB = 1024 * 1024;

/** What findings are held against. All of them are provisional until they are calibrated on the machine at hand. */
export interface Thresholds {
  /** Resident memory before any request; at most. */
  readonly idleRssBytesMax: number;
  /** Growth passes when the ratio of final to idle is at most this … */
  readonly growthRatioMax: number;
  /** … or the difference at most this. */
  readonly growthBytesMax: number;
  /** Growth in the second half of a load passes when it is at most this share of the first half's … */
  readonly plateauRatioMax: number;
  /** … or at most this. */
  readonly plateauBytesMax: number;
  /** Growth of the run by its requests; at most. */
  readonly bytesPerRequestMax: number;
  /** With fewer requests it is reported only. */
  readonly bytesPerRequestFromRequests: number;
  /** Of RSS and of the heap after a collection: a steeper slope is a leak. */
  readonly leakBytesPerHourMax: number;
  /** Of RSS in the second half of the load: at this slope already. Null: not judged. */
  readonly secondHalfBytesPerHourMax: number | null;
  /** Descriptors and threads, each. */
  readonly leakCountPerHourMax: number;
  /** Only a fit that explains more than this is a trend. */
  readonly leakR2Min: number;
  /** Fewer windows say nothing. */
  readonly leakWindowsMin: number;
  /** A trend that adds up to less than this over all windows has not been seen for long enough. */
  readonly leakGrowthBytesMin: number;
  /** The same for descriptors and threads. */
  readonly leakGrowthCountMin: number;
  /** p95 or p99 against the first window; more is a slowdown. */
  readonly slowdownRatioMax: number;
  /** In so many windows running. */
  readonly slowdownWindowsMin: number;
  /** A window with fewer answers has no 99th percentile worth the name. */
  readonly windowAnswersMin: number;
  /** Requests with the outcome that was expected, of all that were due. */
  readonly successShareMin: number;
  /** RSS in a burst above what it was before; at most. */
  readonly peakBytesMax: number;
}

/** What the scenarios start from; some of them, and runs of a day or more, change a few. */
export const defaultThresholds: Thresholds = {
  idleRssBytesMax: 256 * MiB,
  growthRatioMax: 1.5,
  growthBytesMax: 64 * MiB,
  plateauRatioMax: 0.25,
  plateauBytesMax: 4 * MiB,
  bytesPerRequestMax: 64,
  bytesPerRequestFromRequests: 1_000_000,
  leakBytesPerHourMax: 10 * MiB,
  secondHalfBytesPerHourMax: null,
  leakCountPerHourMax: 1,
  leakR2Min: 0.8,
  leakWindowsMin: 8,
  leakGrowthBytesMin: 4 * MiB,
  leakGrowthCountMin: 2,
  slowdownRatioMax: 1.2,
  slowdownWindowsMin: 2,
  windowAnswersMin: 1000,
  successShareMin: 0.999,
  peakBytesMax: 16 * MiB,
};
