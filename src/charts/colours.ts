/**
 * Stand-ins for colours, put into the picture and then replaced by the page's variables, so that one picture serves light
 * and dark. None of them is a colour that anything else would have.
 */
const inks = {
  '#0a0b01': 'var(--ink)',
  '#0a0b02': 'var(--muted)',
  '#0a0b03': 'var(--line)',
} as const;
export const [textInk, mutedInk, lineInk] = Object.keys(inks);
const series = Array.from({ length: 8 }, (_, i) => `#0a0c0${i + 1}`);

export type Dash = 'solid' | readonly number[];
const dashes: readonly Dash[] = ['solid', [7, 4], [2, 3], [10, 3, 2, 3]];

/** Of the i-th series. */
export const colour = (i: number) => series[i % series.length];
export const dash = (i: number) => dashes[i % dashes.length];

export function recolour(svg: string): string {
  let text = svg;
  for (const [from, to] of Object.entries(inks)) text = text.replaceAll(from, to);
  for (const [i, from] of series.entries()) text = text.replaceAll(from, `var(--s${i + 1})`);
  return text;
}

/** What stands for each series, for the legend: the page writes that, as text that can be selected and wraps. */
export interface LegendEntry {
  readonly name: string;
  readonly colour: string;
  /** Of the line; empty: a filled box. */
  readonly dashes: string;
}

export interface Picture {
  readonly svg: string;
  readonly legend: readonly LegendEntry[];
}

export const noPicture: Picture = { svg: '', legend: [] };

export function boxEntry(name: string, ink: string): LegendEntry {
  return { name, colour: recolour(ink), dashes: '' };
}

export function lineEntry(name: string, ink: string, type: Dash): LegendEntry {
  return { name, colour: recolour(ink), dashes: [type].flat().join(' ').replace('solid', 'none') };
}

/** Common to all axes. */
export const axis = {
  axisLine: { lineStyle: { color: mutedInk } },
  axisTick: { lineStyle: { color: mutedInk } },
  axisLabel: { color: textInk, fontSize: 12 },
  nameTextStyle: { color: mutedInk, fontSize: 12 },
  splitLine: { lineStyle: { color: lineInk } },
  minorSplitLine: { show: false },
};
