import type { Figure, Finding, FindingId, Verdict } from '../findings.js';
import { worse } from '../findings.js';
import type { Thresholds } from '../thresholds.js';

/** What a judge says, before it has a name. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly detail: string;
  /** By name, with the unit at its end. */
  readonly measured: Readonly<Record<string, number | null>>;
}

export type Measured = Judgement['measured'];

export const pass = (detail: string, measured: Measured = {}): Judgement => ({
  verdict: 'pass',
  detail,
  measured,
});

export const fail = (detail: string, measured: Measured = {}): Judgement => ({
  verdict: 'fail',
  detail,
  measured,
});

export const inconclusive = (detail: string, measured: Measured = {}): Judgement => ({
  verdict: 'inconclusive',
  detail,
  measured,
});

/** What is no number is not known: figures end up in JSON. */
const figure = (name: string, value: number | null): Figure => ({
  name,
  value: value !== null && Number.isFinite(value) ? value : null,
});

export function finding(
  id: FindingId,
  { verdict, detail, measured }: Judgement,
  thresholds: Thresholds,
  limits: readonly (keyof Thresholds)[] = [],
): Finding {
  return {
    id,
    verdict,
    detail,
    measured: Object.entries(measured).map(([name, value]) => figure(name, value)),
    limits: limits.map((name) => figure(name, thresholds[name])),
  };
}

/** The worst of several, the first one where they are equally bad. */
export function worst<T extends Judgement>(first: T, ...others: readonly T[]): T {
  return others.reduce((a, b) => (worse(a.verdict, b.verdict) === a.verdict ? a : b), first);
}

/** Of one life of the server. */
export interface SegmentJudgement {
  readonly segment: number;
  /** It has not lasted long enough to say anything, and so does not count beside one that has. */
  readonly tooShort: boolean;
  readonly judgement: Judgement;
}

/** The worst of those that lasted long enough; of all when none did. */
export function overSegments(segments: readonly SegmentJudgement[], nothing: string): Judgement {
  const long = segments.filter(({ tooShort }) => !tooShort);
  const [first, ...others] = (long.length > 0 ? long : segments).map(({ segment, judgement }) =>
    segments.length === 1
      ? judgement
      : {
          ...judgement,
          detail: `Life ${segment + 1} of the server (of ${segments.length}): ${judgement.detail}`,
        },
  );
  return first === undefined ? inconclusive(nothing) : worst(first, ...others);
}

/** In the order of their first appearance. */
export function bySegment<T extends { readonly segment: number }>(
  items: readonly T[],
): Map<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(item.segment);
    if (group === undefined) groups.set(item.segment, [item]);
    else group.push(item);
  }
  return groups;
}
