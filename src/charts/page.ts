import { Eta } from 'eta';
import type { LegendEntry, Picture } from './colours.js';
import type { ChartSize } from './draw.js';
import { legendTemplate, pictureTemplate, tableTemplate } from './templates.js';

export interface Cell {
  readonly text: string;
  /** Its class: `number`, `loss`, `safe`, `lines` (line feeds count), or several of these. */
  readonly kind: string;
  readonly note?: string;
  readonly span?: number;
}

export interface Table {
  readonly caption: string;
  readonly header: readonly string[];
  /** The same for a phone, where each cell has its own. */
  readonly short?: readonly string[];
  readonly rows: readonly {
    readonly name: string;
    readonly note?: string;
    readonly cells: readonly Cell[];
  }[];
  readonly isNumbers: boolean;
}

const wide: ChartSize = { width: 1000, isNarrow: false };
const narrow: ChartSize = { width: 362, isNarrow: true };

/** A chart as the template `@picture` shows it. */
export interface Pictures {
  readonly wide: string;
  readonly narrow: string;
  readonly legend: readonly LegendEntry[];
}

export function inBothWidths(chart: (size: ChartSize) => Picture): Pictures {
  const { svg, legend } = chart(wide);
  return { wide: svg, narrow: chart(narrow).svg, legend };
}

/** All text that goes into the template is escaped, but for the pictures. */
export function renderPage(template: string, it: object): string {
  const eta = new Eta({ autoEscape: true, autoTrim: false, varName: 'it' });
  eta.loadTemplate('@page', template);
  eta.loadTemplate('@legend', legendTemplate);
  eta.loadTemplate('@picture', pictureTemplate);
  eta.loadTemplate('@table', tableTemplate);
  return eta.render('@page', it);
}
