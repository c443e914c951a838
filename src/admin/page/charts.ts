import uPlot from 'uplot';
import { bytes, millis, percent, shortCount, unknown } from './format.js';
import type { Interval } from './history.js';
import { type LineStyle, lineDash, patternOf, type Texture } from './strokes.js';

type Key =
  | 'recordsPerSecond'
  | 'bytesPerSecond'
  | 'journal'
  | 'replication'
  | 'degraded'
  | 'p50'
  | 'p99'
  | 'max';

interface SeriesSpec {
  key: Key;
  label: string;
  /** Name of the colour in the style sheet. */
  color: string;
  line?: LineStyle;
  texture?: Texture;
  /** On an axis of its own, at the right. */
  right?: true;
  format(value: number | null): string;
}

interface ChartSpec {
  title: string;
  kind: 'lines' | 'stack' | 'gate';
  series: SeriesSpec[];
}

const perSecond = (value: number | null) => (value === null ? unknown : `${shortCount(value)}/s`);
const bytesPerSecond = (value: number | null) => (value === null ? unknown : `${bytes(value)}/s`);

const specs: ChartSpec[] = [
  { title: 'Gate', kind: 'gate', series: [] },
  {
    title: 'Time in which records waited, and for whom',
    kind: 'stack',
    series: [
      { key: 'journal', label: 'journal', color: '--second', texture: 'stripes', format: percent },
      { key: 'replication', label: 'replicas', color: '--first', texture: 'dots', format: percent },
      { key: 'degraded', label: 'degraded', color: '--third', texture: 'full', format: percent },
    ],
  },
  {
    title: 'Released and sent',
    kind: 'lines',
    series: [
      { key: 'recordsPerSecond', label: 'records', color: '--first', line: 'full', format: perSecond },
      {
        key: 'bytesPerSecond',
        label: 'bytes (right axis)',
        color: '--second',
        line: 'dashed',
        right: true,
        format: bytesPerSecond,
      },
    ],
  },
  {
    title: 'Round trip of the clients',
    kind: 'lines',
    series: [
      { key: 'p50', label: 'p50', color: '--first', line: 'full', format: millis },
      { key: 'p99', label: 'p99', color: '--second', line: 'dashed', format: millis },
      { key: 'max', label: 'max', color: '--third', line: 'dotted', format: millis },
    ],
  },
];

const windowSeconds = 120;
const windowSecondsMin = 30;
const plotHeight = 150;
const gateRows = [
  { gate: 'open', label: 'open', color: '--good' },
  { gate: 'closed', label: 'closed', color: '--waiting' },
  { gate: 'degraded', label: 'degraded', color: '--bad' },
] as const;

const colorOf = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A figure with its heading, a legend that names the latest values, and a plot that is hidden from screen readers. */
class Chart {
  readonly figure = document.createElement('figure');
  readonly #spec: ChartSpec;
  readonly #plotBox = document.createElement('div');
  readonly #legend = document.createElement('ul');
  readonly #values: HTMLElement[] = [];
  #plot: uPlot | null = null;
  #intervals: readonly Interval[] = [];

  constructor(spec: ChartSpec, id: string) {
    this.#spec = spec;
    const caption = document.createElement('figcaption');
    const title = document.createElement('h3');
    title.id = id;
    title.textContent = spec.title;
    caption.append(title, this.#legend);
    this.figure.setAttribute('aria-labelledby', id);
    this.figure.append(caption, this.#plotBox);
    this.#legend.className = 'legend';
    this.#plotBox.className = 'plot';
    this.#plotBox.setAttribute('aria-hidden', 'true');
    new ResizeObserver(() => {
      this.#plot?.setSize({ width: this.#plotBox.clientWidth, height: plotHeight });
    }).observe(this.#plotBox);
  }

  /** Anew, in the colours of the moment. */
  build(): void {
    this.#plot?.destroy();
    this.#buildLegend();
    this.#plot = new uPlot(this.#options(), this.#data(), this.#plotBox);
  }

  show(intervals: readonly Interval[]): void {
    this.#intervals = intervals;
    this.#plot?.setData(this.#data());
    const latest = intervals.at(-1);
    for (const [i, { key, label, format }] of this.#spec.series.entries()) {
      this.#values[i]!.textContent = `${label} ${format(latest?.[key] ?? null)}`;
    }
    if (this.#spec.kind === 'gate') this.#values[0]!.textContent = gateText(latest);
  }

  #buildLegend(): void {
    this.#values.length = 0;
    const items = this.#spec.kind === 'gate' ? [null] : this.#spec.series;
    this.#legend.replaceChildren(
      ...items.map((series) => {
        const item = document.createElement('li');
        const text = document.createElement('span');
        this.#values.push(text);
        item.append(...(series === null ? [] : [swatch(series)]), text);
        return item;
      }),
    );
  }

  #data(): uPlot.AlignedData {
    const times = this.#intervals.map(({ atMs }) => atMs / 1000);
    const { kind, series } = this.#spec;
    if (kind === 'gate') return [times, times.map(() => null)];
    const columns = series.map(({ key }) => this.#intervals.map((interval) => interval[key]));
    if (kind === 'lines') return [times, ...columns];
    // Stacked: each one stands on the sum of those before it.
    for (let at = 1; at < columns.length; at++) {
      const below = columns[at - 1]!;
      columns[at] = columns[at]!.map((value, i) => (value === null ? null : value + (below[i] ?? 0)));
    }
    return [times, ...columns];
  }

  /** At first the half minute that begins with the page, at last the two minutes that end now. */
  #window(): [number, number] {
    const last = (this.#intervals.at(-1)?.atMs ?? Date.now()) / 1000;
    const first = (this.#intervals[0]?.atMs ?? Date.now()) / 1000;
    const length = Math.min(windowSeconds, Math.max(windowSecondsMin, last - first));
    return [last - length, last];
  }

  #options(): uPlot.Options {
    const { kind, series } = this.#spec;
    const axis = {
      stroke: colorOf('--soft'),
      grid: { stroke: colorOf('--line'), width: 1 },
      ticks: { stroke: colorOf('--line'), width: 1 },
      font: '12px system-ui, sans-serif',
    };
    const left = series.find(({ right }) => right === undefined);
    const right = series.find((one) => one.right);
    return {
      width: Math.max(200, this.#plotBox.clientWidth),
      height: plotHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, right ? 8 : 28, 0, 0],
      scales: {
        x: { time: true, range: () => this.#window() },
        y: { range: kind === 'gate' ? [0, gateRows.length] : kind === 'stack' ? [0, 1] : fromZero },
        // Of another height, so that lines of like shape don't cover each other.
        ...(right && {
          right: { range: (_: uPlot, __: number, max: number | null) => [0, (max || 1) * 1.6] },
        }),
      },
      axes: [
        { ...axis, size: 28, space: 80, values: (_, splits) => splits.map(clockTime) },
        {
          ...axis,
          size: kind === 'gate' ? 76 : 68,
          ...(kind === 'gate'
            ? {
                splits: () => gateRows.map((_, i) => i + 0.5),
                values: () => gateRows.map(({ label }) => label),
              }
            : { space: 28, values: (_, splits) => splits.map((value) => left!.format(value)) }),
        },
        ...(right
          ? [
              {
                ...axis,
                scale: 'right',
                side: 1 as const,
                size: 66,
                space: 28,
                grid: { show: false },
                values: (_: uPlot, splits: number[]) => splits.map((value) => right.format(value)),
              },
            ]
          : []),
      ],
      series: [{}, ...(kind === 'gate' ? [{ show: true }] : series.map((one) => seriesOptions(one, kind)))],
      ...(kind === 'stack' && {
        bands: series.slice(1).map((one, i) => ({
          series: [i + 2, i + 1] as [number, number],
          fill: patternOf(colorOf(one.color), one.texture ?? 'full'),
        })),
      }),
      ...(kind === 'gate' && { hooks: { draw: [(plot) => drawGate(plot, this.#intervals)] } }),
    };
  }
}

function gateText(latest: Interval | undefined): string {
  if (latest === undefined || latest.gate === 'unknown') return unknown;
  return latest.gate === 'away' ? 'no answer' : `now ${latest.gate}`;
}

function fromZero(_: uPlot, __: number, max: number | null): [number, number] {
  return [0, max === null || max <= 0 ? 1 : max * 1.1];
}

function clockTime(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}

function seriesOptions({ color, line, texture, right }: SeriesSpec, kind: ChartSpec['kind']): uPlot.Series {
  const stroke = colorOf(color);
  return {
    stroke,
    // A line around an area of nothing would lie on the one below.
    width: kind === 'stack' ? 0 : 2,
    points: { show: false },
    dash: lineDash[line ?? 'full'],
    ...(right && { scale: 'right' }),
    // An interval's value holds from its beginning, which is the end of the one before.
    ...(kind === 'stack' && {
      paths: uPlot.paths.stepped!({ align: -1 }),
      fill: patternOf(stroke, texture ?? 'full'),
    }),
  };
}

/** A block in the row of what the gate did, for each interval: the row says it, the colour only repeats it. */
function drawGate(plot: uPlot, intervals: readonly Interval[]): void {
  const { ctx } = plot;
  for (let first = 1, next = 2; first < intervals.length; first = next++) {
    // All that follow each other alike are one block: seams would look like something.
    while (next < intervals.length && intervals[next]!.gate === intervals[first]!.gate) next++;
    const row = gateRows.findIndex(({ gate }) => gate === intervals[first]!.gate);
    if (row < 0) continue;
    const from = Math.max(plot.bbox.left, plot.valToPos(intervals[first - 1]!.atMs / 1000, 'x', true));
    const to = plot.valToPos(intervals[next - 1]!.atMs / 1000, 'x', true);
    const top = plot.valToPos(row + 0.8, 'y', true);
    const bottom = plot.valToPos(row + 0.2, 'y', true);
    if (to <= from) continue;
    ctx.fillStyle = colorOf(gateRows[row]!.color);
    ctx.fillRect(from, top, to - from, bottom - top);
  }
}

function swatch({ color, line, texture }: SeriesSpec): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  const scale = devicePixelRatio;
  canvas.width = 24 * scale;
  canvas.height = 12 * scale;
  canvas.setAttribute('aria-hidden', 'true');
  const context = canvas.getContext('2d')!;
  context.scale(scale, scale);
  const stroke = colorOf(color);
  if (texture !== undefined) {
    context.fillStyle = patternOf(stroke, texture);
    context.fillRect(0, 0, 24, 12);
    context.strokeStyle = stroke;
    context.strokeRect(0.5, 0.5, 23, 11);
  } else {
    context.strokeStyle = stroke;
    context.lineWidth = 2;
    context.setLineDash(lineDash[line ?? 'full']);
    context.beginPath();
    context.moveTo(0, 6);
    context.lineTo(24, 6);
    context.stroke();
  }
  return canvas;
}

/** All charts of the page. They follow the colour scheme of the system. */
export class Charts {
  readonly #charts = specs.map((spec, i) => new Chart(spec, `chart-${i}`));
  #intervals: readonly Interval[] = [];

  constructor(container: HTMLElement) {
    container.append(...this.#charts.map(({ figure }) => figure));
    this.#build();
    for (const query of ['(prefers-color-scheme: dark)', 'print']) {
      matchMedia(query).addEventListener('change', () => this.#build());
    }
  }

  show(intervals: readonly Interval[]): void {
    this.#intervals = intervals;
    for (const chart of this.#charts) chart.show(intervals);
  }

  #build(): void {
    for (const chart of this.#charts) {
      chart.build();
      chart.show(this.#intervals);
    }
  }
}
