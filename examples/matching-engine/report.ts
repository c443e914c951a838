/** What the demo prints: a live table, the summary, and the document of `--json`. */
import type { Histogram } from 'hdr-histogram-js';
import type { DemoOptions } from './demo.js';
import type { Verified } from './ledger.js';
import { addCounts, type LoadResult } from './load.js';
import type { ServerStatus } from './server.js';

export interface DemoResult {
  ok: boolean;
  backend: string;
  policy: string;
  /** From the first order to the last answer. */
  seconds: number;
  orders: number;
  responses: number;
  /** Orders wholly answered per second. */
  throughputPerSecond: number;
  /** From when an order was due until its answer was complete. */
  rttMicros: { p50: number; p99: number; p999: number; max: number };
  verified: Verified;
  drops: { overflow: number; blocked: number; reset: number };
  gate: { journal: number; replication: number; waits: number };
  clients: number;
  /** Orders per second that were asked for. */
  rate: number;
  /** Why it is not ok, in words. */
  problems: string[];
}

export interface Outcome {
  options: DemoOptions;
  /** When all clients had logged off. */
  status: ServerStatus;
  results: readonly LoadResult[];
  rtt: Histogram;
  serverExitCode: number | null;
  fillsAgree: boolean;
}

export interface LiveCounts {
  sent: number;
  answered: number;
  responses: number;
}

/** Where progress goes while the demo runs. */
export interface Report {
  started(status: ServerStatus, options: DemoOptions, adminUrl: string | null): void;
  /** Once a second; `rtt` is of that second. */
  live(counts: LiveCounts, rtt: Histogram, status: ServerStatus): void;
}

export function summarize({
  options,
  status,
  results,
  rtt,
  serverExitCode,
  fillsAgree,
}: Outcome): DemoResult {
  const verified: Verified = { missing: 0, duplicated: 0, outOfOrder: 0, corrupted: 0 };
  const sum = { orders: 0, answered: 0, responses: 0, lost: 0, elapsedMs: 0 };
  const problems: string[] = [];
  for (const result of results) {
    addCounts(verified, result.verified);
    sum.orders += result.orders;
    sum.answered += result.answered;
    sum.responses += result.responses;
    sum.lost += result.lostConnections;
    sum.elapsedMs = Math.max(sum.elapsedMs, result.elapsedMs);
    problems.push(...result.violations);
  }
  if (!fillsAgree) {
    verified.corrupted++;
    problems.push('makers and takers were not told of the same fills');
  }
  const drops = {
    overflow: status.dropsOverflow,
    blocked: status.dropsBlocked,
    reset: status.dropsReset + status.dropsSendError,
  };
  const dropped = drops.overflow + drops.blocked + drops.reset;
  if (dropped > 0) problems.push(`the stage dropped ${dropped} connections`);
  if (sum.lost > 0) problems.push(`${sum.lost} clients lost their connection`);
  if (sum.answered === 0) problems.push('no order was answered');
  if (serverExitCode !== 0) problems.push(`the server ended with code ${serverExitCode}`);
  const wrong = Object.values(verified).reduce((total, count) => total + count, 0);
  const seconds = sum.elapsedMs / 1000;
  return {
    ok: wrong === 0 && problems.length === 0,
    backend: status.backend,
    policy: status.policy,
    seconds: Math.round(seconds * 1000) / 1000,
    orders: sum.orders,
    responses: sum.responses,
    throughputPerSecond: seconds > 0 ? Math.round(sum.answered / seconds) : 0,
    rttMicros: percentiles(rtt),
    verified,
    drops,
    gate: { journal: status.gateJournal, replication: status.gateReplication, waits: status.gateWaits },
    clients: options.clients,
    rate: options.rate,
    problems,
  };
}

function percentiles(rtt: Histogram): DemoResult['rttMicros'] {
  return {
    p50: rtt.getValueAtPercentile(50),
    p99: rtt.getValueAtPercentile(99),
    p999: rtt.getValueAtPercentile(99.9),
    max: rtt.maxValue,
  };
}

/** Says nothing. */
export const silentReport: Report = { started() {}, live() {} };

/**
 * For people: on a terminal a table that is redrawn every second, else a line every second.
 *
 * @param redraw false when other lines come between, which redrawing would erase
 */
export function textReport(out: NodeJS.WriteStream, { redraw = out.isTTY } = {}): Report {
  let seconds = 0;
  let before: LiveCounts = { sent: 0, answered: 0, responses: 0 };
  let linesDrawn = 0;
  return {
    started(status, { clients, rate, storage }, adminUrl) {
      const fallback = status.fallback === null ? '' : ` (${status.fallback})`;
      out.write(`server      ${status.backend}${fallback}, policy ${status.policy}\n`);
      out.write(`journal     ${storage?.engine ?? 'file'}\n`);
      out.write(`load        ${plain(rate)} orders/s from ${plain(clients)} clients\n`);
      if (adminUrl !== null) out.write(`live page   ${adminUrl}\n`);
      out.write('\n');
    },
    live(counts, rtt, status) {
      seconds++;
      const cells: [string, string][] = [
        ['second', plain(seconds)],
        ['orders/s', plain(counts.answered - before.answered)],
        ['responses/s', plain(counts.responses - before.responses)],
        ['unanswered', plain(counts.sent - counts.answered)],
        ['in the book', plain(status.openOrders)],
        ['p50 ms', millis(rtt.getValueAtPercentile(50))],
        ['p99 ms', millis(rtt.getValueAtPercentile(99))],
        ['max ms', millis(rtt.maxValue)],
      ];
      before = counts;
      if (!redraw) {
        out.write(`${cells.map(([name, value]) => `${name} ${value}`).join('  ')}\n`);
        return;
      }
      // Up to the first line of the last table, and away with it.
      const erase = linesDrawn > 0 ? `\x1b[${linesDrawn}A\x1b[J` : '';
      out.write(erase + cells.map(([name, value]) => `  ${name.padEnd(14)}${value.padStart(10)}\n`).join(''));
      linesDrawn = cells.length;
    },
  };
}

/** The summary as lines for people. */
export function summaryText(result: DemoResult): string {
  const { rttMicros: rtt, verified, drops, gate } = result;
  const rows: [string, string][] = [
    ['orders', `${plain(result.orders)} in ${result.seconds.toFixed(2)} s`],
    ['answered', `${plain(result.throughputPerSecond)} orders/s, ${plain(result.responses)} responses`],
    [
      'round trip',
      `p50 ${millis(rtt.p50)} ms, p99 ${millis(rtt.p99)} ms, p99.9 ${millis(rtt.p999)} ms, max ${millis(rtt.max)} ms`,
    ],
    ['verified', counted(verified)],
    ['drops', counted(drops)],
    [
      'gate',
      `${plain(gate.waits)} waits: ${plain(gate.journal)} for the journal, ${plain(gate.replication)} for replicas`,
    ],
    ['result', result.ok ? 'ok: every response came exactly once, in order and unchanged' : 'NOT ok'],
  ];
  const problems = result.problems.map((problem) => `            ${problem}\n`);
  return `\n${rows.map(([name, value]) => `${name.padEnd(12)}${value}\n`).join('')}${problems.join('')}`;
}

function counted(counts: object): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name.replace('outOfOrder', 'out of order')}`)
    .join(', ');
}

function plain(count: number): string {
  return count.toLocaleString('en-US');
}

function millis(micros: number): string {
  return (micros / 1000).toFixed(micros < 10_000 ? 2 : 1);
}
