import { metricFamilies } from '#ackgate/metrics/index.js';

/** Labels that Prometheus adds to what it scrapes. */
const scraped = ['job', 'instance'];

/** Series by name → the values that each of their labels can have. */
const series = new Map(
  metricFamilies.flatMap(({ name, type, labels }) => {
    if (type === 'counter' || type === 'gauge') return [[name, labels] as const];
    const first = type === 'histogram' ? `${name}_bucket` : name;
    return [[first, labels] as const, [`${name}_sum`, {}] as const, [`${name}_count`, {}] as const];
  }),
);

/** Families whose series an expression names. */
export function familiesIn(expr: string): string[] {
  return selectorsOf(expr).map(({ name }) => name.replace(/_(bucket|sum|count)$/, ''));
}

function selectorsOf(expr: string): { name: string; matchers: string }[] {
  return [...expr.matchAll(/\b(ackgate_\w+)(?:\{([^}]*)\})?/g)].map(([, name, matchers = '']) => ({
    name: name!,
    matchers,
  }));
}

/** What is wrong with the names in an expression, and with labels that its result is said to have. */
export function wrongNames(expr: string, alsoLabels: readonly string[] = []): string[] {
  const wrong: string[] = [];
  const known = new Set(scraped);
  const selectors = selectorsOf(expr);
  if (selectors.length === 0) wrong.push(`no metric of ours in ${expr}`);
  for (const { name, matchers } of selectors) {
    const labels: Readonly<Record<string, readonly string[]>> | undefined = series.get(name);
    if (labels === undefined) {
      wrong.push(`no metric ${name}`);
      continue;
    }
    for (const label of Object.keys(labels)) known.add(label);
    for (const [, label, operator, value] of matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
      if (scraped.includes(label!)) continue;
      if (!(label! in labels)) wrong.push(`${name} has no label ${label}`);
      const values = operator!.endsWith('~') ? value!.split('|') : [value!];
      for (const one of values) {
        if (labels[label!]?.includes(one) === false) wrong.push(`${name}: ${label} is never "${one}"`);
      }
    }
  }
  const grouped = [...expr.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)];
  const named = grouped.flatMap(([, list]) => list!.split(',').map((label) => label.trim()));
  for (const label of [...named, ...alsoLabels]) {
    if (label !== '' && !known.has(label)) wrong.push(`nothing in ${expr} has a label ${label}`);
  }
  return wrong;
}

/** The expression as Prometheus gets it from Grafana. */
export function withVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', '.*').replaceAll('$instance', '.*');
}
