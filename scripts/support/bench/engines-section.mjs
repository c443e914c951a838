import { count, folded, large, list, number, paragraphs, ratio, spread, table } from './format.mjs';

const ratios = (value) => spread(value, ratio);
const rate = (value) => spread(value, large);
const whole = (value) => spread(value, (us) => number(Math.round(us)));

const columnsOf = (row) => [row.engine, row.name];

/** A row for each mode of each engine. */
const rowsOf = (result) =>
  list(result?.engines).flatMap(({ name, modes }) => list(modes).map((mode) => ({ engine: name, ...mode })));

/** What the page says about acknowledgements by engine and mode. */
export function engines(result) {
  const rows = rowsOf(result);
  const { perSecond, connections, windowOrders, orderBytes } = result.load ?? {};
  const servers = Object.values(result.servers ?? {}).join('; ');
  const skipped = Object.entries(result.skipped ?? {}).map(([name, why]) => `${name} was left out: ${why}.`);
  return paragraphs(
    `What an acknowledgement takes under each mode, on each engine, beside the same engine without Ackgate. Open loop: ${count(perSecond)} orders of ${orderBytes} bytes a second at drawn times; closed loop: ${count(windowOrders)} orders under way, on ${connections} connections. PostgreSQL has two standbys, NATS two replicas.${servers === '' ? '' : ` ${servers}.`} ${skipped.join(' ')}`.trim(),
    howToRead,
    latencyTable(rows),
    '**Throughput**, in a closed loop. *Orders in a group*: that the journal made durable in one turn.',
    table(
      [
        'engine',
        'mode',
        '>orders a second',
        '>bare',
        '>÷ bare',
        '>orders in a group',
        '>in the open loop',
        '>there, bare',
      ],
      rows.map((row) => [
        ...columnsOf(row),
        rate(row.perSecond),
        rate(row.barePerSecond),
        ratios(row.throughputOverBare),
        spread(row.closedOrdersPerGroup),
        spread(row.ordersPerGroup),
        spread(row.bareOrdersPerGroup),
      ]),
    ),
    `**What \`ackgate sim whatif\` predicts** from what was recorded in the same round, µs. Turns, handovers, wakes, sends and arrivals are those of the run that is predicted; how long replicas take is from the bare run beside it, for Ackgate does not say when it heard of a replica. The model sends a record to replicas when it is appended; PostgreSQL sends it after its own commit, which is in the recorded times as a whole. A ratio below 1 is a prediction that is too good: threads of all servers want the same two cores at once, and the model's threads each have their own.`,
    table(
      ['engine', 'mode', '>p50', '>p99', '>p50 ÷ measured', '>p99 ÷ measured'],
      rows.map((row) => [
        ...columnsOf(row),
        whole(row.predictedUs?.p50),
        whole(row.predictedUs?.p99),
        ratios(row.predictedOverMeasured?.p50),
        ratios(row.predictedOverMeasured?.p99),
      ]),
    ),
  );
}

const howToRead = `*Behind Ackgate*: from the server having read the order to the kernel having its acknowledgement, over engine thread, journal, ring,
gate and send. *Bare*: from the order being sent to a plain loop to the loop knowing that the mode is met; the loop commits
whatever has come since its last turn, has no clients, and no gate. For \`file\` that is write and \`fdatasync\`; for PostgreSQL
the same client committing rows and asking \`pg_stat_replication\` again and again; for NATS publishing to processes that append
to a \`FileJournal\` and say so. *Ours* is the difference, within each round: the threads and sockets that a server has anyway
are in it. It may be below zero in the tail: a bare loop that is held up by the disk holds up all that comes.

Read the order of magnitude and the ranking. Two cores are shared by the engine's thread, the stage, the journal, the clients and every
server and replica, all on one disk: what waits for a processor here does not on machines of their own, and the network
between them is missing.`;

/** What docs/DURABILITY.md says: the same figures, without what they are held against. */
export function enginesInShort(result) {
  const rows = rowsOf(result);
  const inMs = (us) => (us?.median === undefined ? number(undefined) : (us.median / 1000).toFixed(1));
  return table(
    ['engine', 'mode', '>p50 ms', '>p99 ms', '>orders a second'],
    rows.map((row) => [
      ...columnsOf(row),
      inMs(row.ackgateUs?.p50),
      inMs(row.ackgateUs?.p99),
      large(row.perSecond?.median),
    ]),
  );
}

function latencyTable(rows) {
  const latencies = (row, key) => [row[key]?.p50, row[key]?.p99, row[key]?.p999];
  return paragraphs(
    '**Latency**, µs, in the open loop; medians of the rounds.',
    table(
      [
        'engine',
        'mode',
        '>p50',
        '>p99',
        '>p99.9',
        '>bare p50',
        '>p99',
        '>p99.9',
        '>ours p50',
        '>ours p99',
        '>p50 ÷ bare',
        '>p99 ÷ bare',
      ],
      rows.map((row) => [
        ...columnsOf(row),
        ...[...latencies(row, 'ackgateUs'), ...latencies(row, 'bareUs')].map((us) => number(us?.median)),
        number(row.oursUs?.p50?.median),
        number(row.oursUs?.p99?.median),
        ratios(row.overBare?.p50),
        ratios(row.overBare?.p99),
      ]),
    ),
    folded(
      'With the quartiles, and as the client saw it',
      table(
        [
          'engine',
          'mode',
          '>p50',
          '>p99',
          '>p99.9',
          '>client p50',
          '>client p99',
          '>client p99.9',
          '>bare p50',
          '>bare p99',
        ],
        rows.map((row) => [
          ...columnsOf(row),
          ...[...latencies(row, 'ackgateUs'), ...latencies(row, 'clientUs')].map(whole),
          whole(row.bareUs?.p50),
          whole(row.bareUs?.p99),
        ]),
      ),
    ),
  );
}
