import { describe, expect, test } from 'vitest';
import type { StatusAnswer } from '../src/admin/page/answer.js';
import { bytes, count, millis, percent, span, words } from '../src/admin/page/format.js';
import { headline, notAnswering } from '../src/admin/page/headline.js';
import { History } from '../src/admin/page/history.js';
import { degradedBecause } from '../src/admin/page/needs.js';

const second = 1e9;

/** An answer so many seconds after the first, with what matters to the test. */
function answer(seconds: number, status: Partial<StatusAnswer['status']> = {}): StatusAnswer {
  const nowNs = 1e12 + seconds * second;
  return {
    nowUnixMs: 0,
    nowNs,
    status: {
      state: 'running',
      mode: 'local',
      policy: 'persisted>=1',
      statusNs: nowNs,
      lastDoWorkNs: nowNs,
      connectedNodes: 1,
      rounds: 100 + seconds,
      recordsIn: 0,
      recordsReleased: 0,
      bytesSent: 0,
      busyNanos: 0,
      idleNanos: (1000 + seconds) * second,
      gateClosed: 0,
      gateClosedSinceNs: 0,
      waitingSeq: 0,
      gateClosedJournalNanos: 0,
      gateClosedReplicationNanos: 0,
      gateClosedDegradedNanos: 0,
      policyDegraded: 0,
      blocker: null,
      ringDepth: 0,
      ...status,
    } as StatusAnswer['status'],
    timings: {},
    directives: null,
    admin: { directives: false, mode: false },
    modes: [],
    instance: null,
  };
}

const waitingFor = (waitingSeq: number, sinceSeconds: number): Partial<StatusAnswer['status']> => ({
  gateClosed: 1,
  waitingSeq,
  gateClosedSinceNs: 1e12 + sinceSeconds * second,
  blocker: 'journal',
});

describe('what happened between two answers', () => {
  test('rates and shares, by the time of the status block', () => {
    const history = new History();
    history.add(answer(0), 0);
    const half = { statusNs: 1e12 + 0.4 * second, recordsReleased: 200, bytesSent: 8000, recordsIn: 200 };
    const shares = {
      gateClosedJournalNanos: 0.1 * second,
      busyNanos: 0.1 * second,
      idleNanos: 1000.3 * second,
    };
    history.add(answer(0.5, { ...half, ...shares }), 500);
    expect(history.latest).toMatchObject({
      recordsPerSecond: 500,
      bytesPerSecond: 20_000,
      journal: 0.25,
      replication: 0,
      busy: 0.25,
      gate: 'open',
    });
  });

  test('the first answer, and the first after a restart, tell nothing of a rate', () => {
    const history = new History();
    history.add(answer(0, { recordsReleased: 5000, recordsIn: 5000 }), 0);
    expect(history.latest).toMatchObject({ gate: 'unknown', recordsPerSecond: null });
    history.add(answer(1, { recordsReleased: 6000, recordsIn: 6000 }), 1000);
    expect(history.restartedAtMs).toBeNull();
    history.add(answer(2, { recordsReleased: 10, recordsIn: 10 }), 2000);
    expect(history.latest).toMatchObject({ gate: 'unknown', recordsPerSecond: null });
    expect(history.restartedAtMs).toBe(2000);
    history.add(answer(3, { recordsReleased: 30, recordsIn: 30 }), 3000);
    expect(history.latest?.recordsPerSecond).toBe(20);
  });

  test('a server that was started anew and has counted further than the one before', () => {
    const history = new History();
    const counted = (records: number, ran: number) => ({ recordsReleased: records, idleNanos: ran * second });
    history.add(answer(10, counted(100, 5)), 0);
    history.add(answer(11, counted(200, 6)), 1000);
    history.add(answer(20, counted(900, 4)), 10_000);
    expect(history.restartedAtMs).toBe(10_000);
    expect(history.latest?.recordsPerSecond).toBeNull();
    // Nobody looked for an hour: that is no restart.
    history.add(answer(3620, counted(1900, 3604)), 3_610_000);
    expect(history.restartedAtMs).toBe(10_000);
  });

  test('what the server does not count yet is unknown, not zero', () => {
    const history = new History();
    const older = { gateClosedJournalNanos: undefined, busyNanos: undefined } as object;
    history.add(answer(0, older), 0);
    history.add(answer(1, older), 1000);
    expect(history.latest).toMatchObject({ journal: null, busy: null, recordsPerSecond: 0, p99: null });
  });

  test('keeps two minutes', () => {
    const history = new History();
    for (let at = 0; at < 1000; at++) history.miss(at);
    expect(history.intervals).toHaveLength(240);
    expect(history.latest).toMatchObject({ atMs: 999, gate: 'away' });
  });
});

describe('whether the gate is closed', () => {
  test('not while another record waits each time: that is the rhythm of the journal', () => {
    const history = new History();
    for (let at = 0; at < 10; at++) {
      // Also if the server says that there has been somebody waiting for a long time.
      const standing = history.add(answer(at / 2, waitingFor(10 + at, 0)), at * 500);
      expect(standing).toEqual({ gate: 'open', closedSeconds: 0 });
    }
    expect(history.add(answer(5, waitingFor(19, 0)), 5000)).toEqual({ gate: 'closed', closedSeconds: 0.5 });
  });

  test('as soon as one record keeps waiting, and for as long as it does', () => {
    const history = new History();
    history.add(answer(0), 0);
    expect(history.add(answer(0.5, waitingFor(7, 0.45)), 500).gate).toBe('open');
    expect(history.add(answer(1, waitingFor(7, 0.45)), 1000)).toEqual({
      gate: 'closed',
      closedSeconds: expect.closeTo(0.55, 5),
    });
    expect(history.add(answer(9, waitingFor(7, 0.45)), 9000).closedSeconds).toBeCloseTo(8.55);
    expect(history.add(answer(9.5), 9500)).toEqual({ gate: 'open', closedSeconds: 0 });
  });

  test('a page that is opened during a stall knows since when', () => {
    const standing = new History().add(answer(60, waitingFor(7, 10)), 0);
    expect(standing).toEqual({ gate: 'closed', closedSeconds: 50 });
  });
});

describe('the headline', () => {
  const of = (status: Partial<StatusAnswer['status']>, closedSeconds = 0, releasing = true) => {
    const gate = status.policyDegraded === 1 ? 'degraded' : closedSeconds > 0 ? 'closed' : 'open';
    return headline(answer(0, status), { gate, closedSeconds }, releasing);
  };

  test.each([
    ['Acknowledging', 'good', {}, 0, true],
    ['Ready', 'good', {}, 0, false],
    ['Gate closed for 3.2 s: waiting for the journal', 'waiting', { blocker: 'journal' as const }, 3.2],
    ['Gate closed for 2 min 5 s: waiting for replicas', 'waiting', { blocker: 'replication' as const }, 125],
    [
      'Degraded: policy needs 2 nodes, 1 connected',
      'bad',
      { policyDegraded: 1, policy: 'persisted>=1 && in_memory>=2' },
    ],
    ['Fenced', 'bad', { state: 'fenced' as const, policyDegraded: 1 }],
    ['Failed', 'bad', { state: 'failed' as const }],
    ['Closing', 'waiting', { state: 'draining' as const }],
    ['The stage has not run for 7.0 s', 'bad', { lastDoWorkNs: 1e12 - 7 * second }, 3],
  ])('%s', (text, tone, status, closedSeconds = 0, releasing = true) => {
    expect(of(status, closedSeconds, releasing)).toMatchObject({ text, tone });
  });

  test('what is spoken has no numbers that tick', () => {
    expect(of({ blocker: 'journal' }, 1).spoken).toBe(of({ blocker: 'journal' }, 2).spoken);
    expect(notAnswering(1, 'x').spoken).toBe(notAnswering(2, 'x').spoken);
  });

  test('says for how long nobody has answered, if anybody ever did', () => {
    expect(notAnswering(4.25, 'Why.').text).toBe('Not answering for 4.3 s');
    expect(notAnswering(null, 'Why.').text).toBe('Not answering');
  });

  test.each([
    ['persisted>=2 zones', 1, 'policy needs 2 zones, 1 node connected'],
    ['persisted>=2 zones', 3, 'policy needs more nodes or zones than the 3 nodes connected'],
    ['in_memory>=3 && persisted>=2', 2, 'policy needs 3 nodes, 2 connected'],
    ['words of a later version', 2, 'policy needs more nodes or zones than the 2 nodes connected'],
  ])('what %s lacks', (policy, connected, words) => {
    expect(degradedBecause(policy, connected)).toBe(words);
  });
});

test('numbers as people read them', () => {
  expect([count(1234567), count(undefined), count(Number.NaN)]).toEqual(['1,234,567', '–', '–']);
  expect([bytes(0), bytes(999), bytes(1000), bytes(12_345_678)]).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '12.3 MB',
  ]);
  expect([percent(0), percent(0.004), percent(0.5)]).toEqual(['0 %', '< 1 %', '50 %']);
  expect([span(0.04), span(61), span(7200), span(200_000)]).toEqual([
    '0.0 s',
    '1 min 1 s',
    '2 h 0 min',
    '2 days 7 h',
  ]);
  expect([millis(0), millis(1.234), millis(12.34), millis(123.4), millis(2500)]).toEqual([
    '0 ms',
    '1.23 ms',
    '12.3 ms',
    '123 ms',
    '2.5 s',
  ]);
  expect(words('openOrders')).toBe('Open orders');
});
