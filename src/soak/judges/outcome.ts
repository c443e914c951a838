import type { Finding } from '../findings.js';
import { count, duration } from '../format.js';
import type { Ended } from '../run-record.js';
import type { Thresholds } from '../thresholds.js';
import { fail, finding, inconclusive, type Judgement, pass } from './judgement.js';
import { isCount, isReading } from './readings.js';

function ready(readyAfterMs: number | null, ended: Ended, readySeconds: number): Judgement {
  if (ended.why === 'not-ready') return fail(`The server never became ready: ${ended.detail}`);
  if (readyAfterMs === null) {
    if (ended.why === 'died' || ended.why === 'anomaly') {
      return fail(`The server never became ready: ${ended.detail}`);
    }
    return inconclusive(
      `It is not known whether the server became ready${'detail' in ended ? `: ${ended.detail}` : ''}`,
    );
  }
  const measured = { readyAfterMs };
  if (!isReading(readyAfterMs)) {
    return inconclusive(
      `The time until it was ready was read as ${readyAfterMs} ms, which can't be`,
      measured,
    );
  }
  const detail = `The first request was answered after ${duration(readyAfterMs)}; at most ${duration(readySeconds * 1000)}`;
  return readyAfterMs <= readySeconds * 1000 ? pass(detail, measured) : fail(detail, measured);
}

/** Whether the first request was answered in time. */
export const judgeReady = (
  readyAfterMs: number | null,
  ended: Ended,
  readySeconds: number,
  thresholds: Thresholds,
): Finding => finding('ready', ready(readyAfterMs, ended, readySeconds), thresholds);

function completed(ended: Ended): Judgement {
  switch (ended.why) {
    case 'time':
      return pass('The run went on for its whole time');
    case 'not-ready':
      return fail(`The server never became ready: ${ended.detail}`);
    case 'died':
      return fail(`The server ended by itself: ${ended.detail}`);
    case 'anomaly':
      return fail(`The run was given up: ${ended.detail}`);
    case 'stopped':
      return inconclusive(`The run was stopped before its time: ${ended.detail}`);
    default:
      return inconclusive('It is not known how the run ended');
  }
}

/** Whether the run went on for its whole time. */
export const judgeCompleted = (ended: Ended, thresholds: Thresholds): Finding =>
  finding('completed', completed(ended), thresholds);

function orphaned(orphans: Readonly<Record<string, number>> | null): Judgement {
  if (orphans === null) return inconclusive('What was left at the end could not be read');
  const all = Object.entries(orphans);
  if (all.length === 0) return inconclusive('The server offers no counts of what is left at the end');
  const left = all.filter(([, value]) => isCount(value) && value > 0);
  if (left.length > 0) {
    return fail(
      `Left when all clients had gone: ${left.map(([name, value]) => `${count(value)} ${name}`).join(', ')}`,
      orphans,
    );
  }
  const broken = all.find(([, value]) => !isCount(value));
  if (broken !== undefined) {
    return inconclusive(`At the end ${broken[0]} was read as ${broken[1]}, which can't be`, orphans);
  }
  return pass(
    `Nothing is left when all clients have gone (${all.map(([name]) => name).join(', ')})`,
    orphans,
  );
}

/** Whether connections, slots and permits are all given back when the clients have left. */
export const judgeOrphans = (
  orphans: Readonly<Record<string, number>> | null,
  thresholds: Thresholds,
): Finding => finding('orphans', orphaned(orphans), thresholds);
