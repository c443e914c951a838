import { failureTexts } from './failures.js';
import { count, duration, lossText, percent, perYear, rateText, title } from './format.js';
import type { PolicyResult, WhatIfResult } from './index.js';

/** A result as text for a terminal. */
export function whatIfTable(result: WhatIfResult): string {
  const { cluster, load, orders, seed, policies } = result;
  const names = policies.map(title);
  const sections = [
    `seed ${seed}: ${count(orders)} orders per policy, ${count(load.ordersPerSecond)} a second, ${load.fanOut} responses ` +
      `each; ${cluster.nodes} nodes in ${cluster.zones} ${cluster.zones === 1 ? 'zone' : 'zones'}`,
    ['assumptions', ...assumptionRows(result).map(([what, from]) => `  ${what}: from ${from}`)].join('\n'),
    section(
      'acknowledgement latency, from reading an order to the kernel having the answer',
      ['policy', 'p50', 'p90', 'p99', 'p99.9', 'max'],
      policies.map((policy, i) => [names[i], ...latencyCells(policy)]),
    ),
    section(
      'who was waited for: orders by whose cursor came last',
      ['policy', 'journal', 'replication', 'gate openings'],
      policies.map(({ binds, unmet }, i) =>
        binds === null
          ? [names[i], `never acknowledges: ${unmet}`]
          : [names[i], percent(binds.journal), percent(binds.replication), count(binds.openings)],
      ),
    ),
    section(
      'degraded (no acknowledgements) in a year, when each replica fails …',
      ['policy', ...(policies[0]?.degraded ?? []).map(rateText)],
      policies.map(({ degraded }, i) => [names[i], ...degraded.map(({ share }) => perYear(share))]),
    ),
    section(
      'acknowledged orders lost when …',
      ['policy', ...Object.keys(failureTexts)],
      policies.map(({ losses, unmet }, i) => [
        names[i],
        ...losses.map((loss) => lossText(loss, unmet === null)),
      ]),
    ),
    Object.entries(failureTexts)
      .map(([failure, text]) => `  ${failure}: ${text}`)
      .join('\n'),
    ...policies
      .filter(({ stalled }) => stalled > 0)
      .map(
        (policy) => `warning: the stage did not keep up under ${title(policy)}: the load is too high for it`,
      ),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** Components that come from the same place share a line. */
function assumptionRows({ assumptions }: WhatIfResult): string[][] {
  const rows = new Map<string, string[]>();
  for (const { component, from } of assumptions) rows.set(from, [...(rows.get(from) ?? []), component]);
  return [...rows].map(([from, names]) => [names.join(', '), from]);
}

function latencyCells({ latencyNs, unmet }: PolicyResult): string[] {
  if (latencyNs === null) return [`never: ${unmet}`];
  const { p50, p90, p99, p999, max } = latencyNs;
  return [p50, p90, p99, p999, max].map(duration);
}

function section(heading: string, header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  // A cell that stands for the rest of its row does not widen its column.
  const widths = header.map((_, column) =>
    Math.max(...all.map((row) => (row.length === header.length ? (row[column] ?? '').length : 0))),
  );
  widths[0] = Math.max(...all.map((row) => row[0].length));
  const lines = all.map((row) =>
    `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')}`.trimEnd(),
  );
  return [heading, ...lines].join('\n');
}
