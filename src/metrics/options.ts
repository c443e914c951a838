import { AckgateError } from '../errors.js';
import { checkKeys } from '../shared/checks.js';
import type { JournalSource, SupervisorSource } from './reading.js';
import { metricFamilies } from './table.js';

/** What is read besides the stage, and what the metrics are called. */
export interface MetricsOptions {
  /** Shown as `ackgate_journal_…` (default: none). */
  readonly journal?: JournalSource;
  /** Shown as `ackgate_supervisor_…` (default: none). */
  readonly supervisor?: SupervisorSource;
  /** Put on every series, to tell several stages apart, such as `{ stage: 'eu' }` (default none). Bounded values only. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What names begin with: letters, digits and underscores (default `ackgate_`). */
  readonly prefix?: string;
}

const names = [
  'journal',
  'supervisor',
  'labels',
  'prefix',
] as const satisfies readonly (keyof MetricsOptions)[];

/** `more`: names of what the caller takes besides. */
export function checkNames(options: MetricsOptions, ...more: string[]): void {
  checkKeys('metrics options', options, [...names, ...more]);
}

/** What every name in the table begins with. */
export const tablePrefix = 'ackgate_';

const ownLabels = new Set(metricFamilies.flatMap(({ labels }) => Object.keys(labels)));

function invalid(message: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}

export function checkOptions(options: MetricsOptions): Required<Pick<MetricsOptions, 'labels' | 'prefix'>> {
  const { labels = {}, prefix = tablePrefix } = options;
  if (typeof prefix !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(prefix)) {
    throw invalid('prefix must be letters, digits and underscores, such as "ackgate_"');
  }
  if (typeof labels !== 'object' || labels === null) throw invalid('labels must be an object');
  for (const [name, value] of Object.entries(labels)) {
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      throw invalid(`labels: ${JSON.stringify(name)} can't be the name of a label`);
    }
    if (ownLabels.has(name)) {
      throw invalid(`labels: "${name}" is a label of the metrics themselves, take another name`);
    }
    if (typeof value !== 'string') throw invalid(`labels.${name} must be a string`);
  }
  return { labels: { ...labels }, prefix };
}
