import type { Figure, RunFinding, Verdict } from '../findings.js';
import { bytes, count, duration, ms, percent, perHour } from '../format.js';
import type { Ended, SoakResult } from '../run-record.js';

export const marks: Readonly<Record<Verdict, string>> = { pass: '✓', fail: '✗', inconclusive: '?' };

export const verdictWords: Readonly<Record<Verdict, string>> = {
  pass: 'passed',
  fail: 'failed',
  inconclusive: 'inconclusive',
};

/** One that the run passes without. */
export const isIdle = ({ verdict, required }: RunFinding) => verdict === 'inconclusive' && !required;

const rank: Readonly<Record<Verdict, number>> = { fail: 0, inconclusive: 1, pass: 2 };

/** Failed ones first, then what could not be judged but should, then the passed ones; otherwise as they come. */
export function sortedFindings(findings: readonly RunFinding[]): RunFinding[] {
  const place = (finding: RunFinding) => (isIdle(finding) ? 3 : rank[finding.verdict]);
  return [...findings].sort((a, b) => place(a) - place(b));
}

/** Units that the names of figures end with, the longer ones first. */
const units: readonly (readonly [suffix: string, text: (value: number) => string])[] = [
  ['BytesPerHour', (value) => perHour(value, 'bytes')],
  ['BytesPerRequest', (value) => `${bytes(value)} a request`],
  ['CountPerHour', (value) => perHour(value, 'count')],
  ['PerHour', (value) => perHour(value, 'count')],
  ['Bytes', bytes],
  ['Ms', ms],
  ['Seconds', (value) => duration(value * 1000)],
  ['Share', (value) => percent(value, 3)],
];

const unitOf = (name: string) =>
  units.find(([suffix]) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`.endsWith(suffix));

/** By the unit in its name, before `Max` or `Min`. */
export function figureValue({ name, value }: Figure): string {
  if (value === null) return 'unknown';
  const unit = unitOf(name.replace(/(Max|Min)$/, ''));
  return unit === undefined ? count(value) : unit[1](value);
}

/** `slopeBytesPerHour` is `slope` for people. */
function figureName(name: string): string {
  const unit = unitOf(name);
  const base = unit === undefined || unit[0].length === name.length ? name : name.slice(0, -unit[0].length);
  return base
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .replace(/\brss\b/, 'RSS')
    .replace(/^r2$/, 'r²');
}

/** A name and its figure; a figure does not break from its unit. */
export const namedFigure = (figure: Figure, name = figureName(figure.name)) =>
  `${name}: ${figureValue(figure).replaceAll(' ', '\u00a0')}`;

export const measuredTexts = ({ measured }: RunFinding) => measured.map((figure) => namedFigure(figure));

/** With the names of the thresholds, which a configuration can change. */
export const limitTexts = ({ limits }: RunFinding) =>
  limits.map((figure) => namedFigure(figure, figure.name));

const sentence = (text: string) => text.trim().replace(/([^.!?])$/, '$1.');

function endedText(ended: Ended): string {
  if (ended.why === 'time') return 'It ran for its whole time.';
  const beginnings = {
    stopped: 'It was stopped early',
    'not-ready': 'The server did not become ready',
    died: 'The server ended by itself',
    anomaly: 'It was ended early',
  } as const;
  return `${beginnings[ended.why]}: ${sentence(ended.detail)}`;
}

/** Why the verdict is what it is, in a sentence or two. */
export function reasonText({ verdict, findings, record }: SoakResult): string {
  const ids = (some: readonly RunFinding[]) => some.map(({ id }) => id).join(', ');
  const failed = findings.filter((one) => one.verdict === 'fail');
  const open = findings.filter((one) => one.verdict === 'inconclusive' && one.required);
  const idle = findings.filter(isIdle);
  const { ended, segments } = record;
  const tail =
    (ended.why === 'time' ? '' : ` ${endedText(ended)}`) +
    (segments > 1 ? ` ${count(segments)} lives of the server: the runner was resumed.` : '');
  if (failed.length > 0)
    return `${failed.length} of ${findings.length} findings failed: ${ids(failed)}.${tail}`;
  if (verdict === 'pass') {
    const rest =
      idle.length === 0 ? '' : `; ${idle.length} could not be judged, and need not be in this scenario`;
    return `${findings.length - idle.length} of ${findings.length} findings passed${rest}.${tail}`;
  }
  const why = open.length === 0 ? 'nothing was measured.' : `there was not enough to judge ${ids(open)} by.`;
  return `Nothing failed, but ${why}${tail}`;
}

/** For people and files alike: no colour codes, and nothing that could hide other text. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const coloured = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  return text.replace(coloured, '').replaceAll('\r\n', '\n').replace(hidden, '\u00b7');
}
