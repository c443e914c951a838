import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { wrongNames } from './support/promql.js';
import { hasPromtool, promtool } from './support/promtool.js';

interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}

const file = fileURLToPath(new URL('../dashboards/alerts.yaml', import.meta.url));
const alerts: Alert[] = parse(readFileSync(file, 'utf8')).groups[0].rules;
const operations = readFileSync(new URL('../docs/OPERATIONS.md', import.meta.url), 'utf8');

describe('the alerts', () => {
  test('have a name of their own, a severity, a summary, and say where to read on', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { alert, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Ackgate[A-Z]\w+$/);
      expect(['critical', 'warning', 'info']).toContain(labels.severity);
      expect(annotations.summary.length).toBeGreaterThan(10);
      expect(annotations.runbook).toBe(`docs/OPERATIONS.md#${alert.toLowerCase()}`);
    }
  });

  test('ask only for metrics, labels and values that there are', () => {
    for (const { alert, expr, annotations } of alerts) {
      const shown = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
      expect(wrongNames(expr, shown), alert).toEqual([]);
    }
  });

  test('are all explained in docs/OPERATIONS.md', () => {
    for (const { alert } of alerts) expect(operations).toMatch(new RegExp(`^### ${alert}$`, 'm'));
  });
});

/** A server on which all is well, ten seconds apart. */
const healthy: Record<string, string> = {
  'ackgate_info{mode="local"}': '1x400',
  'ackgate_state{state="running"}': '1x400',
  'ackgate_state{state="failed"}': '0x400',
  'ackgate_state{state="fenced"}': '0x400',
  'ackgate_last_work_age_seconds{}': '0.01x400',
  'ackgate_gate_closed_age_seconds{}': '0.001x400',
  // Half of the time closed, two thousand times a second for a quarter of a millisecond.
  'ackgate_gate_closed_seconds_total{by="journal"}': '0+5x400',
  'ackgate_gate_closed_seconds_total{by="replication"}': '0x400',
  'ackgate_gate_closed_seconds_total{by="degraded"}': '0x400',
  'ackgate_gate_openings_total{by="journal"}': '0+20000x400',
  'ackgate_gate_openings_total{by="replication"}': '0x400',
  'ackgate_policy_degraded{}': '0x400',
  'ackgate_durable_unbounded{}': '0x400',
  'ackgate_journal_failed{}': '0x400',
  'ackgate_journal_unpersisted_records{}': '5x400',
  'ackgate_journal_persisted_sequence{}': '0+1000x400',
  'ackgate_ring_depth_records{}': '50x400',
  'ackgate_busy_seconds_total{}': '0+6x400',
  'ackgate_idle_seconds_total{}': '0+4x400',
  'ackgate_drops_total{reason="blocked"}': '3x400',
  'ackgate_drops_total{reason="reset"}': '0+100x400',
  'ackgate_connections{}': '1000x400',
  'ackgate_blocked_connections{}': '20x400',
  'ackgate_supervisor_refused_total{reason="too-many-connections"}': '5x400',
  'ackgate_supervisor_refused_total{reason="shutting-down"}': '0+100x400',
  'ackgate_supervisor_ended_total{reason="read-error"}': '0+100x400',
  'ackgate_supervisor_ended_total{reason="oversize-frame"}': '5x400',
  'ackgate_supervisor_ended_total{reason="handler-failed"}': '1x400',
  // A thousand a second, each for two milliseconds.
  'ackgate_supervisor_requests_total{}': '0+10000x400',
  'ackgate_supervisor_handling{}': '2x400',
  'ackgate_supervisor_accept_errors_total{}': '1x400',
  'ackgate_encoder_errors_total{}': '1x400',
  'ackgate_backend_fallback{}': '0x400',
  'ackgate_completion_overflows_total{}': '0x400',
  'ackgate_log_lines_dropped_total{}': '7x400',
  'ackgate_directives_update_failed{}': '0x400',
  'ackgate_directives_revision{}': '3x400',
  'ackgate_directives_applied_revision{}': '3x400',
  'ackgate_capture_errors_total{}': '0x400',
  'ackgate_diagnosis_level{}': '2x400',
};

/** What makes each alert fire, and no other one. */
const faults: Record<string, Record<string, string>> = {
  AckgateStageFailed: { 'ackgate_state{state="failed"}': '1x400' },
  AckgateStageFenced: { 'ackgate_state{state="fenced"}': '1x400' },
  AckgateStageHangs: { 'ackgate_last_work_age_seconds{}': '6x400' },
  AckgateMetricsMissing: { 'ackgate_info{mode="local"}': '_x400' },
  AckgateGateClosed: { 'ackgate_gate_closed_age_seconds{}': '3x400' },
  AckgateGateSlow: {
    'ackgate_gate_openings_total{by="replication"}': '0+10x400',
    'ackgate_gate_closed_seconds_total{by="replication"}': '0+2x400',
  },
  AckgatePolicyDegraded: { 'ackgate_policy_degraded{}': '1x400' },
  AckgateHoldsNothingBack: { 'ackgate_durable_unbounded{}': '1x400' },
  AckgateJournalFailed: { 'ackgate_journal_failed{}': '1x400' },
  AckgateJournalStalled: { 'ackgate_journal_persisted_sequence{}': '9x400' },
  AckgateRingFilling: { 'ackgate_ring_depth_records{}': '4000x400' },
  AckgateStageSaturated: {
    'ackgate_busy_seconds_total{}': '0+9.5x400',
    'ackgate_idle_seconds_total{}': '0+0.5x400',
  },
  AckgateClientsDropped: { 'ackgate_drops_total{reason="blocked"}': '0+5x400' },
  AckgateClientsBlocked: { 'ackgate_blocked_connections{}': '200x400' },
  AckgateConnectionsRefused: {
    'ackgate_supervisor_refused_total{reason="too-many-connections"}': '0+5x400',
  },
  AckgateConnectionsCrashed: { 'ackgate_supervisor_ended_total{reason="oversize-frame"}': '0+5x400' },
  AckgateHandlerFails: { 'ackgate_supervisor_ended_total{reason="handler-failed"}': '0+1x400' },
  // None of them ever settles, and nobody can ask any more.
  AckgateHandlersStuck: {
    'ackgate_supervisor_requests_total{}': '256x400',
    'ackgate_supervisor_handling{}': '256x400',
  },
  AckgateAcceptErrors: { 'ackgate_supervisor_accept_errors_total{}': '0+1x400' },
  AckgateEncoderErrors: { 'ackgate_encoder_errors_total{}': '0+1x400' },
  AckgateBackendFallback: { 'ackgate_backend_fallback{}': '1x400' },
  AckgateCompletionOverflows: { 'ackgate_completion_overflows_total{}': '0+1x400' },
  AckgateLogLinesDropped: { 'ackgate_log_lines_dropped_total{}': '0+1x400' },
  AckgateDirectivesNotUpdated: { 'ackgate_directives_update_failed{}': '1x400' },
  AckgateDirectivesNotApplied: { 'ackgate_directives_revision{}': '4x400' },
  AckgateCaptureErrors: { 'ackgate_capture_errors_total{}': '0+1x400' },
  AckgateCaptureLeftOn: { 'ackgate_diagnosis_level{}': '3x400' },
};

function seriesOf(values: Record<string, string>) {
  return Object.entries(values).map(([series, samples]) => ({
    series: series.replace('{', '{job="orders",instance="one",').replace(',}', '}'),
    values: samples,
  }));
}

test('each alert has a fault that it is tested with', () => {
  expect(Object.keys(faults).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  for (const fault of Object.values(faults)) {
    expect(Object.keys(healthy)).toEqual(expect.arrayContaining(Object.keys(fault)));
  }
});

test.skipIf(!hasPromtool)(
  'Prometheus takes the rules; each fault fires its alert only, and health none',
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'ackgate-alerts-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    expect(promtool(['check', 'rules', file])).toMatchObject({ status: 0 });
    const expr = 'count by (alertname) (ALERTS{alertstate="firing"})';
    const tests = [['', {}] as const, ...Object.entries(faults)].map(([alert, fault]) => ({
      name: alert || 'health',
      interval: '10s',
      input_series: seriesOf({ ...healthy, ...fault }),
      promql_expr_test: [
        {
          expr,
          // Late enough for what has to last, and no later: one of them has to last an hour.
          eval_time: alert === 'AckgateCaptureLeftOn' ? '66m' : '16m',
          exp_samples: alert === '' ? [] : [{ labels: `{alertname="${alert}"}`, value: 1 }],
        },
      ],
    }));
    const testFile = join(directory, 'test.yaml');
    writeFileSync(testFile, JSON.stringify({ rule_files: [file], evaluation_interval: '10s', tests }));
    const { status, output } = promtool(['test', 'rules', testFile]);
    expect(output).toContain('SUCCESS');
    expect(status).toBe(0);
  },
);
