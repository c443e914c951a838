/** `inconclusive`: there was not enough to judge by. It is never a pass. */
export type Verdict = 'pass' | 'fail' | 'inconclusive';

/** Every finding that a run can have, in the order of the report. */
export const findingIds = [
  'ready',
  'completed',
  'footprint-idle',
  'footprint-growth',
  'footprint-plateau',
  'footprint-answered',
  'footprint-per-request',
  'peak-transient',
  'leak-rss',
  'leak-second-half',
  'leak-heap',
  'leak-fds',
  'leak-threads',
  'degradation',
  'degradation-slow',
  'loss-missing',
  'loss-duplicated',
  'loss-order',
  'loss-content',
  'loss-connections',
  'loss-success',
  'orphans',
] as const;
/** Name of a finding, stable from version to version. */
export type FindingId = (typeof findingIds)[number];

/** A number with its name. */
export interface Figure {
  /** With its unit at the end, such as `slopeBytesPerHour`. */
  readonly name: string;
  /** Null: not known. */
  readonly value: number | null;
}

/** One thing that a run was judged by. */
export interface Finding {
  /** What it is about. */
  readonly id: FindingId;
  /** Whether what was measured is within the limits. */
  readonly verdict: Verdict;
  /** What was found and what the limit is, in one sentence for people. */
  readonly detail: string;
  /** What was measured. */
  readonly measured: readonly Figure[];
  /** What it was held against; the names are those of `Thresholds`. */
  readonly limits: readonly Figure[];
}

/** A finding of a run: one that this scenario can't say anything on by design is not asked for. */
export interface RunFinding extends Finding {
  /** False: an inconclusive one does not make the run inconclusive. A failed one always fails it. */
  readonly required: boolean;
}

const rank: Readonly<Record<Verdict, number>> = { pass: 0, inconclusive: 1, fail: 2 };

/** The worse of two verdicts. */
export const worse = (a: Verdict, b: Verdict): Verdict => (rank[a] >= rank[b] ? a : b);

/** Of a whole run. Without any finding there is nothing to pass by. */
export function verdictOf(findings: readonly RunFinding[]): Verdict {
  let verdict: Verdict = findings.some(({ verdict }) => verdict === 'pass') ? 'pass' : 'inconclusive';
  for (const finding of findings) {
    if (finding.verdict === 'fail' || finding.required) verdict = worse(verdict, finding.verdict);
  }
  return verdict;
}
