import { type TimingName, timingNames } from '../stage/timings.js';
import { type MetricFamily, type MetricSample, seconds } from './family.js';

const quantiles = ['0.5', '0.9', '0.99', '0.999'] as const;

const rows: Record<TimingName, { name: string; help: string }> = {
  ringWait: {
    name: 'ackgate_ring_wait_seconds',
    help: 'From the engine finishing a response to the stage seeing it.',
  },
  journalWait: {
    name: 'ackgate_journal_wait_seconds',
    help: 'From the engine finishing a response that has to wait to the journal being seen at its sequence.',
  },
  replicaWait: {
    name: 'ackgate_replica_wait_seconds',
    help: 'From the engine finishing a response that has to wait to enough replicas being seen at its sequence.',
  },
  encode: { name: 'ackgate_encode_seconds', help: 'Encoding one response.' },
  flush: { name: 'ackgate_flush_seconds', help: 'One flush: handing the answers of a batch to the kernel.' },
  serverEndToEnd: {
    name: 'ackgate_server_end_to_end_seconds',
    help: 'From the request being read to the kernel having its answer.',
  },
};

/** The latency histograms. They hold what directives, or the baseline, select at level timing or above. */
export const summaryFamilies: readonly MetricFamily[] = timingNames.map((timing) => {
  const { name, help } = rows[timing];
  return {
    ...{ name, type: 'summary', unit: 'seconds', help, labels: { quantile: quantiles }, fields: [] },
    samples({ timings }) {
      const histogram = timings?.[timing];
      if (histogram === undefined) return [];
      const { count } = histogram;
      const labels = {};
      const samples: MetricSample[] = [];
      if (count > 0) {
        for (const quantile of quantiles) {
          // A percentage such as 99.9 straight, not 0.999 × 100, which is a little less.
          const percent = Math.round(Number(quantile) * 1000) / 10;
          samples.push({ name, labels: { quantile }, value: seconds(histogram.percentile(percent)) });
        }
      }
      samples.push({ name: `${name}_sum`, labels, value: count > 0 ? seconds(histogram.mean * count) : 0 });
      samples.push({ name: `${name}_count`, labels, value: count });
      return samples;
    },
  };
});
