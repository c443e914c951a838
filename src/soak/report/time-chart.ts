import {
  axis,
  boxEntry,
  colour,
  type Dash,
  type LegendEntry,
  lineEntry,
  lineInk,
  mutedInk,
  type Picture,
} from '../../charts/colours.js';
import type { ChartSize, Draw } from '../../charts/draw.js';
import { isolated, merged, type Point, thinned } from './series.js';
import type { TimeAxis } from './time-axis.js';

/** Points on a drawn line are at most twice as many. */
const columnsMax = 480;
/** Up to so many points of a line each have a dot. */
const dotsMax = 40;

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  /** Which of the eight colours. */
  readonly colour: number;
  readonly dash?: Dash;
  readonly width?: number;
  /** Dots only, no line. */
  readonly dots?: boolean;
}

export interface ChartSpec {
  readonly id: string;
  readonly title: string;
  readonly caption: string;
  /** Of the values, such as `MiB`. */
  readonly unit: string;
  readonly scale: 'zero' | 'near' | 'log';
  /** Counts: there is nothing between two whole numbers. */
  readonly whole?: boolean;
  readonly lines: readonly Line[];
}

const rowHeight = 9;

/** Lines over the time of the run, with the warm-up shaded and the chaos below. */
export function timeChart(draw: Draw, time: TimeAxis, spec: ChartSpec, size: ChartSize): Picture {
  const { isNarrow, width } = size;
  const left = isNarrow ? 50 : 66;
  const right = isNarrow ? 14 : 18;
  const top = 26;
  const plot = isNarrow ? 190 : 270;
  const rug = time.chaos.length === 0 ? 0 : time.chaos.length * rowHeight + 6;
  const columns = Math.min(columnsMax, width - left - right);
  const x = { ...axis, type: 'value', min: 0, max: time.endMs / time.unitMs, splitLine: { show: false } };
  const interval = tickInterval(x.max, isNarrow ? 6 : 12, time.unit);
  const labelled = {
    interval,
    // The end of the run is seldom a round time.
    axisLabel: { ...axis.axisLabel, showMaxLabel: x.max % interval === 0 },
    name: `time under load, ${time.unit}`,
    nameLocation: 'middle',
    nameGap: 28,
  };
  const bare = { axisLabel: { show: false }, axisTick: { show: false } };
  const grids = [{ left, right, top, height: plot }];
  const xAxes: object[] = [{ ...x, ...(rug === 0 ? labelled : bare), gridIndex: 0 }];
  const yAxes: object[] = [{ ...valueAxis(spec), gridIndex: 0, name: spec.unit }];
  if (rug > 0) {
    grids.push({ left, right, top: top + plot, height: rug });
    xAxes.push({ ...x, ...labelled, gridIndex: 1 });
    yAxes.push({ type: 'value', min: 0, max: rug, inverse: true, show: false, gridIndex: 1 });
  }
  const svg = draw(size, top + plot + rug + 48, {
    grid: grids,
    xAxis: xAxes,
    yAxis: yAxes,
    series: [
      backdrop(time),
      ...spec.lines.map((line) => lineSeries(line, time, columns, spec.scale === 'log')),
      ...rugSeries(time, width - left - right),
    ],
  });
  return {
    svg,
    legend: spec.lines.map(({ name, colour: i, dash, dots }) =>
      lineEntry(name, colour(i), dots ? [4, 5] : (dash ?? 'solid')),
    ),
  };
}

/** What all charts of the run are marked with. */
export function commonLegend({ warmUps, restartsMs, chaos }: TimeAxis): LegendEntry[] {
  return [
    ...(warmUps.length > 0 ? [boxEntry('warm-up, not judged', lineInk)] : []),
    ...(restartsMs.length > 0 ? [lineEntry('server begun anew', mutedInk, [3, 3])] : []),
    ...chaos.map(({ kind, count }, i) => boxEntry(`${kind}: ${count.toLocaleString('en')}`, colour(i))),
  ];
}

/** Shades the warm-up and marks restarts; behind everything else. */
function backdrop({ warmUps, restartsMs, unitMs }: TimeAxis): object {
  return {
    type: 'line',
    data: [],
    silent: true,
    markArea: {
      silent: true,
      itemStyle: { color: lineInk, opacity: 0.5 },
      data: warmUps.map(([from, to]) => [{ xAxis: from / unitMs }, { xAxis: to / unitMs }]),
    },
    markLine: {
      silent: true,
      symbol: 'none',
      label: { show: false },
      lineStyle: { color: mutedInk, width: 1.5, type: [3, 3] },
      data: restartsMs.map((atMs) => ({ xAxis: atMs / unitMs })),
    },
  };
}

function lineSeries(line: Line, { unitMs }: TimeAxis, columns: number, isLog: boolean): object {
  const points = thinned(line.points, columns);
  const ink = colour(line.colour);
  const isDotted = line.dots === true || points.length <= dotsMax;
  return {
    type: 'line',
    name: line.name,
    symbol: 'none',
    showSymbol: true,
    showAllSymbol: true,
    connectNulls: false,
    lineStyle: { width: line.dots ? 0 : (line.width ?? 1.8), color: ink, type: line.dash ?? 'solid' },
    itemStyle: { color: ink, borderWidth: 0 },
    data: points.map(([atMs, value], i) => {
      const at = [atMs / unitMs, value === null ? null : isLog ? Math.max(logLeast, value) : value];
      const hasDot = value !== null && (line.width === undefined ? isDotted : false);
      return hasDot || isolated(points, i)
        ? { value: at, symbol: 'circle', symbolSize: line.dots ? 5 : 4 }
        : at;
    }),
  };
}

/** Each kind of chaos as one row of marks: one path, however many they are. */
function rugSeries({ chaos, endMs, unitMs }: TimeAxis, pixels: number): object[] {
  const leastMs = (1.5 * endMs) / pixels;
  return chaos.map(({ spans }, i) => ({
    type: 'line',
    xAxisIndex: 1,
    yAxisIndex: 1,
    symbol: 'none',
    connectNulls: false,
    lineStyle: { width: rowHeight - 3, color: colour(i), cap: 'butt' },
    data: merged(spans, leastMs).flatMap(([from, to]) => {
      const y = 6 + i * rowHeight + rowHeight / 2 - 2;
      return [
        [from / unitMs, y],
        [Math.min(to, endMs) / unitMs, y],
        [to / unitMs, null],
      ];
    }),
  }));
}

const logLeast = 1e-3;

function valueAxis({ scale, lines, whole }: ChartSpec): object {
  const values = lines.flatMap(({ points }) =>
    points.flatMap(([, value]) => (value !== null && Number.isFinite(value) ? [value] : [])),
  );
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (scale === 'log') return logAxis(Math.max(logLeast, low), Math.max(logLeast, high));
  const common = { ...axis, type: 'value', ...(whole && { minInterval: 1 }) };
  if (scale === 'zero') return { ...common, ...zeroLimits(high, whole === true) };
  // Noise of a few per cent should not look like a mountain range.
  const span = Math.max(high - low, 0.2 * high, whole ? 4 : 0);
  const middle = (low + high) / 2;
  return { ...common, ...nearLimits(middle, span) };
}

/** From nothing to a round limit with some room below it. */
function zeroLimits(high: number, whole: boolean): { min: number; max: number; interval: number } {
  if (!(high > 0)) return { min: 0, max: 1, interval: 1 };
  const step = Math.max(niceStep(high / 5), whole ? 1 : 0);
  return { min: 0, max: Math.ceil((high * 1.04) / step) * step, interval: step };
}

/** Round limits around a range. */
function nearLimits(middle: number, span: number): { min: number; max: number; interval: number } {
  const step = niceStep(span / 4);
  return {
    min: Math.max(0, Math.floor((middle - span * 0.55) / step) * step),
    max: Math.ceil((middle + span * 0.55) / step) * step,
    interval: step,
  };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return ([1, 2, 5, 10].find((step) => step * power >= rough) ?? 10) * power;
}

function logAxis(low: number, high: number): object {
  const min = 10 ** Math.floor(Math.log10(low * 1.0001));
  const max = Math.max(10 * min, 10 ** Math.ceil(Math.log10(high * 0.9999)));
  return {
    ...axis,
    type: 'log',
    min,
    max,
    axisLabel: { ...axis.axisLabel, formatter: (value: number) => String(Number(value.toPrecision(3))) },
    minorTick: { show: true, splitNumber: 9, lineStyle: { color: mutedInk } },
    minorSplitLine: { show: true, lineStyle: { color: lineInk, opacity: 0.6 } },
  };
}

/** So that there are at most so many ticks, at times that people count in. */
function tickInterval(range: number, most: number, unit: TimeAxis['unit']): number {
  const steps =
    unit === 'h' ? [0.25, 0.5, 1, 2, 3, 4, 6, 12, 24, 48, 96] : [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60];
  return steps.find((step) => range / step <= most) ?? niceStep(range / most);
}
