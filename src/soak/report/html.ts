import { loadDraw } from '../../charts/draw.js';
import { inBothWidths, renderPage } from '../../charts/page.js';
import type { SoakResult } from '../run-record.js';
import { trendsOf } from '../trends.js';
import { chartSpecs } from './chart-specs.js';
import { pageTemplate } from './page-template.js';
import { chaosTable, facts, findingTable, lossTable, runnerText, thresholdTable } from './tables.js';
import { timeAxis } from './time-axis.js';
import { commonLegend, timeChart } from './time-chart.js';
import { marks, reasonText, verdictWords, visible } from './words.js';

/** A result as one HTML page: verdict, findings, charts; nothing is loaded from anywhere. */
export async function reportHtml(result: SoakResult): Promise<string> {
  const draw = await loadDraw();
  const { record, verdict } = result;
  const time = timeAxis(record);
  const specs = chartSpecs(record, trendsOf(record));
  const { config, losses, notes, repeat, serverOutput } = record;
  return renderPage(pageTemplate, {
    title: `Soak ${verdictWords[verdict]}: ${config.scenario}`,
    verdict,
    headline: `${marks[verdict]} Soak ${verdictWords[verdict]}`,
    reason: reasonText(result),
    facts: facts(result).map(([name, text]) => [name, visible(text)]),
    repeat: visible(repeat),
    notes: notes.map(visible),
    findings: findingTable(result),
    marks: { text: marksText(time.chaos.length), legend: commonLegend(time) },
    charts: specs.flatMap((spec) =>
      'absent' in spec ? [] : { ...spec, ...inBothWidths((size) => timeChart(draw, time, spec, size)) },
    ),
    absent: specs.filter((spec) => 'absent' in spec),
    losses: lossTable(record),
    examples: losses.examples.map(visible),
    chaos: chaosTable(record),
    thresholds: thresholdTable(record),
    output: visible(serverOutput).trimEnd(),
    runner: runnerText(record),
  });
}

const marksText = (rows: number) =>
  rows === 0
    ? 'All charts have the same time axis.'
    : `All charts have the same time axis. What was done to the server is marked below each, ${
        rows === 1 ? 'in one row' : 'a row for each kind, from top to bottom'
      }:`;
