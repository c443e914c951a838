import { folded, large, list, number, paragraphs, percent, ratio, spread, table } from './format.mjs';
import { variantName } from './variants.mjs';

const percentileColumns = ['>p50', '>p90', '>p99', '>p99.9', '>p99.99', '>max'];
const percentileCells = (us = {}) =>
  ['p50', 'p90', 'p99', 'p999', 'p9999', 'max'].map((key) => number(us?.[key]));
const rowName = ({ variant, idle }) => variantName(variant, idle);

const percentileTable = (rows, cells = (row) => row.us) =>
  table(
    ['variant', ...percentileColumns],
    rows.map((row) => [rowName(row), ...percentileCells(cells(row))]),
  );

/** What the page says about the latency bench. */
export function latency(result, chart) {
  return paragraphs(
    'Microseconds. *spin*, *backoff* and *park* are what the stage does while it has nothing to do.',
    pingPong(list(result.pingPong), chart),
    openLoop(list(result.openLoop), chart),
    twoFlushes(list(result.twoFlushes), result.withoutNoDelay),
  );
}

function pingPong(rows, chart) {
  if (rows.length === 0) return '';
  const ways = rows.filter(({ publishToClientUs }) => publishToClientUs);
  return paragraphs(
    '**Ping-pong**: one client, which asks again when it has its answer; the time of a round trip.',
    table(
      ['variant', ...percentileColumns, '>p50 ÷ `limit`'],
      rows.map((row) => [rowName(row), ...percentileCells(row.us), spread(row.ratio, ratio)]),
    ),
    chart('latency-ping-pong', 'Percentiles of the round trip, by variant'),
    ways.length === 0
      ? ''
      : folded(
          'The way to the client alone: from publishing to the client having the bytes',
          percentileTable(ways, (row) => row.publishToClientUs),
        ),
  );
}

function openLoop(rows, chart) {
  if (rows.length === 0) return '';
  return paragraphs(
    '**Open loop**: responses become due at fixed times, whatever became of those before; the time from when each was due to the client having it. The load is a share of the most that the *same variant* was found to send.',
    chart('latency-open-loop', 'Percentiles of the latency at several loads, by variant'),
    folded(
      'The figures',
      table(
        ['variant', '>load', '>responses a second', ...percentileColumns],
        rows.map((row) => [
          rowName(row),
          percent(row.load),
          large(row.perSecond),
          ...percentileCells(row.us),
        ]),
      ),
    ),
  );
}

function twoFlushes(rows, held) {
  if (rows.length === 0) return '';
  const all = held ? [...rows, { ...held, variant: `${held.variant}, without TCP_NODELAY` }] : rows;
  return paragraphs(
    '**An answer that leaves in two flushes**: the time from publishing its second part to the client having that.',
    percentileTable(all),
  );
}
