import { AckgateError } from '../../errors.js';
import { MAX_CLUSTER_SIZE, type ResolvedPolicy, resolvePolicy } from '../../policy/index.js';
import { checkKeys, integer, outOfRange, wrong } from '../../shared/checks.js';
import { type Component, componentTexts, meanNs, type Shapes } from './components.js';
import type { FailureRate } from './degraded-run.js';
import {
  type DeviceName,
  devices,
  type HostName,
  hosts,
  type NetworkName,
  networks,
  type Preset,
} from './presets.js';
import type { ClusterShape, LoadShape } from './shape.js';
import { checkShapes, type DistributionFile } from './shape-file.js';

/** The cluster, the load and the assumptions that `whatIf` answers for. */
export interface WhatIfOptions {
  /** Seed of everything that is drawn, an integer from 0 to 2^53-1 (default 1). */
  readonly seed?: number;
  /** Orders per policy, 1,000 … 10,000,000 (default 100,000). A p99.9 rests on a thousandth of them. */
  readonly orders?: number;
  /** Modes or policy texts to compare, at least one (default: the four modes). */
  readonly policies?: readonly string[];
  /** The machines. Node 0 is the primary; they stand in the zones in turn. */
  readonly cluster?: {
    /** The primary included, 1 … 16 (default 3). */
    readonly nodes?: number;
    /** 1 … `nodes` (default: as many as the network preset is about, 1 or 2). */
    readonly zones?: number;
  };
  /** What clients do to the cluster. */
  readonly load?: {
    /** In the mean, 0.1 … 10,000,000 (default 10,000). Not together with distributions that have `arrivals`: those say it. */
    readonly ordersPerSecond?: number;
    /** Responses per order, its acknowledgement included, 1 … 64 (default 2). */
    readonly fanOut?: number;
    /** Size of each response, 1 … 4,096 (default 64). */
    readonly payloadBytes?: number;
    /** Clients that responses go to, 1 … 4,096 (default 64). */
    readonly connections?: number;
    /** `poisson`: orders know nothing of each other; `even`: at equal distances (default `poisson`). */
    readonly arrivals?: 'poisson' | 'even';
  };
  /** Preset of the journals' disks, see `devices` (default `nvme-plp`). */
  readonly device?: DeviceName;
  /** Preset of the replicas' disks (default: as `device`). */
  readonly replicaDevice?: DeviceName;
  /** Preset of the network, see `networks` (default `lan`). */
  readonly network?: NetworkName;
  /** Preset of threads and calls, see `hosts` (default `parked`). */
  readonly host?: HostName;
  /** Recorded or assumed distributions; each takes the place of a preset's. */
  readonly distributions?: DistributionFile;
  /**
   * Failure rates of replicas for the degraded time: mean time between failures in hours, to repair in minutes, both
   * above 0 (default: a month and 10 minutes, a week and an hour, a day and 5 minutes).
   */
  readonly failureRates?: readonly FailureRate[];
  /** At how many drawn moments the failures are tried, 0 … 100,000 (default 1,000). */
  readonly lossMoments?: number;
}

/** Where the figures of a component come from. */
export interface Assumption {
  /** What it is assumed of. */
  readonly component: Component;
  /** What it measures. */
  readonly meaning: string;
  /** A preset's name, or what the file of distributions says about itself. */
  readonly from: string;
  /** Where they come from, and how far they can be trusted. */
  readonly source: string;
}

export interface CheckedWhatIf {
  readonly seed: number;
  readonly orders: number;
  readonly policies: readonly { readonly name: string; readonly resolved: ResolvedPolicy }[];
  readonly cluster: ClusterShape;
  readonly load: LoadShape;
  readonly shapes: Shapes;
  readonly assumptions: readonly Assumption[];
  readonly failureRates: readonly FailureRate[];
  readonly lossMoments: number;
}

const known = [
  'seed',
  'orders',
  'policies',
  'cluster',
  'load',
  'device',
  'replicaDevice',
  'network',
  'host',
  'distributions',
  'failureRates',
  'lossMoments',
] as const satisfies readonly (keyof WhatIfOptions)[];

const policiesDefault: readonly string[] = ['local', 'hybrid', 'durably-replicated', 'replicated'];

const failureRatesDefault: readonly FailureRate[] = [
  { mtbfHours: 720, mttrMinutes: 10 },
  { mtbfHours: 168, mttrMinutes: 60 },
  { mtbfHours: 24, mttrMinutes: 5 },
];

/** How many zones each network is about. */
const zonesOf: Record<NetworkName, number> = { lan: 1, 'two-zones': 2, 'two-regions': 2 };

/** Fills in what was left out; names the first option that can't be meant, and what would be valid. */
export function checkWhatIf(options: WhatIfOptions): CheckedWhatIf {
  checkKeys('options', options, known);
  const { cluster = {}, load = {} } = options;
  checkKeys('cluster', cluster, ['nodes', 'zones']);
  checkKeys('load', load, ['ordersPerSecond', 'fanOut', 'payloadBytes', 'connections', 'arrivals']);
  const network = preset('network', networks, options.network ?? 'lan');
  const nodes = integer('cluster.nodes', cluster.nodes ?? 3, 1, MAX_CLUSTER_SIZE);
  const zones = integer('cluster.zones', cluster.zones ?? Math.min(nodes, zonesOf[network]), 1, nodes);
  const { shapes, assumptions } = gatherShapes(options, network, { nodes, zones });
  if (shapes.arrivals !== undefined && (load.ordersPerSecond ?? load.arrivals) !== undefined) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'load.ordersPerSecond and load.arrivals must be left out, the distributions have arrivals of their own; or take ' +
        'arrivals out of them',
    );
  }
  const connections = integer('load.connections', load.connections ?? 64, 1, 4096);
  return {
    seed: integer('seed', options.seed ?? 1, 0, Number.MAX_SAFE_INTEGER),
    orders: integer('orders', options.orders ?? 100_000, 1000, 10_000_000),
    policies: checkPolicies(options.policies ?? policiesDefault),
    cluster: { nodes, zones },
    load: {
      ordersPerSecond: number('load.ordersPerSecond', load.ordersPerSecond ?? rateOf(shapes), 0.1, 1e7),
      fanOut: integer('load.fanOut', load.fanOut ?? 2, 1, 64),
      payloadBytes: integer('load.payloadBytes', load.payloadBytes ?? 64, 1, 4096),
      connections,
      arrivals: oneOf('load.arrivals', load.arrivals ?? 'poisson', ['poisson', 'even']),
    },
    shapes,
    assumptions,
    failureRates: checkRates(options.failureRates ?? failureRatesDefault),
    lossMoments: integer('lossMoments', options.lossMoments ?? 1000, 0, 100_000),
  };
}

/** Distributions win over presets; what nobody names, and nobody needs, stays out. */
function gatherShapes(options: WhatIfOptions, network: NetworkName, cluster: ClusterShape) {
  const device = preset('device', devices, options.device ?? 'nvme-plp');
  const host = preset('host', hosts, options.host ?? 'parked');
  const file = options.distributions === undefined ? undefined : checkShapes(options.distributions);
  const shapes: { -readonly [C in Component]?: Shapes[C] } = {};
  const assumptions: Assumption[] = [];
  const isNeeded = (component: Component) => {
    if (['network', 'replicaSync', 'notice'].includes(component)) return cluster.nodes > 1;
    return component === 'zoneNetwork' ? cluster.zones > 1 : true;
  };
  const add = (from: string, source: string, given: Shapes) => {
    for (const [component, shape] of Object.entries(given) as [Component, Shapes[Component]][]) {
      if (shape === undefined || !isNeeded(component) || shapes[component] !== undefined) continue;
      shapes[component] = shape;
      assumptions.push({ component, meaning: componentTexts[component], from, source });
    }
  };
  const addPreset = (name: string, { about, source, shapes: given }: Preset) =>
    add(`${name}: ${about}`, source, given);
  if (file !== undefined) {
    add(file.about, 'as recorded or given', file.distributions);
    // What crosses zones was not measured apart: the one network that was is a better guess than a preset's.
    const { network: same, sync } = file.distributions;
    if (same !== undefined && options.network === undefined)
      add(file.about, 'as network', { zoneNetwork: same });
    if (sync !== undefined && options.replicaDevice === undefined)
      add(file.about, 'as sync', { replicaSync: sync });
  }
  if (options.replicaDevice !== undefined) {
    const name = preset('replicaDevice', devices, options.replicaDevice);
    const { about, source, shapes: given } = devices[name];
    add(`${name}: ${about}`, source, { replicaSync: given.sync });
  }
  addPreset(device, devices[device]);
  addPreset(network, networks[network]);
  addPreset(host, hosts[host]);
  return { shapes: shapes as Shapes, assumptions };
}

function rateOf({ arrivals }: Shapes): number {
  return arrivals === undefined ? 10_000 : 1e9 / meanNs(arrivals);
}

function checkPolicies(policies: unknown): CheckedWhatIf['policies'] {
  if (!Array.isArray(policies) || policies.length === 0) {
    throw wrong(
      'policies',
      `an array of at least one mode or policy, such as [${policiesDefault.join(', ')}]`,
      policies,
    );
  }
  return policies.map((name: string) => ({ name: String(name).trim(), resolved: resolvePolicy(name) }));
}

function checkRates(rates: unknown): readonly FailureRate[] {
  if (!Array.isArray(rates)) throw wrong('failureRates', 'an array of { mtbfHours, mttrMinutes }', rates);
  return rates.map((rate: FailureRate, i) => {
    const name = `failureRates[${i}]`;
    checkKeys(name, rate, ['mtbfHours', 'mttrMinutes']);
    return {
      mtbfHours: number(`${name}.mtbfHours`, rate.mtbfHours, 0.01, 1e7),
      mttrMinutes: number(`${name}.mttrMinutes`, rate.mttrMinutes, 0.01, 1e7),
    };
  });
}

function preset<T extends string>(name: string, all: Record<T, Preset>, value: unknown): T {
  return oneOf(name, value, Object.keys(all) as T[]);
}

function oneOf<T extends string>(name: string, value: unknown, valid: readonly T[]): T {
  if (valid.includes(value as T)) return value as T;
  throw wrong(name, `one of ${valid.join(', ')}`, value);
}

function number(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw outOfRange(name, `a number from ${min} to ${max}`, value);
}
