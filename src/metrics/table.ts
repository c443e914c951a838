import { stageStateNames } from '../stage/state.js';
import { backends, type StageStatus } from '../stage/status.js';
import { diagnosisFamilies } from './diagnosis.js';
import {
  counter,
  counterBy,
  derived,
  gauge,
  histogram,
  type MetricFamily,
  oneOf,
  other,
  seconds,
} from './family.js';
import { summaryFamilies } from './summaries.js';
import { supervisorFamilies } from './supervisor.js';
import { packageVersion } from './version.js';

const modes = [
  'local',
  'hybrid',
  'durably-replicated',
  'replicated',
  'custom',
] as const satisfies readonly StageStatus['mode'][];
const blockers = ['journal', 'replication', 'degraded'] as const satisfies readonly StageStatus['blocker'][];

const infoName = 'ackgate_info';
const info: MetricFamily = {
  name: infoName,
  type: 'gauge',
  unit: null,
  help: 'Always 1; its labels say which version runs, over which backend and in which durability mode.',
  labels: { version: [packageVersion], backend: backends, mode: modes },
  fields: ['backendIndex', 'modeByte'],
  samples: ({ status: { backend, mode } }) => [
    { name: infoName, labels: { version: packageVersion, backend, mode }, value: 1 },
  ],
};

/** Seconds since a time in the block; none before it was written. */
function age(sinceNs: number, nowNs: number): number | null {
  return sinceNs === 0 ? null : seconds(Math.max(0, nowNs - sinceNs));
}

const whatIsRunning: MetricFamily[] = [
  info,
  oneOf('state', stageStateNames, [], ({ state }) => state, {
    name: 'ackgate_state',
    help: '1 for the state that the stage is in, 0 for the others.',
  }),
  derived(['statusNs'], ({ statusNs }, nowNs) => age(statusNs, nowNs), {
    name: 'ackgate_status_age_seconds',
    unit: 'seconds',
    help: 'How old the copy of the status block is that all of these figures come from.',
  }),
  derived(['lastDoWorkNs'], ({ lastDoWorkNs }, nowNs) => age(lastDoWorkNs, nowNs), {
    name: 'ackgate_last_work_age_seconds',
    unit: 'seconds',
    help: 'How long ago the stage began its last round. Grows without end in a stage that hangs.',
  }),
  gauge('epoch', { name: 'ackgate_epoch', help: 'Term of office of this primary.' }),
  derived([], ({ fallback }) => (fallback === null ? 0 : 1), {
    name: 'ackgate_backend_fallback',
    help: '1 when io_uring was wanted and plain sends had to do.',
  }),
];

const gate: MetricFamily[] = [
  gauge('gateClosed', { name: 'ackgate_gate_closed', help: '1 while a record waits for its sequence.' }),
  derived(['gateClosedSinceNs'], ({ gateClosedSinceNs }, nowNs) => age(gateClosedSinceNs, nowNs) ?? 0, {
    name: 'ackgate_gate_closed_age_seconds',
    unit: 'seconds',
    help: 'How long records have been waiting without a break; 0 when none waits.',
  }),
  oneOf('by', blockers, ['blockerIndex'], ({ blocker }) => blocker, {
    name: 'ackgate_gate_bound',
    help: '1 for who binds the durable position just now; replication and journal also while nothing waits.',
  }),
  counterBy(
    'by',
    {
      journal: 'gateClosedJournalNanos',
      replication: 'gateClosedReplicationNanos',
      degraded: 'gateClosedDegradedNanos',
    },
    {
      name: 'ackgate_gate_closed_seconds_total',
      unit: 'seconds',
      help: 'Time that records were waiting, by who was binding.',
    },
  ),
  counter('gateWaits', { name: 'ackgate_gate_closings_total', help: 'Times that the gate was closed.' }),
  counterBy(
    'by',
    { journal: 'gateJournal', replication: 'gateReplication' },
    { name: 'ackgate_gate_openings_total', help: 'Times that the gate was opened, by who had been binding.' },
  ),
  gauge('policyDegraded', {
    name: 'ackgate_policy_degraded',
    help: '1 while too few nodes are connected for the policy, so that nothing can become durable.',
  }),
  counter('policyDegradedNanos', {
    name: 'ackgate_policy_degraded_seconds_total',
    unit: 'seconds',
    help: 'Time that the policy was degraded.',
  }),
  gauge('connectedNodes', {
    name: 'ackgate_connected_nodes',
    unit: 'nodes',
    help: 'Nodes whose cursors count, the primary included.',
  }),
  counter('nodeSilences', {
    name: 'ackgate_node_silences_total',
    help: 'Times that a node sent no cursor frame for too long and was taken out of the view.',
  }),
];

const positions: MetricFamily[] = [
  gauge('highestSeq', {
    name: 'ackgate_published_sequence',
    unit: 'sequences',
    help: 'Highest wire sequence that was published to the ring.',
  }),
  // An unbounded position is no sequence, and infinity is more than dashboards and exporters can be trusted with.
  derived(
    ['durablePos', 'highestSeq'],
    ({ durablePos, highestSeq }) => (Number.isFinite(durablePos) ? durablePos : highestSeq),
    {
      name: 'ackgate_durable_sequence',
      unit: 'sequences',
      help: 'Highest sequence that may be released; the highest published one when there is no bound, 0 while degraded.',
    },
  ),
  derived(['durablePos'], ({ durablePos }) => (Number.isFinite(durablePos) ? 0 : 1), {
    name: 'ackgate_durable_unbounded',
    help: '1 when the policy holds nothing back.',
  }),
  derived(
    ['durablePos', 'highestSeq'],
    ({ durablePos, highestSeq }) => Math.max(0, Number.isFinite(durablePos) ? highestSeq - durablePos : 0),
    {
      name: 'ackgate_durable_lag_sequences',
      unit: 'sequences',
      help: 'Published sequences that are not durable; while degraded all of them, 0 when there is no bound.',
    },
  ),
  gauge('waitingSeq', {
    name: 'ackgate_waiting_sequence',
    unit: 'sequences',
    help: 'Sequence of the first record that waits, 0 when none does.',
  }),
  derived(
    ['waitingSeq', 'highestSeq'],
    ({ waitingSeq, highestSeq }) => (waitingSeq === 0 ? 0 : Math.max(1, highestSeq - waitingSeq + 1)),
    {
      name: 'ackgate_waiting_lag_sequences',
      unit: 'sequences',
      help: 'Published sequences from the first one that waits on; 0 when none does.',
    },
  ),
  gauge('journalCursor', {
    name: 'ackgate_journal_cursor_sequence',
    unit: 'sequences',
    help: 'Sequence up to which the own journal is persisted, as the gate sees it.',
  }),
  derived(
    ['replicaCursor'],
    ({ replicaCursor }) => (replicaCursor >= 0 && Number.isFinite(replicaCursor) ? replicaCursor : null),
    {
      name: 'ackgate_replica_cursor_sequence',
      unit: 'sequences',
      help: 'Sequence that enough replicas have reached for the policy; absent when no replica counts.',
    },
  ),
];

const traffic: MetricFamily[] = [
  gauge('connections', { name: 'ackgate_connections', unit: 'connections', help: 'Attached connections.' }),
  gauge('blockedNow', {
    name: 'ackgate_blocked_connections',
    unit: 'connections',
    help: 'Connections whose client takes nothing at the moment.',
  }),
  gauge('ringDepth', {
    name: 'ackgate_ring_depth_records',
    unit: 'records',
    help: 'Records in the output ring that the stage has not released yet.',
  }),
  counter('recordsIn', {
    name: 'ackgate_records_received_total',
    unit: 'records',
    help: 'Records taken from the output ring.',
  }),
  counter('recordsReleased', {
    name: 'ackgate_records_released_total',
    unit: 'records',
    help: 'Records appended to the send buffer of their connection.',
  }),
  counter('recordsDiscarded', {
    name: 'ackgate_records_discarded_total',
    unit: 'records',
    help: 'Records for connections that were gone, or that a fence or shutdown left unsent.',
  }),
  counter('bytesAppended', {
    name: 'ackgate_appended_bytes_total',
    unit: 'bytes',
    help: 'Bytes appended to send buffers, frames included.',
  }),
  counter('bytesSent', {
    name: 'ackgate_sent_bytes_total',
    unit: 'bytes',
    help: 'Bytes that the kernel has taken.',
  }),
  counter('bytesUnsent', {
    name: 'ackgate_unsent_bytes_total',
    unit: 'bytes',
    help: 'Bytes that were in send buffers when their connection was dropped.',
  }),
  counterBy(
    'reason',
    {
      overflow: 'dropsOverflow',
      blocked: 'dropsBlocked',
      reset: 'dropsReset',
      'send-error': 'dropsSendError',
      fenced: 'dropsFenced',
      'drain-timeout': 'dropsDrainTimeout',
      disconnected: 'dropsDisconnected',
      'stage-failed': 'dropsStageFailed',
    },
    {
      name: 'ackgate_drops_total',
      unit: 'connections',
      help: 'Connections that the stage ended, by why.',
    },
  ),
];

const sending: MetricFamily[] = [
  counter('batches', { name: 'ackgate_batches_total', help: 'Batches of records that were worked on.' }),
  counter('flushes', { name: 'ackgate_flushes_total', help: 'Flushes: one native call for many sends.' }),
  histogram(
    [
      ['1', 'flushesUpTo1'],
      ['4', 'flushesUpTo4'],
      ['16', 'flushesUpTo16'],
      ['64', 'flushesUpTo64'],
      ['256', 'flushesUpTo256'],
      ['1024', 'flushesUpTo1024'],
      ['+Inf', 'flushesLarger'],
    ],
    'sends',
    {
      name: 'ackgate_flush_connections',
      unit: 'connections',
      help: 'How many connections a flush was for; the sum is that of all sends.',
    },
  ),
  counter('sends', { name: 'ackgate_sends_total', unit: 'calls', help: 'Sends given to the kernel.' }),
  counter('shortSends', {
    name: 'ackgate_short_sends_total',
    unit: 'calls',
    help: 'Sends of which the kernel took a part only.',
  }),
  counter('blockedSends', {
    name: 'ackgate_blocked_sends_total',
    unit: 'calls',
    help: 'Sends of which the kernel took nothing, for the client takes nothing.',
  }),
  counter('heartbeats', {
    name: 'ackgate_heartbeats_total',
    help: 'Heartbeats sent on connections that had nothing else to send.',
  }),
  counter('pushes', {
    name: 'ackgate_pushes_total',
    help: 'Bodies sent past the gate with push.',
  }),
  counter('encoderErrors', {
    name: 'ackgate_encoder_errors_total',
    help: 'Records that the encoder failed on: their answers are lost.',
  }),
  counter('completionOverflows', {
    name: 'ackgate_completion_overflows_total',
    help: 'Times that the completion queue of the ring was too small.',
  }),
];

const work: MetricFamily[] = [
  counter('busyNanos', {
    name: 'ackgate_busy_seconds_total',
    unit: 'seconds',
    help: 'Time in rounds that found something to do.',
  }),
  counter('idleNanos', {
    name: 'ackgate_idle_seconds_total',
    unit: 'seconds',
    help: 'Time in rounds that found nothing to do, and asleep.',
  }),
  counter('rounds', { name: 'ackgate_rounds_total', help: 'Rounds of the duty cycle.' }),
  counter('busyRounds', {
    name: 'ackgate_busy_rounds_total',
    help: 'Rounds that found something to do.',
  }),
  counter('parks', { name: 'ackgate_parks_total', help: 'Times that the stage slept in the kernel.' }),
  counter('controlRecords', {
    name: 'ackgate_control_records_total',
    unit: 'records',
    help: 'Control calls taken: attach, disconnect, push and the like.',
  }),
  counter('logLinesDropped', {
    name: 'ackgate_log_lines_dropped_total',
    help: 'Log lines that were lost because the control thread did not take them in time.',
  }),
];

const journal: MetricFamily[] = [
  other(({ journal }) => journal?.lastSequence, {
    name: 'ackgate_journal_last_sequence',
    unit: 'sequences',
    help: 'Highest sequence that the journal has given out.',
  }),
  other(({ journal }) => journal?.persisted, {
    name: 'ackgate_journal_persisted_sequence',
    unit: 'sequences',
    help: 'Sequence up to which the journal is persisted.',
  }),
  other(({ journal }) => journal && Math.max(0, journal.lastSequence - journal.persisted), {
    name: 'ackgate_journal_unpersisted_records',
    unit: 'records',
    help: 'Records that were given to the journal and are not persisted yet.',
  }),
  other(({ journal }) => journal && Number(journal.failed), {
    name: 'ackgate_journal_failed',
    help: '1 when the journal has failed and takes nothing more.',
  }),
];

/** Every metric there is, in the order of docs/METRICS.md. Names, types, units and labels are stable. */
export const metricFamilies: readonly MetricFamily[] = [
  ...whatIsRunning,
  ...gate,
  ...positions,
  ...traffic,
  ...sending,
  ...work,
  ...summaryFamilies,
  ...diagnosisFamilies,
  ...journal,
  ...supervisorFamilies,
];
