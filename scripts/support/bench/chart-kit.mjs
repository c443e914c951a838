// What all charts share: how they are drawn without a browser, their size, axes and marks.
import { BarChart, CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

use([
  BarChart,
  CustomChart,
  LineChart,
  ScatterChart,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
  SVGRenderer,
]);

/** As wide as a page shows it without shrinking. */
export const width = 720;
export const ink = '#24292f';
const muted = '#57606a';
const line = '#d8dee4';
const fontSize = 13;

/** Draws an echarts option as SVG. The same option gives the same text, however often it was called before. */
export function draw(height, option) {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      // A page may be dark, the picture is not: it brings its own paper.
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: 'Helvetica, Arial, sans-serif', color: ink },
      ...option,
    });
    return tidy(chart.renderToSVGString({ useViewBox: true }));
  } finally {
    chart.dispose();
  }
}

/** Nothing happens under a pointer, and ids count the charts that this process drew. */
function tidy(svg) {
  const text = svg
    .replace(/<style[\s\S]*?<\/style>\n?/g, '')
    .replace(/ (class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/\bzr\d+-/g, 'zr-');
  return `${text.trimEnd()}\n`;
}

const axis = {
  axisLine: { show: true, onZero: false, lineStyle: { color: muted } },
  axisTick: { lineStyle: { color: muted } },
  axisLabel: { color: ink, fontSize },
  nameTextStyle: { color: muted, fontSize },
  nameLocation: 'middle',
  splitLine: { lineStyle: { color: line } },
};

/** An axis in the common style; `more` is echarts' and its `axisLabel` is added to the common one. */
export const axisOf = (more) => ({ ...axis, ...more, axisLabel: { ...axis.axisLabel, ...more.axisLabel } });

export const legend = (more = {}) => ({
  top: 8,
  itemWidth: 26,
  // Wide, since the font of the reader may be wider than the one that the legend was laid out for.
  itemGap: 28,
  textStyle: { color: ink, fontSize },
  ...more,
});

export const heading = (text, more = {}) => ({
  text,
  textStyle: { color: ink, fontSize, fontWeight: 'bold' },
  ...more,
});

/** A line with its symbols; `data` are [x, y] or y per category. */
export const lineSeries = (name, { color, symbol, type }, data, more = {}) => ({
  type: 'line',
  name,
  data,
  symbol,
  symbolSize: 8,
  showSymbol: true,
  itemStyle: { color },
  lineStyle: { color, width: 2, type },
  ...more,
});

/**
 * Lines from the lower to the upper quartile, with a cap at each end. `data` are [position, low, high]; `along` says
 * which axis has the quartiles; `hasHalo`: on bars, which may be as dark as they are.
 */
export const whiskers = (color, data, along = 'y', { hasHalo = false, ...more } = {}) => ({
  type: 'custom',
  data,
  encode: along === 'y' ? { x: 0, y: [1, 2] } : { y: 0, x: [1, 2] },
  z: 5,
  silent: true,
  renderItem: (_params, api) => {
    const ends = [1, 2].map((i) =>
      along === 'y' ? api.coord([api.value(0), api.value(i)]) : api.coord([api.value(i), api.value(0)]),
    );
    const [dx, dy] = along === 'y' ? [4, 0] : [0, 4];
    const lines = [[...ends[0], ...ends[1]], ...ends.map(([x, y]) => [x - dx, y - dy, x + dx, y + dy])];
    const strokes = (stroke, lineWidth) =>
      lines.map(([x1, y1, x2, y2]) => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style: { stroke, lineWidth, lineCap: 'round' },
      }));
    return {
      type: 'group',
      children: [...(hasHalo ? strokes('#ffffff', 4) : []), ...strokes(color, 1.5)],
    };
  },
  ...more,
});

/** The powers of ten around the values, for an axis that is logarithmic. */
export const decades = (values) => ({
  min: 10 ** Math.floor(Math.log10(Math.min(...values))),
  max: 10 ** Math.ceil(Math.log10(Math.max(...values))),
});
