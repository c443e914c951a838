import { dropReasons } from '../egress/counters.js';
import type { SupervisorStatus } from '../supervisor/counters.js';
import { ownEndReasons, refusalReasons } from '../supervisor/ends.js';
import type { MetricFamily, MetricSample, MetricType, MetricUnit } from './family.js';

interface Naming {
  readonly name: string;
  readonly help: string;
  readonly unit?: MetricUnit;
}

/** What a family shows: one number, or one for each value of its label. */
type Figures = number | Readonly<Record<string, number>>;

function family(
  type: MetricType,
  label: Readonly<Record<string, readonly string[]>>,
  read: (status: SupervisorStatus) => Figures,
  { name, help, unit = null }: Naming,
): MetricFamily {
  const [by = ''] = Object.keys(label);
  return {
    ...{ name, type, unit, help, labels: label, fields: [] },
    samples({ supervisor }): MetricSample[] {
      if (supervisor === null) return [];
      const figures = read(supervisor);
      if (typeof figures === 'number') return [{ name, labels: {}, value: figures }];
      return label[by].map((value) => ({ name, labels: { [by]: value }, value: figures[value] ?? 0 }));
    },
  };
}

const counter = (read: (status: SupervisorStatus) => number, naming: Naming) =>
  family('counter', {}, read, naming);
const gauge = (read: (status: SupervisorStatus) => number, naming: Naming) =>
  family('gauge', {}, read, naming);

const states = ['running', 'shutting-down', 'closed'] as const satisfies readonly SupervisorStatus['state'][];

/** What a supervisor counts; absent without one. */
export const supervisorFamilies: readonly MetricFamily[] = [
  family('gauge', { state: states }, ({ state }) => ({ [state]: 1 }), {
    name: 'ackgate_supervisor_state',
    help: '1 for the state that the supervisor is in, 0 for the others.',
  }),
  family(
    'gauge',
    { state: ['live', 'leaving', 'lingering'] },
    ({ active, attached, permits }) => ({
      live: active,
      leaving: Math.max(0, attached - active),
      lingering: Math.max(0, permits - attached),
    }),
    {
      name: 'ackgate_supervisor_connections',
      unit: 'connections',
      help: 'Tracked ones, those that have ended but not left the stage, and those whose client has not ended its side; the cap counts all.',
    },
  ),
  counter(({ spawned }) => spawned, {
    name: 'ackgate_supervisor_spawned_total',
    unit: 'connections',
    help: 'Sockets that became connections.',
  }),
  family('counter', { reason: [...ownEndReasons, ...dropReasons] }, ({ ended }) => ended, {
    name: 'ackgate_supervisor_ended_total',
    unit: 'connections',
    help: 'Connections that have ended, by why.',
  }),
  family('counter', { reason: refusalReasons }, ({ refused }) => refused, {
    name: 'ackgate_supervisor_refused_total',
    unit: 'connections',
    help: 'Sockets that were turned away before they became connections, by why.',
  }),
  counter(({ acceptErrors }) => acceptErrors, {
    name: 'ackgate_supervisor_accept_errors_total',
    help: 'Times that new connections could not be taken for want of descriptors.',
  }),
  counter(({ requests }) => requests, {
    name: 'ackgate_supervisor_requests_total',
    unit: 'requests',
    help: 'Requests given to the handler.',
  }),
  gauge(({ handling }) => handling, {
    name: 'ackgate_supervisor_handling',
    unit: 'requests',
    help: 'Requests in the handler just now: given to it, and its promise has not settled.',
  }),
  counter(({ pushes }) => pushes, {
    name: 'ackgate_supervisor_pushes_total',
    unit: 'pushes',
    help: 'Pushes that were handed over.',
  }),
  gauge(({ pendingPushes }) => pendingPushes, {
    name: 'ackgate_supervisor_pending_pushes',
    unit: 'pushes',
    help: 'Pushes that wait for their reply.',
  }),
  counter(({ replies }) => replies, {
    name: 'ackgate_supervisor_replies_total',
    unit: 'replies',
    help: 'Replies that a push was waiting for.',
  }),
  counter(({ repliesIgnored }) => repliesIgnored, {
    name: 'ackgate_supervisor_replies_ignored_total',
    unit: 'replies',
    help: 'Replies that came too late, twice, or to nothing.',
  }),
  counter(({ notices }) => notices, {
    name: 'ackgate_supervisor_notices_total',
    unit: 'connections',
    help: 'Connections that were told of a shutdown and stayed open.',
  }),
];
