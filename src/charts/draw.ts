import { AckgateError } from '../errors.js';
import { recolour, textInk } from './colours.js';

/** The two widths that a chart is drawn for: a page, and a phone. */
export interface ChartSize {
  readonly width: number;
  readonly isNarrow: boolean;
}

/** Draws one chart; the option is echarts'. */
export type Draw = (size: ChartSize, height: number, option: object) => string;

interface Chart {
  setOption(option: object): void;
  renderToSVGString(options: { useViewBox: boolean }): string;
  dispose(): void;
}
interface Echarts {
  init(element: null, theme: null, options: object): Chart;
}

/** Draws with the bundled echarts, without a browser. */
export async function loadDraw(): Promise<Draw> {
  const url = new URL('../vendor/echarts.mjs', import.meta.url).href;
  let echarts: Echarts;
  try {
    echarts = (await import(url)) as Echarts;
  } catch (cause) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'the chart page needs dist/vendor/echarts.mjs, which the build makes: run npm run build',
      { cause },
    );
  }
  return ({ width }, height, option) => {
    const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
    chart.setOption({ animation: false, textStyle: { fontFamily: 'inherit', color: textInk }, ...option });
    const svg = chart.renderToSVGString({ useViewBox: true });
    chart.dispose();
    // Nothing happens under a pointer; and the page says in words what the picture shows.
    return recolour(svg)
      .replace(/<style[\s\S]*?<\/style>/g, '')
      .replace(/ (class|pointer-events|ecmeta_\w+)="[^"]*"/g, '')
      .replace('<svg ', '<svg aria-hidden="true" focusable="false" ');
  };
}
