import { AckgateError } from '../errors.js';
import type { OtherSources } from './reading.js';
import { metricFamilies } from './table.js';

export interface MetricsOptions extends OtherSources {
  /** Put on every series, to tell several stages apart, such as `{ stage: 'eu' }`. Bounded values only. */
  labels?: Readonly<Record<string, string>>;
  /** What names begin with instead of `ackgate_`. */
  prefix?: string;
}

/** What every name in the table begins with. */
export const tablePrefix = 'ackgate_';

const ownLabels = new Set(metricFamilies.flatMap(({ labels }) => Object.keys(labels)));

function invalid(message: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}

export function checkOptions(options: MetricsOptions): Required<Pick<MetricsOptions, 'labels' | 'prefix'>> {
  if (typeof options !== 'object' || options === null) throw invalid('options must be an object');
  const { labels = {}, prefix = tablePrefix } = options;
  if (typeof prefix !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(prefix)) {
    throw invalid('options.prefix must be letters, digits and underscores, such as "ackgate_"');
  }
  if (typeof labels !== 'object' || labels === null) throw invalid('options.labels must be an object');
  for (const [name, value] of Object.entries(labels)) {
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      throw invalid(`options.labels: ${JSON.stringify(name)} can't be the name of a label`);
    }
    if (ownLabels.has(name)) {
      throw invalid(`options.labels: "${name}" is a label of the metrics themselves, take another name`);
    }
    if (typeof value !== 'string') throw invalid(`options.labels.${name} must be a string`);
  }
  return { labels: { ...labels }, prefix };
}
