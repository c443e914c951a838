import { headline } from './benches.mjs';
import { axisOf, decades, draw, heading, ink, legend, lineSeries, whiskers, width } from './chart-kit.mjs';
import { count, distinct, isSpread, middle, number, percent, ratio } from './format.mjs';
import { egressVariants, findCase, styleOf, variantName } from './variants.mjs';

const micros = (us) => (us >= 1e6 ? `${us / 1e6} s` : us >= 1000 ? `${us / 1000} ms` : `${us} µs`);

/** CPU per response of each variant, for the case that is quoted. */
export function cpuByVariant(egress) {
  const variants = findCase(egress?.cases, headline)?.variants ?? {};
  const shown = egressVariants.filter(({ key }) => middle(variants[key]?.cpuNs) !== null).reverse();
  if (shown.length === 0) return null;
  const value = ({ key }) => variants[key].cpuNs;
  return draw(70 + 44 * shown.length, {
    grid: { left: 140, right: 80, top: 16, bottom: 54 },
    xAxis: axisOf({ type: 'value', min: 0, name: 'CPU of the sending thread per response, ns', nameGap: 32 }),
    yAxis: axisOf({ type: 'category', data: shown.map(({ name }) => name), axisTick: { show: false } }),
    series: [
      {
        type: 'bar',
        barWidth: 22,
        data: shown.map((variant) => ({
          value: middle(value(variant)),
          itemStyle: { color: styleOf(variant.key).color },
        })),
      },
      {
        // The figure stands behind the upper quartile, where no whisker crosses it.
        type: 'scatter',
        symbolSize: 0,
        label: { show: true, position: 'right', distance: 8, color: ink, fontSize: 13 },
        data: shown.map((variant, i) => ({
          value: [value(variant).high ?? middle(value(variant)), i],
          label: { formatter: `${number(middle(value(variant)))} ns` },
        })),
      },
      whiskers(
        ink,
        shown.flatMap((one, i) => (isSpread(value(one)) ? [[i, value(one).low, value(one).high]] : [])),
        'x',
        { hasHalo: true },
      ),
    ],
  });
}

const frameStyles = {
  1: { color: '#009e73', symbol: 'triangle', type: [2, 3] },
  4: { color: '#0072b2', symbol: 'circle', type: 'solid' },
  16: { color: '#d55e00', symbol: 'rect', type: [6, 3] },
};
const otherFrames = { color: '#999999', symbol: 'diamond', type: [10, 3, 2, 3] };

/** Round ends of an axis around the values, and the distance between its marks. */
function roundRange(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const interval = [0.1, 0.2, 0.5, 1, 2].find((step) => (high - low) / step <= 6) ?? 5;
  return { min: Math.floor(low / interval) * interval, max: Math.ceil(high / interval) * interval, interval };
}

/** What the stage costs over what the C loop costs, over connections, a line per frames, with the quoted bytes. */
export function ratioOverConnections(egress) {
  const cases = (egress?.cases ?? []).filter(
    (one) =>
      one.bytes === headline.bytes &&
      isSpread(one.ratios?.stageOverLimit) &&
      findCase(egress.cases, one) === one,
  );
  const byNumber = (values) => distinct(values).sort((a, b) => a - b);
  const connections = byNumber(cases.map((one) => one.connections));
  // One point is no line; the tables have it.
  if (connections.length < 2) return null;
  const lines = byNumber(cases.map((one) => one.frames)).map((frames) => ({
    name: `${frames} ${frames === 1 ? 'frame' : 'frames'} per connection`,
    style: frameStyles[frames] ?? otherFrames,
    points: connections.map((connected) => {
      const found = cases.find((one) => one.connections === connected && one.frames === frames);
      return found?.ratios.stageOverLimit ?? null;
    }),
  }));
  // Side by side, so that the quartiles of one line don't hide those of the next.
  const shift = (i) => (i - (lines.length - 1) / 2) * 0.08;
  return draw(360, {
    legend: legend({ data: lines.map(({ name }) => name) }),
    grid: { left: 70, right: 96, top: 46, bottom: 56 },
    xAxis: [
      axisOf({
        type: 'category',
        data: connections.map(count),
        name: 'connections',
        nameGap: 32,
        boundaryGap: true,
      }),
      { type: 'value', min: -0.5, max: connections.length - 0.5, show: false },
    ],
    yAxis: axisOf({
      type: 'value',
      scale: true,
      name: 'CPU per response, stage ÷ limit',
      nameGap: 46,
      ...roundRange([
        0.9,
        1.2,
        ...cases.flatMap(({ ratios }) => [ratios.stageOverLimit.low, ratios.stageOverLimit.high]),
      ]),
      axisLabel: { formatter: (value) => ratio(value) },
    }),
    series: lines.flatMap(({ name, style, points }, i) => {
      const at = points.flatMap((point, x) => (point === null ? [] : [{ x: x + shift(i), point }]));
      return [
        lineSeries(
          name,
          style,
          at.map(({ x, point }) => [x, point.median]),
          { xAxisIndex: 1, ...(i === 0 && { markLine: levelLine(1, 'as much as\nlimit (C)') }) },
        ),
        whiskers(
          style.color,
          at.map(({ x, point }) => [x, point.low, point.high]),
          'y',
          { xAxisIndex: 1 },
        ),
      ];
    }),
  });
}

const levelLine = (value, text) => ({
  silent: true,
  symbol: 'none',
  data: [{ yAxis: value }],
  lineStyle: { color: ink, width: 1.5, type: 'solid' },
  label: { formatter: text, position: 'end', color: ink, fontSize: 12 },
});

const percentiles = [
  ['p50', '50'],
  ['p90', '90'],
  ['p99', '99'],
  ['p999', '99.9'],
  ['p9999', '99.99'],
];
const hasTimes = ({ us } = {}) => percentiles.some(([key]) => us?.[key] > 0);
const times = ({ us }) => percentiles.map(([key]) => (us[key] > 0 ? us[key] : null));
const allTimes = (rows) => rows.flatMap(times).filter((value) => value !== null);
const rowName = ({ variant, idle }) => variantName(variant, idle);
const rowLine = (row, more) => lineSeries(rowName(row), styleOf(row.variant, row.idle), times(row), more);

/** Round trips of one client, by percentile. */
export function pingPong(latency) {
  const rows = (latency?.pingPong ?? []).filter(hasTimes);
  if (rows.length === 0) return null;
  return draw(400, {
    legend: legend({ data: rows.map(rowName) }),
    grid: { left: 76, right: 24, top: 50, bottom: 56 },
    xAxis: axisOf({
      type: 'category',
      data: percentiles.map(([, text]) => text),
      name: 'percentile of the round trips',
      nameGap: 32,
    }),
    yAxis: axisOf({
      type: 'log',
      ...decades(allTimes(rows)),
      name: 'round trip',
      nameGap: 54,
      axisLabel: { formatter: micros },
    }),
    series: rows.map((row) => rowLine(row)),
  });
}

/** Open loop: a panel per load, all with one scale. */
export function openLoop(latency) {
  const rows = (latency?.openLoop ?? []).filter(hasTimes);
  if (rows.length === 0) return null;
  const loads = distinct(rows.map(({ load }) => load)).sort((a, b) => a - b);
  const [left, right, gap] = [76, 16, 22];
  const panel = (width - left - right - gap * (loads.length - 1)) / loads.length;
  const from = (i) => left + i * (panel + gap);
  const range = decades(allTimes(rows));
  return draw(410, {
    title: loads.map((load, i) =>
      heading(`at ${percent(load)} load`, {
        left: from(i) + panel / 2,
        top: 46,
        textAlign: 'center',
      }),
    ),
    legend: legend({ data: distinct(rows.map(rowName)) }),
    grid: loads.map((_load, i) => ({ left: from(i), width: panel, top: 76, bottom: 56 })),
    xAxis: loads.map((_load, i) =>
      axisOf({
        type: 'category',
        gridIndex: i,
        data: percentiles.map(([, text]) => text),
        name: 'percentile',
        nameGap: 32,
        axisLabel: { fontSize: 12, interval: 0 },
      }),
    ),
    yAxis: loads.map((_load, i) =>
      axisOf({
        type: 'log',
        gridIndex: i,
        ...range,
        ...(i === 0 && { name: 'latency from the time meant', nameGap: 54 }),
        axisLabel: { show: i === 0, formatter: micros },
      }),
    ),
    series: rows.map((row) => {
      const i = loads.indexOf(row.load);
      return rowLine(row, { xAxisIndex: i, yAxisIndex: i });
    }),
  });
}

const sickWords = { stopped: 'stopped reading', trickle: 'read a trickle', reset: 'reset' };

/** The p99 of the healthy clients without and with sick ones; a row per variant and kind of sickness. */
export function isolation(result) {
  const rows = (result?.cases ?? []).filter((one) => one.without?.p99Us > 0 && one.with?.p99Us > 0).reverse();
  if (rows.length === 0) return null;
  const point = (row, i, key) => ({ value: [row[key].p99Us, i] });
  const dots = (name, key, fill) => ({
    type: 'scatter',
    name,
    symbolSize: 12,
    z: 4,
    itemStyle: { color: fill ? ink : '#ffffff', borderColor: ink, borderWidth: 2, opacity: 1 },
    data: rows.map((row, i) => {
      const { color } = styleOf(row.variant);
      return {
        ...point(row, i, key),
        itemStyle: { color: fill ? color : '#ffffff', borderColor: color, borderWidth: 2, opacity: 1 },
      };
    }),
  });
  return draw(110 + 32 * rows.length, {
    legend: legend({ itemWidth: 14 }),
    grid: { left: 210, right: 40, top: 44, bottom: 56 },
    xAxis: axisOf({
      type: 'log',
      ...decades(rows.flatMap((row) => [row.without.p99Us, row.with.p99Us])),
      name: 'p99 of the healthy clients',
      nameGap: 32,
      axisLabel: { formatter: micros },
    }),
    yAxis: axisOf({
      type: 'category',
      data: rows.map(
        ({ variant, sickness }) => `${variantName(variant)}: ${sickWords[sickness] ?? sickness}`,
      ),
      axisTick: { show: false },
      splitLine: { show: true, lineStyle: { color: '#eaeef2' } },
    }),
    series: [
      connectors(rows),
      dots('without sick clients', 'without', false),
      dots('with sick clients', 'with', true),
    ],
  });
}

const connectors = (rows) => ({
  type: 'custom',
  silent: true,
  z: 3,
  encode: { x: [1, 2], y: 0 },
  data: rows.map((row, i) => [i, row.without.p99Us, row.with.p99Us]),
  renderItem: (params, api) => {
    const [x1, y1] = api.coord([api.value(1), api.value(0)]);
    const [x2, y2] = api.coord([api.value(2), api.value(0)]);
    const { color } = styleOf(rows[params.dataIndex].variant);
    return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 3 } };
  },
});

/** CPU per response over the number of connections, at one load. */
export function cpuOverConnections(scale) {
  const rows = (scale?.cpu ?? []).filter(({ cpuNs }) => middle(cpuNs) !== null);
  if (rows.length === 0) return null;
  const style = styleOf('ackgate');
  return draw(330, {
    grid: { left: 76, right: 40, top: 24, bottom: 56 },
    xAxis: axisOf({
      type: 'log',
      logBase: 4,
      min: Math.min(...rows.map(({ connections }) => connections)) / 2,
      max: Math.max(...rows.map(({ connections }) => connections)) * 2,
      name: 'connections (logarithmic)',
      nameGap: 32,
      splitLine: { show: false },
      axisLabel: { showMinLabel: false, showMaxLabel: false },
    }),
    yAxis: axisOf({ type: 'value', min: 0, name: 'CPU of the thread per response, ns', nameGap: 56 }),
    series: [
      lineSeries(
        'Ackgate',
        style,
        rows.map(({ connections, cpuNs }) => [connections, middle(cpuNs)]),
      ),
      whiskers(
        style.color,
        rows.flatMap(({ connections, cpuNs }) =>
          isSpread(cpuNs) ? [[connections, cpuNs.low, cpuNs.high]] : [],
        ),
      ),
    ],
  });
}
