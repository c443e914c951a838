import { join, relative } from 'node:path';
import type { RunFinding, Verdict } from '../soak/findings.js';
import type { SoakResult } from '../soak/run-record.js';

const marks: Readonly<Record<Verdict, string>> = { pass: '✓', fail: '✗', inconclusive: '?' };

/** The result for people. */
export function soakText({ verdict, findings, record, directory }: SoakResult): string {
  const widest = Math.max(0, ...findings.map(({ id }) => id.length));
  const { ended } = record;
  const lines = [
    `${verdict}: ${record.config.scenario}, seed ${record.config.seed}`,
    ...(ended.why === 'time' ? [] : [`ended early: ${ended.detail}`]),
    '',
    ...findings.map((finding) => findingLine(finding, widest)),
    '',
    ...record.notes.map((note) => `note    ${note}`),
    `report  ${shown(join(directory, 'report.html'))}`,
    `again   ${record.repeat}`,
  ];
  return `${lines.join('\n')}\n`;
}

function findingLine({ id, verdict, detail, required }: RunFinding, widest: number): string {
  const missed = verdict !== 'inconclusive' || required ? '' : ' (not required)';
  return `${marks[verdict]} ${id.padEnd(widest)}  ${detail}${missed}`;
}

/** As one would write it here. */
function shown(path: string): string {
  const short = relative('', path);
  return short.startsWith('..') ? path : short;
}
