import type { StageStatus, StatusField } from '../stage/status.js';
import type { Reading } from './reading.js';

/** How a metric behaves, in the words of Prometheus. */
export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary';

/** `seconds` and `bytes` stand in the name too; other words say what is counted; null: 0 or 1, or a number of its own. */
export type MetricUnit =
  | 'seconds'
  | 'bytes'
  | 'records'
  | 'sequences'
  | 'connections'
  | 'nodes'
  | 'calls'
  | 'directives'
  | 'requests'
  | 'pushes'
  | 'replies'
  | null;

/** One number of one series. */
export interface MetricSample {
  /** The family's name; in histograms and summaries with `_bucket`, `_sum` or `_count` after it. */
  readonly name: string;
  /** Its labels: those of the metric, and those that were asked for. */
  readonly labels: Readonly<Record<string, string>>;
  /** Finite, in the unit of the metric. */
  readonly value: number;
}

/** One metric with all of its series. */
export interface MetricFamily {
  /** Its name, which begins with `ackgate_`. */
  readonly name: string;
  /** How it behaves. */
  readonly type: MetricType;
  /** What its values count. */
  readonly unit: MetricUnit;
  /** One sentence on what it says. */
  readonly help: string;
  /** Every value that each label can have: nobody outside decides how many series there are. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** What it is made of in the status block; empty for families with another source. */
  readonly fields: readonly StatusField[];
  /** The present samples; none while there is nothing to show. */
  samples(reading: Reading): MetricSample[];
}

interface Naming {
  readonly name: string;
  readonly help: string;
  readonly unit?: MetricUnit;
}

/** Fields that the public status shows under another name or as a word. */
type Plain = Exclude<StatusField, 'backendIndex' | 'blockerIndex' | 'diagnosisLevel'>;

const noLabels = Object.freeze({});
const nanosPerSecond = 1e9;

export function seconds(nanos: number): number {
  return nanos / nanosPerSecond;
}

/** Nanoseconds in the block become seconds; everything else is as it is. */
function numberOf(status: StageStatus, field: Plain, unit: MetricUnit): number {
  return unit === 'seconds' ? seconds(status[field]) : status[field];
}

/** One number of the block. */
function single(type: MetricType, field: Plain, { name, help, unit = null }: Naming): MetricFamily {
  return {
    ...{ name, type, unit, help, labels: {}, fields: [field] },
    samples: ({ status }) => [{ name, labels: noLabels, value: numberOf(status, field, unit) }],
  };
}

export function counter(field: Plain, naming: Naming): MetricFamily {
  return single('counter', field, naming);
}

export function gauge(field: Plain, naming: Naming): MetricFamily {
  return single('gauge', field, naming);
}

/** Several counters of the block side by side: label value → field. */
export function counterBy(
  label: string,
  fields: Readonly<Record<string, Plain>>,
  { name, help, unit = null }: Naming,
): MetricFamily {
  const rows = Object.entries(fields);
  return {
    ...{ name, type: 'counter', unit, help, labels: { [label]: Object.keys(fields) } },
    fields: Object.values(fields),
    samples: ({ status }) =>
      rows.map(([value, field]) => ({
        name,
        labels: { [label]: value },
        value: numberOf(status, field, unit),
      })),
  };
}

/** A gauge that has to be worked out of some fields; null: there is nothing to show. */
export function derived(
  fields: readonly StatusField[],
  read: (status: StageStatus, nowNs: number) => number | null,
  { name, help, unit = null }: Naming,
): MetricFamily {
  return {
    ...{ name, type: 'gauge', unit, help, labels: {}, fields },
    samples({ status, nowNs }) {
      const value = read(status, nowNs);
      return value === null ? [] : [{ name, labels: noLabels, value }];
    },
  };
}

/** One series for each thing that could be the case, 1 for the one that is, 0 for the rest. */
export function oneOf(
  label: string,
  values: readonly string[],
  fields: readonly StatusField[],
  read: (status: StageStatus) => string | null,
  { name, help }: Naming,
): MetricFamily {
  return {
    ...{ name, type: 'gauge', unit: null, help, labels: { [label]: values }, fields },
    samples({ status }) {
      const now = read(status);
      return values.map((value) => ({ name, labels: { [label]: value }, value: value === now ? 1 : 0 }));
    },
  };
}

/**
 * A histogram out of counters of which each counts one range only: upper bound → field, the last one for all that is
 * larger.
 */
export function histogram(
  ranges: readonly (readonly [string, Plain])[],
  sum: Plain,
  { name, help, unit = null }: Naming,
): MetricFamily {
  return {
    ...{ name, type: 'histogram', unit, help, labels: { le: ranges.map(([le]) => le) } },
    fields: [...ranges.map(([, field]) => field), sum],
    samples({ status }) {
      let below = 0;
      const samples: MetricSample[] = ranges.map(([le, field]) => {
        below += status[field];
        return { name: `${name}_bucket`, labels: { le }, value: below };
      });
      samples.push({ name: `${name}_sum`, labels: noLabels, value: status[sum] });
      samples.push({ name: `${name}_count`, labels: noLabels, value: below });
      return samples;
    },
  };
}

/** A gauge that does not come from the block. */
export function other(
  read: (reading: Reading) => number | null | undefined,
  { name, help, unit = null }: Naming,
): MetricFamily {
  return {
    ...{ name, type: 'gauge', unit, help, labels: {}, fields: [] },
    samples(reading) {
      const value = read(reading);
      return value === null || value === undefined ? [] : [{ name, labels: noLabels, value }];
    },
  };
}
