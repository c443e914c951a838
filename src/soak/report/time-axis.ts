import type { RunRecord } from '../run-record.js';
import type { Sample } from '../samples.js';
import type { Span } from './series.js';

/** Kinds of chaos that get a row of marks of their own; what is rarer shares one. */
const rowsMax = 7;

export interface ChaosRow {
  readonly kind: string;
  /** How often, by the samples' counts: the marks may be fewer. */
  readonly count: number;
  readonly spans: readonly Span[];
}

/** What all charts of a run have in common. */
export interface TimeAxis {
  readonly endMs: number;
  readonly unit: 's' | 'min' | 'h';
  readonly unitMs: number;
  /** Not judged. */
  readonly warmUps: readonly Span[];
  /** When the server was begun anew. */
  readonly restartsMs: readonly number[];
  readonly chaos: readonly ChaosRow[];
}

export function timeAxis(record: RunRecord): TimeAxis {
  const { samples, windows, chaosEvents } = record;
  const endMs = Math.max(
    1000,
    samples.at(-1)?.atMs ?? 0,
    windows.at(-1)?.atMs ?? 0,
    chaosEvents.reduce((last, { atMs }) => Math.max(last, atMs), 0),
  );
  const [unit, unitMs] =
    endMs <= 180_000
      ? (['s', 1000] as const)
      : endMs <= 3 * 3_600_000
        ? (['min', 60_000] as const)
        : (['h', 3_600_000] as const);
  return {
    endMs,
    unit,
    unitMs,
    warmUps: warmUps(samples),
    restartsMs: samples.flatMap(({ segment }, i) =>
      i > 0 && segment !== samples[i - 1].segment ? [samples[i - 1].atMs] : [],
    ),
    chaos: chaosRows(record),
  };
}

function warmUps(samples: readonly Sample[]): Span[] {
  const spans: [number, number][] = [];
  for (const [i, { atMs, phase, segment }] of samples.entries()) {
    if (phase !== 'warm-up') continue;
    const before = samples[i - 1];
    const goesOn = before?.phase === 'warm-up' && before.segment === segment;
    const last = spans.at(-1);
    if (goesOn && last !== undefined) last[1] = atMs;
    else spans.push([before?.atMs ?? 0, atMs]);
  }
  return spans;
}

/** Chaos by kind, the most frequent first. */
export function chaosCounts({ samples, chaosEvents }: RunRecord): [kind: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { chaos } of samples) {
    for (const [kind, count] of Object.entries(chaos)) counts.set(kind, (counts.get(kind) ?? 0) + count);
  }
  const marks = new Map<string, number>();
  for (const { kind } of chaosEvents) marks.set(kind, (marks.get(kind) ?? 0) + 1);
  // After the last sample there can be some more.
  for (const [kind, count] of marks) counts.set(kind, Math.max(count, counts.get(kind) ?? 0));
  return [...counts].filter(([, count]) => count > 0).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

function chaosRows(record: RunRecord): ChaosRow[] {
  const counts = chaosCounts(record);
  const own = counts.length <= rowsMax ? counts : counts.slice(0, rowsMax - 1);
  const rest = counts.slice(own.length);
  const row = (kind: string, kinds: ReadonlySet<string>, count: number): ChaosRow => ({
    kind,
    count,
    spans: record.chaosEvents
      .filter((event) => kinds.has(event.kind))
      .map(({ atMs, forMs }) => [atMs, atMs + forMs]),
  });
  const rows = own.map(([kind, count]) => row(kind, new Set([kind]), count));
  if (rest.length === 0) return rows;
  const sum = rest.reduce((all, [, count]) => all + count, 0);
  return [...rows, row('all others', new Set(rest.map(([kind]) => kind)), sum)];
}
