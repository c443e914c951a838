/** The result of the engines' bench as tables. */
export function printEngines({ machine, load, rounds, engines }) {
  console.log(
    `${load.perSecond} orders/s, ${rounds} rounds, medians; closed loop: ${load.windowOrders} under way;`,
    JSON.stringify(machine),
  );
  const rows = engines.flatMap(({ name, modes }) => modes.map((mode) => ({ engine: name, ...mode })));
  const us = ({ median }) => median.toFixed(0);
  const ratio = ({ median }) => median.toFixed(2);
  table('latency, µs: behind Ackgate, bare, and the difference', rows, {
    'ours p50': (row) => us(row.ackgateUs.p50),
    p99: (row) => us(row.ackgateUs.p99),
    'p99.9': (row) => us(row.ackgateUs.p999),
    'client p50': (row) => us(row.clientUs.p50),
    'p99 ': (row) => us(row.clientUs.p99),
    'bare p50': (row) => us(row.bareUs.p50),
    ' p99': (row) => us(row.bareUs.p99),
    ' p99.9': (row) => us(row.bareUs.p999),
    '÷ p50': (row) => ratio(row.overBare.p50),
    '÷ p99': (row) => ratio(row.overBare.p99),
    '− p50': (row) => us(row.oursUs.p50),
    '− p99': (row) => us(row.oursUs.p99),
  });
  table('throughput, orders a second', rows, {
    ours: (row) => us(row.perSecond),
    bare: (row) => us(row.barePerSecond),
    '÷': (row) => ratio(row.throughputOverBare),
    'orders/group': (row) => row.closedOrdersPerGroup.median.toFixed(1),
    'open loop': (row) => row.ordersPerGroup.median.toFixed(2),
    'open, bare': (row) => row.bareOrdersPerGroup.median.toFixed(2),
  });
  table('sim whatif, µs: predicted, and ÷ measured', rows, {
    p50: (row) => us(row.predictedUs.p50),
    p99: (row) => us(row.predictedUs.p99),
    '÷ p50': (row) => ratio(row.predictedOverMeasured.p50),
    '÷ p99': (row) => ratio(row.predictedOverMeasured.p99),
  });
}

function table(title, rows, columns) {
  const lead = (row) => `${row.engine}, ${row.name}`.padEnd(28);
  console.log(
    `\n${title}\n${' '.repeat(28)}${Object.keys(columns)
      .map((name) => name.padStart(13))
      .join('')}`,
  );
  for (const row of rows) {
    console.log(
      `${lead(row)}${Object.values(columns)
        .map((cell) => cell(row).padStart(13))
        .join('')}`,
    );
  }
}
