import { AckgateError, AckgateRangeError } from '../errors.js';
import { checkKeys } from '../shared/checks.js';
import { checkFaultChoice, checkFaultRates } from './fault-list.js';
import type { Fault, FaultRates } from './faults.js';
import { type RunResult, runScenario } from './run.js';
import { plainScenario, type Scenario, type ScenarioNode } from './scenario.js';
import { checkScenario } from './scenario-check.js';

/** How often a fault strikes that was only named: at a tenth of its opportunities. */
const namedRate = 0.1;

/**
 * What `simulate` can be told. Besides these, every field of a `Scenario` under its own name; what is left out is as in
 * `plainScenario`: four healthy clients of a server without replicas, and nothing goes wrong.
 */
export interface SimulateOptions extends Partial<Omit<Scenario, 'nodes' | 'faults'>> {
  /** Everything that is drawn comes from it: 0 … 2^53-1 (default 1). */
  readonly seed?: number;
  /** Nodes besides the primary: how many, 0 … 15, or each with what is special about it (default 0). */
  readonly nodes?: number | readonly Partial<ScenarioNode>[];
  /** Clients that connect at first, 0 … 1024 (default 4). */
  readonly clients?: number;
  /** `'all'`, `'none'` (the default), names, or rates from 0 to 1 by name. A name alone stands for a rate of 0.1. */
  readonly faults?: 'all' | 'none' | readonly Fault[] | FaultRates;
  /**
   * Virtual milliseconds, above 0, in which faults happen (default 50). Unless `orderGapNs` says otherwise, the orders
   * are spread over this time; without it over 10 µs each.
   */
  readonly until?: number;
  /** A mode or a policy text (default `local`). */
  readonly policy?: string;
  /** Orders that come, 0 … 10,000,000 (default 200); each is answered by 1 to 3 records, or more in a burst. */
  readonly orders?: number;
  /** Keep what happens, line by line (default false). */
  readonly trace?: boolean;
  /** Run it a second time, which must go the same way (default true). */
  readonly twice?: boolean;
}

/**
 * Runs the shipped stage in a simulated world until everything has drained, or the first invariant is broken: see
 * `failure` of the result. The same options give the same result, on every machine.
 *
 * Throws an `AckgateError` that names the option for everything that can't be meant.
 */
export function simulate(options: SimulateOptions = {}): RunResult {
  const scenario = scenarioOf(options);
  const { trace = false, twice = true } = options;
  return runScenario(scenario, { trace, twice });
}

/** The scenario that options stand for. */
export function scenarioOf(options: SimulateOptions): Scenario {
  const plain = plainScenario(1);
  checkKeys('options', options, [...Object.keys(plain), 'until', 'trace', 'twice']);
  const { until, trace, twice, nodes, faults, ...fields } = options;
  checkFlag('trace', trace);
  checkFlag('twice', twice);
  const rates = ratesOf(faults ?? 'none');
  const { clients = plain.clients, orders = plain.orders } = fields;
  const scenario = {
    ...neededBy(rates),
    ...(until === undefined ? {} : timesOf(until, orders)),
    slots: Math.max(plain.slots, clients),
    seed: plain.seed,
    ...fields,
    nodes: nodesOf(nodes ?? []),
    faults: rates,
  };
  if (scenario.maxPayload !== undefined && scenario.payload === undefined) {
    scenario.payload = { min: Math.min(16, scenario.maxPayload), max: Math.min(64, scenario.maxPayload) };
  }
  return checkScenario(scenario);
}

/** Faults that only come up when something is small, large or there at all. */
function neededBy(rates: FaultRates): Partial<Scenario> {
  const has = (fault: Fault) => (rates[fault] ?? 0) > 0;
  return {
    ...(has('small-ring') ? { ringEntries: 2 } : {}),
    ...(has('completion-overflow') ? { resultRows: 2 } : {}),
    ...(has('ring-full') ? { ringCapacity: 4 } : {}),
    ...(has('encoder-throws') ? { encoder: true } : {}),
    ...(has('large-batch') ? { maxPayload: 16_000, payload: { min: 16, max: 16_000 } } : {}),
  };
}

function timesOf(until: unknown, orders: number): Partial<Scenario> {
  if (typeof until !== 'number' || !(until > 0 && until <= 1e7)) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `until must be a number of virtual milliseconds above 0, at most 10,000,000, got ${String(until)}`,
    );
  }
  return { troubleNs: until * 1e6, orderGapNs: Math.max(1, (until * 1e6) / Math.max(1, orders)) };
}

function nodesOf(nodes: unknown): ScenarioNode[] {
  if (Array.isArray(nodes)) return nodes;
  if (typeof nodes === 'number' && Number.isInteger(nodes) && nodes >= 0 && nodes <= 15) {
    // What a node is like when nothing is said of it, `checkScenario` knows.
    return Array.from({ length: nodes }, () => ({}) as ScenarioNode);
  }
  throw new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `nodes must be a list, or an integer from 0 to 15, got ${String(nodes)}`,
  );
}

function ratesOf(faults: unknown): FaultRates {
  if (typeof faults === 'object' && faults !== null && !Array.isArray(faults)) return checkFaultRates(faults);
  return Object.fromEntries(checkFaultChoice(faults).map((name) => [name, namedRate]));
}

function checkFlag(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${name} must be true or false`);
}
