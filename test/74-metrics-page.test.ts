import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type MetricFamily, metricFamilies } from '#ackgate/metrics/index.js';

const page = readFileSync(new URL('../docs/METRICS.md', import.meta.url), 'utf8');

/** The table row of a metric, as docs/METRICS.md must have it. */
function rowOf({ name, type, unit, labels, help }: MetricFamily): string {
  const known = Object.entries(labels).map(([label, values]) => {
    // The values of these go without saying, or change with every release.
    if (label === 'version') return '`version`';
    return `\`${label}\`: ${values.join(', ')}`;
  });
  return `| \`${name}\` | ${type} | ${unit ?? ''} | ${known.join('; ')} | ${help} |`;
}

describe('docs/METRICS.md', () => {
  test('has a row for each metric, as the table in the code has it, in the same order, and no other', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `ackgate_'));
    expect(rows).toEqual(metricFamilies.map(rowOf));
  });
});
