import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildNative } from '#ackgate/sim/native/build.js';
import { runProcess } from '#ackgate/sim/native/process.js';
import { findLiburing } from '../native/liburing.mjs';

/** What was seen, by name. */
type Facts = Record<string, string>;

interface Row {
  row: string;
  /** As the table of kernel behaviour has it. */
  expected: Facts;
  /** Null: not played. */
  live: Facts | null;
  fake: Facts | null;
  /** Why the fake kernel is not asked. */
  why: string | null;
}

interface Report {
  /** True, or why the live kernel was not asked. */
  live: true | string;
  rows: Row[];
}

const native = fileURLToPath(new URL('../native', import.meta.url));
const conformance = readdirSync(`${native}/sim/conformance`).filter((name) => name.endsWith('.cc'));

let report: Report | null = null;

beforeAll(async () => {
  const { have, link } = findLiburing();
  const build = await buildNative({
    name: 'conformance',
    sources: [
      'descriptors.cc',
      'liburing_ring.cc',
      'socket_ops.cc',
      'wake_descriptor.cc',
      'sim/fake_kernel.cc',
      'sim/fake_ring.cc',
      'sim/faults.cc',
      'sim/report.cc',
      ...conformance.map((name) => `sim/conformance/${name}`),
    ],
    defines: [`-DHAVE_LIBURING=${have ? 1 : 0}`],
    link: link === '' ? [] : [link],
  });
  if (!build.ok) {
    // A machine without a compiler has the prebuilt addon, and nothing to build this with.
    console.warn(build.reason);
    return;
  }
  const { code, stdout, stderr } = await runProcess(build.binary, [], { timeoutMs: 120_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  report = JSON.parse(stdout) as Report;
  if (report.live !== true) console.warn(`the live kernel is not asked: ${report.live}`);
  for (const { row, why, live } of report.rows) {
    if (why !== null) console.info(`${live === null ? 'not played' : 'live only'}: ${row}: ${why}`);
  }
}, 420_000);

/** The rows of which `has` holds; skips, saying why, when there is no report. */
function rowsOr(skip: (note: string) => never, has: (row: Row) => boolean): Row[] {
  if (report === null) return skip('there is no C++ compiler');
  return report.rows.filter(has);
}

const seen = (rows: Row[], kernel: 'expected' | 'live' | 'fake') =>
  Object.fromEntries(rows.map((row) => [row.row, row[kernel]]));

describe('what the kernel does with sends', () => {
  test('the fake kernel does what is written', ({ skip }) => {
    const rows = rowsOr(skip, ({ fake }) => fake !== null);
    expect(rows.length).toBeGreaterThanOrEqual(19);
    expect(seen(rows, 'fake')).toEqual(seen(rows, 'expected'));
  });

  test('the live kernel does what is written', ({ skip }) => {
    if (report !== null && report.live !== true) skip(report.live);
    const rows = rowsOr(skip, ({ live }) => live !== null);
    expect(rows.length).toBeGreaterThanOrEqual(30);
    expect(seen(rows, 'live')).toEqual(seen(rows, 'expected'));
  });

  test('the fake kernel does what the live one does', ({ skip }) => {
    if (report !== null && report.live !== true) skip(report.live);
    const rows = rowsOr(skip, ({ fake, live }) => fake !== null && live !== null);
    expect(seen(rows, 'fake')).toEqual(seen(rows, 'live'));
  });

  test('a row that only one kernel is asked for says why', ({ skip }) => {
    for (const { row, fake, why } of rowsOr(skip, () => true)) {
      expect([row, fake === null]).toEqual([row, why !== null]);
    }
  });
});
