import {
  axis,
  boxEntry,
  colour,
  dash,
  lineEntry,
  noPicture,
  type Picture,
  textInk,
} from '../../charts/colours.js';
import type { ChartSize, Draw } from '../../charts/draw.js';
import { duration, perYear, rateText } from './format.js';
import type { PolicyResult, WhatIfResult } from './index.js';

/** Latency over the share of orders that are slower, both on logarithmic axes. */
export function latencyChart(draw: Draw, { policies }: WhatIfResult, size: ChartSize): Picture {
  const shown = policies.filter(({ latencyNs }) => latencyNs !== null);
  if (shown.length === 0) return noPicture;
  const top = 24;
  const values = shown.flatMap(({ curve }) => curve.map(([, ns]) => ns));
  const svg = draw(size, top + (size.isNarrow ? 290 : 370), {
    grid: { left: size.isNarrow ? 56 : 66, right: 18, top, bottom: 48 },
    xAxis: {
      ...axis,
      type: 'log',
      min: 1,
      name: 'orders that are this fast, or faster',
      nameLocation: 'middle',
      nameGap: 30,
      axisLabel: { ...axis.axisLabel, formatter: (times: number) => shareLabel(times) },
    },
    yAxis: {
      ...axis,
      type: 'log',
      min: 10 ** Math.floor(Math.log10(Math.max(1, Math.min(...values)))),
      name: size.isNarrow ? '' : 'latency',
      axisLabel: { ...axis.axisLabel, formatter: (ns: number) => duration(ns) },
    },
    series: shown.map(({ name, curve }, i) => ({
      type: 'line',
      name,
      showSymbol: false,
      lineStyle: { width: 2.5, color: colour(i), type: dash(i) },
      itemStyle: { color: colour(i) },
      data: curve.map(([share, ns]) => [1 / (1 - share), Math.max(1, ns)]),
    })),
  });
  return {
    svg,
    legend: shown.map(({ name }, i) => lineEntry(name, colour(i), dash(i))),
  };
}

/** One in so many orders is slower. */
function shareLabel(times: number): string {
  if (times <= 1) return '0 %';
  const digits = Math.round(Math.log10(times));
  return digits === 1 ? '90 %' : `99${digits === 2 ? '' : `.${'9'.repeat(digits - 2)}`} %`;
}

/** Whose cursor was waited for, as shares of all orders. */
export function bindsChart(draw: Draw, { policies }: WhatIfResult, size: ChartSize): Picture {
  const shown = policies.filter(({ binds }) => binds !== null && binds.journal + binds.replication > 0);
  if (shown.length === 0) return noPicture;
  const names = ['journal', 'replication'] as const;
  const svg = draw(size, shown.length * (size.isNarrow ? 48 : 34) + 44, {
    grid: barGrid(shown, size),
    xAxis: {
      ...axis,
      type: 'value',
      max: 100,
      axisLabel: { ...axis.axisLabel, formatter: '{value} %' },
      interval: size.isNarrow ? 50 : 25,
    },
    yAxis: categories(shown, size),
    series: names.map((name, i) => ({
      type: 'bar',
      name,
      stack: 'who',
      barMaxWidth: 20,
      itemStyle: { color: colour(i) },
      data: shown.map(({ binds }) => 100 * (binds?.[name] ?? 0)),
    })),
  });
  return { svg, legend: names.map((name, i) => boxEntry(name, colour(i))) };
}

const yearSeconds = 365.25 * 86_400;

/** Time a year without acknowledgements, one bar for every failure rate, by its order of magnitude. */
export function degradedChart(draw: Draw, { policies }: WhatIfResult, size: ChartSize): Picture {
  const rates = policies[0]?.degraded ?? [];
  const shares = policies
    .flatMap(({ degraded }) => degraded.map(({ share }) => share))
    .filter((share) => share > 0);
  if (shares.length === 0) return noPicture;
  // Bars on a logarithmic axis of echarts begin at 1, wherever that is; these begin a decade below the smallest.
  const lowest = Math.floor(Math.log10(Math.min(...shares) * yearSeconds)) - 1;
  const row = 20 * rates.length + (size.isNarrow ? 28 : 14);
  const svg = draw(size, policies.length * row + 44, {
    grid: barGrid(policies, size),
    xAxis: {
      ...axis,
      type: 'value',
      min: 0,
      max: Math.log10(yearSeconds) - lowest,
      interval: size.isNarrow ? 3 : 1,
      axisLabel: {
        ...axis.axisLabel,
        hideOverlap: true,
        formatter: (decades: number) => perYear(Math.min(1, 10 ** (decades + lowest) / yearSeconds)),
      },
    },
    yAxis: categories(policies, size),
    series: rates.map((_, i) => ({
      type: 'bar',
      barMaxWidth: 14,
      itemStyle: { color: colour(i) },
      label: {
        show: true,
        position: 'right',
        color: textInk,
        fontSize: 11,
        formatter: ({ dataIndex }: { dataIndex: number }) => perYear(policies[dataIndex].degraded[i].share),
      },
      data: policies.map(({ degraded }) => {
        const { share } = degraded[i];
        return share === 0 ? 0 : Math.log10(share * yearSeconds) - lowest;
      }),
    })),
  });
  return {
    svg,
    legend: rates.map((rate, i) => boxEntry(`fails ${rateText(rate)}`, colour(i))),
  };
}

/** Width of the policies' names on a phone, where they break. */
const narrowNames = 106;

function barGrid(policies: readonly PolicyResult[], { isNarrow }: ChartSize) {
  const longest = Math.max(...policies.map(({ name }) => name.length));
  const left = isNarrow ? narrowNames + 22 : Math.min(330, 20 + longest * 7);
  return { left, right: isNarrow ? 46 : 60, top: 8, bottom: 30 };
}

function categories(policies: readonly PolicyResult[], { isNarrow }: ChartSize) {
  const { splitLine: _, ...rest } = axis;
  const label = isNarrow
    ? { width: narrowNames, overflow: 'break', fontSize: 11 }
    : { width: 310, overflow: 'truncate' };
  return {
    ...rest,
    type: 'category',
    inverse: true,
    axisTick: { show: false },
    axisLabel: { ...axis.axisLabel, ...label },
    data: policies.map(({ name }) => name),
  };
}
