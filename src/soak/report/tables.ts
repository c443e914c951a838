import type { Table } from '../../charts/page.js';
import { sizeClasses } from '../config.js';
import { operations } from '../driver.js';
import type { RunFinding } from '../findings.js';
import { bytes, count, duration, percent } from '../format.js';
import type { RunRecord, SoakResult } from '../run-record.js';
import type { LossCounts } from '../samples.js';
import { chaosCounts } from './time-axis.js';
import {
  figureValue,
  isIdle,
  limitTexts,
  marks,
  measuredTexts,
  namedFigure,
  sortedFindings,
  verdictWords,
} from './words.js';

const lines = (text: readonly string[]) => ({
  text: text.length === 0 ? '–' : text.join('\n'),
  kind: 'lines',
});

export function findingTable({ findings }: SoakResult): Table {
  return {
    caption:
      'Failed ones first, then what could not be judged. Measured figures are in words, limits by the names of the thresholds.',
    header: ['finding', 'what was found', 'measured', 'limit'],
    isNumbers: false,
    rows: sortedFindings(findings).map((finding) => ({
      name: `${marks[finding.verdict]} ${finding.id}`,
      note: isIdle(finding) ? 'inconclusive, and not required here' : verdictWords[finding.verdict],
      cells: [
        { text: finding.detail, kind: cellKind(finding) },
        lines(measuredTexts(finding)),
        lines(limitTexts(finding)),
      ],
    })),
  };
}

function cellKind(finding: RunFinding): string {
  if (finding.verdict === 'fail') return 'loss';
  return finding.verdict === 'pass' || isIdle(finding) ? '' : 'open';
}

const list = (items: Readonly<Record<string, string | number>>) =>
  Object.entries(items)
    .map(([name, value]) => (typeof value === 'number' ? namedFigure({ name, value }) : `${name}: ${value}`))
    .join(', ');

/** What was run, by name. */
export function facts({ record }: SoakResult): [name: string, text: string][] {
  const { config, machine, versions, samples, ended } = record;
  const reachedMs = samples.at(-1)?.atMs ?? 0;
  const asked = duration(config.durationSeconds * 1000);
  const weights = (names: readonly string[], of: Readonly<Record<string, number>>) =>
    names
      .filter((name) => of[name] > 0)
      .map((name) => `${name} ${percent(of[name], 0)}`)
      .join(', ');
  return [
    ['scenario', config.scenario],
    ['seed', String(config.seed)],
    ['started', record.startedAt],
    ['load', ended.why === 'time' ? asked : `${asked} asked for, ${duration(reachedMs)} done`],
    [
      'warm-up',
      `${duration(config.warmupSeconds * 1000)}, a sample every ${duration(config.sampleSeconds * 1000)}`,
    ],
    ['rate', `${count(config.requestsPerSecond)} requests a second by ${count(config.clients)} clients`],
    ['operations', weights(operations, config.mix)],
    ['sizes', weights(sizeClasses, config.sizes)],
    ['driver', record.driver],
    ['command', record.command.length === 0 ? "the driver's own server" : record.command.join(' ')],
    ['ready after', record.readyAfterMs === null ? 'never' : duration(record.readyAfterMs)],
    ['server lives', count(record.segments)],
    ['server exit', record.serverExit ?? 'unknown'],
    ['RSS at the end', bytes(record.finalRssBytes)],
    ['machine', list(machine)],
    ['versions', list(versions)],
  ];
}

export function thresholdTable({ config }: RunRecord): Table {
  return {
    caption: 'Provisional until they are calibrated on the machine at hand',
    header: ['threshold', 'value'],
    isNumbers: true,
    rows: Object.entries(config.thresholds).map(([name, value]: [string, number | null]) => ({
      name,
      cells: [{ text: value === null ? 'not judged' : figureValue({ name, value }), kind: 'number' }],
    })),
  };
}

type LossName = Exclude<keyof LossCounts, 'examples'>;

const lossNames: readonly (readonly [name: LossName, meaning: string])[] = [
  ['due', 'requests that the schedule asked for, the warm-up included'],
  ['expected', 'answered with the outcome that was expected'],
  ['unexpected', 'answered with another outcome'],
  ['timedOut', 'not answered in time'],
  ['lost', 'unanswered when the server ended the connection, or it broke'],
  ['unsent', 'no connection to send them on, or too many outstanding'],
  ['abandoned', 'cut off by the runner itself; nothing is expected of them'],
  ['late', 'answered after they were given up'],
  ['missing', 'answers, or parts of them, that never came'],
  ['duplicated', 'answers that came twice'],
  ['disordered', 'answers out of turn'],
  ['corrupted', 'answers with wrong content'],
  ['connectionsMade', 'connections, the first ones included'],
  ['connectionsLost', 'connections that nobody on this side wanted to end'],
];

export function lossTable({ losses }: RunRecord): Table {
  return {
    caption: 'Counts over the whole run, warm-up included',
    header: ['count', 'value'],
    isNumbers: true,
    rows: lossNames.map(([name, meaning]) => ({
      name,
      note: meaning,
      cells: [{ text: count(losses[name]), kind: 'number' }],
    })),
  };
}

export function chaosTable(record: RunRecord): Table {
  return {
    caption: 'What was done to the server',
    header: ['kind', 'how often'],
    isNumbers: true,
    rows: chaosCounts(record).map(([kind, times]) => ({
      name: kind,
      cells: [{ text: count(times), kind: 'number' }],
    })),
  };
}

export function runnerText({ runner }: RunRecord): string {
  if (runner.maxRssBytes === 0) return 'The runner took no sample of itself.';
  return (
    `Resident memory of the runner: ${bytes(runner.firstRssBytes)} at its first sample, ` +
    `${bytes(runner.lastRssBytes)} at its last, ${bytes(runner.maxRssBytes)} at most.`
  );
}
