import { count, duration } from '../format.js';
import type { SoakResult } from '../run-record.js';
import { isIdle, marks, reasonText, sortedFindings, verdictWords, visible } from './words.js';

/** A result as a short table for the summary of a CI job. */
export function reportMarkdown(result: SoakResult): string {
  const { verdict, findings, record } = result;
  const { config } = record;
  const head =
    `${config.scenario}, ${duration(config.durationSeconds * 1000)}, ` +
    `${count(config.requestsPerSecond)} requests a second by ${count(config.clients)} clients, seed ${config.seed}`;
  const rows = sortedFindings(findings).map((finding) => {
    const remark = isIdle(finding) ? ' (not required)' : '';
    return `| ${marks[finding.verdict]} | ${cell(finding.id)} | ${cell(finding.detail)}${remark} |`;
  });
  return [
    `## ${marks[verdict]} Soak ${verdictWords[verdict]}`,
    '',
    inline(reasonText(result)),
    '',
    inline(head),
    '',
    '| | finding | what was found |',
    '| --- | --- | --- |',
    ...rows,
    '',
    ...record.notes.map((note) => `- ${inline(note)}`),
    ...(record.notes.length > 0 ? [''] : []),
    'Thresholds are provisional until calibrated. The same again:',
    '',
    ...fenced(record.repeat),
    '',
  ].join('\n');
}

/** One line of plain text: nothing in it is taken for markup. */
function inline(text: string): string {
  return visible(text)
    .replace(/\s*\n\s*/g, ' ')
    .replace(/[\\`*_[\]<>~]/g, (mark) => `\\${mark}`)
    .replaceAll('&', '&amp;')
    .trim();
}

const cell = (text: string) => inline(text).replaceAll('|', '\\|');

/** In a fence longer than any in the text. */
function fenced(text: string): string[] {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}sh`, visible(text), fence];
}
