import type { StatusAnswer } from './answer.js';
import { element, type Fact, Facts, setText, showRows } from './dom.js';
import { bytes, count, millis, percent, span, unknown, words } from './format.js';
import type { Headline, Tone } from './headline.js';
import type { Interval } from './history.js';

const tones: Record<Tone, { shape: string; word: string }> = {
  good: { shape: '●', word: 'Fine' },
  waiting: { shape: '▲', word: 'Waiting' },
  bad: { shape: '■', word: 'Alarm' },
};

const gateWords: Partial<Record<Interval['gate'], string>> = { away: 'no answer', unknown };

const columns: [string, (interval: Interval) => string][] = [
  ['Time', ({ atMs }) => new Date(atMs).toLocaleTimeString('en-GB')],
  ['Gate', ({ gate }) => gateWords[gate] ?? gate],
  ['Records/s', ({ recordsPerSecond }) => count(recordsPerSecond)],
  ['Bytes/s', ({ bytesPerSecond }) => bytes(bytesPerSecond)],
  ['Journal', ({ journal }) => percent(journal)],
  ['Replicas', ({ replication }) => percent(replication)],
  ['Degraded', ({ degraded }) => percent(degraded)],
  ['p50', ({ p50 }) => millis(p50)],
  ['p99', ({ p99 }) => millis(p99)],
  ['Max', ({ max }) => millis(max)],
  ['Ring', ({ ringDepth }) => count(ringDepth)],
];
const rowsMax = 10;

const steps: Record<string, string> = {
  ringWait: 'In the ring',
  journalWait: 'For the journal',
  replicaWait: 'For replicas',
  encode: 'Encoding',
  flush: 'Flush',
  serverEndToEnd: 'All of it',
};

/** Everything on the page that is text. */
export class View {
  readonly #tiles = new Facts('tiles');
  readonly #mode = new Facts('mode-facts');
  readonly #diagnosis = new Facts('diagnosis');
  readonly #drops = new Facts('drops');
  readonly #totals = new Facts('totals');
  readonly #app = new Facts('app');
  readonly #table = element<HTMLDetailsElement>('figures');
  #intervals: readonly Interval[] = [];

  constructor() {
    // What can be scrolled sideways has to be reached with the keyboard.
    for (const scroll of document.querySelectorAll<HTMLElement>('.scroll')) scroll.tabIndex = 0;
    const heads = columns.map(([name]) => {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = name;
      return cell;
    });
    element('figures-head').append(...heads);
    this.#table.addEventListener('toggle', () => this.#showTable());
    // On paper there is nothing to open.
    let wasOpen = false;
    window.addEventListener('beforeprint', () => {
      wasOpen = this.#table.open;
      this.#table.open = true;
      this.#showTable();
    });
    window.addEventListener('afterprint', () => {
      this.#table.open = wasOpen;
    });
  }

  headline({ tone, text, detail }: Headline): void {
    element('state').dataset.tone = tone;
    setText(element('shape'), tones[tone].shape);
    setText(element('tone'), tones[tone].word);
    setText(element('headline'), text);
    setText(element('detail'), detail);
    document.title = `${tones[tone].shape} ${text} – Ackgate`;
  }

  freshness(text: string): void {
    setText(element('freshness'), text);
  }

  answer(answer: StatusAnswer, latest: Interval): void {
    const { status, instance } = answer;
    setText(element('instance'), instance ?? '');
    const fallback = status.fallback === null ? '' : ` (${status.fallback})`;
    setText(element('identity'), `mode ${status.mode}, sends with ${status.backend}${fallback}`);
    this.#tiles.show(tiles(answer, latest));
    this.#mode.show([
      { name: 'Mode', value: status.mode },
      { name: 'Policy', value: status.policy },
      { name: 'Nodes connected', value: count(status.connectedNodes) },
      { name: 'Durable up to', value: position(status.durablePos) },
      { name: 'Journal up to', value: count(status.journalCursor) },
      { name: 'Replicas up to', value: position(status.replicaCursor) },
    ]);
    this.#diagnosis.show(diagnosis(answer));
    this.#drops.show(drops(status as unknown as Record<string, unknown>));
    this.#totals.show(totals(answer));
    this.#showApp(answer.app);
    this.#showTimings(answer.timings);
  }

  intervals(intervals: readonly Interval[]): void {
    this.#intervals = intervals;
    this.#showTable();
  }

  #showTable(): void {
    if (!this.#table.open) return;
    const rows = this.#intervals.slice(-rowsMax).reverse();
    showRows(
      element('figures-body'),
      rows.map((interval) => columns.map(([, text]) => text(interval))),
    );
  }

  #showApp(app: StatusAnswer['app']): void {
    const facts = Object.entries(app ?? {}).flatMap(([name, value]): Fact[] => {
      if (typeof value === 'number') return [{ name: words(name), value: count(value) }];
      return typeof value === 'string' ? [{ name: words(name), value }] : [];
    });
    element('app-section').hidden = facts.length === 0;
    this.#app.show(facts);
  }

  #showTimings(timings: StatusAnswer['timings'] | undefined): void {
    const measured = Object.entries(timings ?? {}).filter(([, { count }]) => count > 0);
    element('timings-section').hidden = measured.length === 0;
    showRows(
      element('timings'),
      measured.map(([name, timing]) => [
        steps[name] ?? words(name),
        count(timing.count),
        ...[timing.p50, timing.p99, timing.max].map((ns) => millis(ns / 1e6)),
      ]),
    );
  }
}

function position(value: number | 'unbounded'): string {
  if (typeof value !== 'number') return 'any';
  return value < 0 ? 'no replica' : count(value);
}

function tiles({ status, timings }: StatusAnswer, latest: Interval): Fact[] {
  const { durablePos, highestSeq } = status;
  const lag = typeof durablePos === 'number' ? Math.max(0, highestSeq - durablePos) : 0;
  const server = timings?.serverEndToEnd;
  const facts: Fact[] = [
    { name: 'Records released', value: `${count(latest.recordsPerSecond)}/s` },
    { name: 'Bytes sent', value: `${bytes(latest.bytesPerSecond)}/s` },
    { name: 'Round trip p50', value: millis(latest.p50) },
    { name: 'Round trip p99', value: millis(latest.p99) },
    { name: 'Round trip max', value: millis(latest.max) },
    ...(server !== undefined && server.count > 0
      ? [{ name: 'In the server p99', value: millis(server.p99 / 1e6) }]
      : []),
    { name: 'Records in the ring', value: count(status.ringDepth) },
    { name: 'Not durable yet', value: count(lag) },
    { name: 'Stage busy', value: percent(latest.busy) },
    { name: 'Connections', value: count(status.connections) },
    { name: 'Blocked now', value: count(status.blockedNow), alarm: status.blockedNow > 0 },
    { name: 'Dropped so far', value: count(droppedSoFar(status as unknown as Record<string, unknown>)) },
    {
      name: 'Degraded so far',
      value: span(status.policyDegradedNanos / 1e9),
      alarm: status.policyDegraded === 1,
    },
  ];
  return facts;
}

function dropCounts(status: Record<string, unknown>): [string, number][] {
  return Object.entries(status).filter(
    (entry): entry is [string, number] => entry[0].startsWith('drops') && typeof entry[1] === 'number',
  );
}

function droppedSoFar(status: Record<string, unknown>): number {
  return dropCounts(status).reduce((sum, [, number]) => sum + number, 0);
}

function drops(status: Record<string, unknown>): Fact[] {
  return dropCounts(status).map(([name, number]) => ({
    name: words(name.slice('drops'.length)),
    value: count(number),
  }));
}

function diagnosis({ status, directives }: StatusAnswer): Fact[] {
  const facts: Fact[] = [{ name: 'Highest level in force', value: String(status.diagnosisLevel ?? unknown) }];
  if (directives === null || directives === undefined) {
    return [...facts, { name: 'Directives', value: 'no store' }];
  }
  const { ageMs } = directives;
  return [
    ...facts,
    { name: 'Directives in force', value: count(directives.active) },
    { name: 'Revision', value: count(directives.revision) },
    { name: 'Known to be current', value: ageMs === null ? unknown : `${span(ageMs / 1000)} ago` },
    { name: 'Last error', value: directives.lastError ?? 'none', alarm: directives.lastError !== null },
  ];
}

function totals({ status }: StatusAnswer): Fact[] {
  return [
    { name: 'Records released', value: count(status.recordsReleased) },
    { name: 'Records discarded', value: count(status.recordsDiscarded) },
    { name: 'Bytes sent', value: bytes(status.bytesSent) },
    { name: 'Gate waits', value: count(status.gateWaits) },
    { name: 'Opened by the journal', value: count(status.gateJournal) },
    { name: 'Opened by replicas', value: count(status.gateReplication) },
    { name: 'Flushes', value: count(status.flushes) },
    { name: 'Short sends', value: count(status.shortSends) },
    { name: 'Heartbeats', value: count(status.heartbeats) },
    { name: 'Epoch', value: count(status.epoch) },
  ];
}
