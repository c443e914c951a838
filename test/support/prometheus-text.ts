// A strict reader of Prometheus' text format 0.0.4: refuses what Prometheus would take with a shrug, too.

export interface TextSample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface TextFamily {
  name: string;
  help: string;
  type: string;
  samples: TextSample[];
}

const suffixes: Record<string, string[]> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};
const samplePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y;
const numberPattern = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/i;

export function parsePrometheusText(text: string): TextFamily[] {
  if (!text.endsWith('\n')) throw new Error('the last line is not ended');
  const families: TextFamily[] = [];
  const series = new Set<string>();
  let helpOf: [string, string] | null = null;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (families.some((family) => family.name === name)) throw new Error(`${name} comes twice`);
      helpOf = [name!, rest!];
    } else if (keyword === 'TYPE') {
      if (helpOf?.[0] !== name) throw new Error(`${name} has a type but no help before it`);
      if (!(rest! in suffixes)) throw new Error(`${name} is of no known type: ${rest}`);
      families.push({ name: name!, help: helpOf![1], type: rest!, samples: [] });
      helpOf = null;
    } else if (line.startsWith('#')) {
      throw new Error(`neither help nor type: ${line}`);
    } else {
      const sample = parseSample(line);
      const family = families.at(-1);
      // Only the last family may have samples: those of one family must stand together.
      if (
        family === undefined ||
        !suffixes[family.type]!.some((suffix) => family.name + suffix === sample.name)
      ) {
        throw new Error(`${sample.name} does not belong to ${family?.name}`);
      }
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (series.has(key)) throw new Error(`the same series twice: ${line}`);
      series.add(key);
      family.samples.push(sample);
    }
  }
  if (helpOf !== null) throw new Error(`${helpOf[0]} has no type`);
  for (const family of families) if (family.type === 'histogram') checkHistogram(family);
  return families;
}

function parseSample(line: string): TextSample {
  const [, name, inBraces = '', number] = samplePattern.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  if (!numberPattern.test(number!)) throw new Error(`not a number: ${line}`);
  const labels: Record<string, string> = {};
  labelPattern.lastIndex = 0;
  let end = 0;
  for (let match = labelPattern.exec(inBraces); match !== null; match = labelPattern.exec(inBraces)) {
    if (match[1]! in labels) throw new Error(`a label twice: ${line}`);
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
    end = labelPattern.lastIndex;
  }
  if (end !== inBraces.length) throw new Error(`labels can't be read: ${line}`);
  return { name, labels, value: Number(number!.replace('Inf', 'Infinity')) };
}

/** Buckets grow with their bounds, and the last one is for everything and holds as many as the count says. */
function checkHistogram({ name, samples }: TextFamily): void {
  if (samples.length === 0) return;
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  let boundBefore = Number.NEGATIVE_INFINITY;
  let countBefore = 0;
  for (const { labels, value } of buckets) {
    const bound = Number(labels.le!.replace('Inf', 'Infinity'));
    if (!(bound > boundBefore) || value < countBefore) throw new Error(`${name}: buckets do not grow`);
    boundBefore = bound;
    countBefore = value;
  }
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value;
  if (boundBefore !== Number.POSITIVE_INFINITY || countBefore !== count) {
    throw new Error(`${name}: the last bucket must be +Inf and hold all`);
  }
  if (!samples.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name} has no sum`);
}
