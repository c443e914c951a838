import { AckgateError, AckgateRangeError } from '../errors.js';
import { MAX_CLUSTER_SIZE, resolvePolicy } from '../policy/index.js';
import { checkKeys } from '../shared/checks.js';
import { checkFaultRates } from './fault-list.js';
import { plainScenario, type Scenario, type ScenarioNode } from './scenario.js';

/** What a scenario says where it differs from the plain one of its seed. */
export type ScenarioDifference = Partial<Scenario>;

type NumericField = { [K in keyof Scenario]: Scenario[K] extends number ? K : never }[keyof Scenario];
type Range = readonly [min: number, max: number, integer?: 'integer'];

const nsMax = 1e13;
/** A tag and a number. */
const payloadMin = 5;
const payloadMax = 60_000;

/** Ends included. */
const ranges: Record<NumericField, Range> = {
  seed: [0, Number.MAX_SAFE_INTEGER, 'integer'],
  slots: [1, 1024, 'integer'],
  clients: [0, 1024, 'integer'],
  primarySyncNs: [1, nsMax],
  orders: [0, 10_000_000, 'integer'],
  orderGapNs: [1, nsMax],
  fanOut: [1, 1000, 'integer'],
  firstSeq: [0, 2 ** 52, 'integer'],
  ringCapacity: [2, 2 ** 20, 'integer'],
  maxPayload: [payloadMin, payloadMax, 'integer'],
  recordsPerBatch: [1, 1 << 20, 'integer'],
  flushBytes: [1, 65_536, 'integer'],
  flushRecords: [1, 1 << 20, 'integer'],
  flushDelayNs: [0, 1e9],
  heartbeatIntervalNs: [0, nsMax],
  blockedTimeoutNs: [1e6, nsMax],
  blockedTotalNs: [0, nsMax],
  staleAfterNs: [50e6, 60e9],
  ringEntries: [1, 65_536, 'integer'],
  resultRows: [1, 65_536, 'integer'],
  socketBytes: [1, 2 ** 30, 'integer'],
  readRate: [0, 1e12],
  troubleNs: [0, nsMax],
};

const nodeRanges = { networkNs: [0, nsMax], syncNs: [0, nsMax], ackDelayNs: [0, nsMax] } as const;
/** A node that says nothing of itself. */
const plainNode: ScenarioNode = {
  zone: null,
  networkNs: 50_000,
  syncNs: 50_000,
  ackDelayNs: 0,
  frames: false,
};

/**
 * The whole scenario of what was written down; the plain scenario says the rest.
 *
 * Throws an `AckgateError` that names the field for everything that can't be meant.
 */
export function checkScenario(value: ScenarioDifference): Scenario {
  const plain = plainScenario(0);
  checkKeys('scenario', value, Object.keys(plain));
  const scenario: Scenario = { ...plain, ...value };
  for (const [name, range] of Object.entries(ranges)) {
    checkNumber(name, scenario[name as NumericField], range);
  }
  if ((scenario.ringCapacity & (scenario.ringCapacity - 1)) !== 0) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_NOT_POWER_OF_TWO',
      `ringCapacity must be a power of two, got ${scenario.ringCapacity}`,
    );
  }
  if (scenario.clients > scenario.slots) throw outOfRange('clients', 'at most slots', scenario.clients);
  if (scenario.whenFull !== 'wait' && scenario.whenFull !== 'refuse') {
    throw invalid(`whenFull must be 'wait' or 'refuse', got ${String(scenario.whenFull)}`);
  }
  for (const name of ['encoder', 'timings', 'notices'] as const) {
    if (typeof scenario[name] !== 'boolean') throw invalid(`${name} must be true or false`);
  }
  checkZone('primaryZone', scenario.primaryZone);
  checkPayload(scenario);
  return {
    ...scenario,
    nodes: checkNodes(scenario.nodes),
    policy: policyName(scenario.policy),
    faults: checkFaultRates(scenario.faults),
  };
}

/** Only what is not as in the plain scenario of the same seed. */
export function scenarioDifference(scenario: Scenario): ScenarioDifference {
  const plain = plainScenario(scenario.seed);
  const entries = Object.entries(scenario).filter(
    ([name, value]) =>
      name === 'seed' || JSON.stringify(value) !== JSON.stringify(plain[name as keyof Scenario]),
  );
  return Object.fromEntries(entries);
}

function checkNodes(nodes: unknown): ScenarioNode[] {
  if (!Array.isArray(nodes)) throw invalid('nodes must be a list of nodes');
  if (nodes.length >= MAX_CLUSTER_SIZE) {
    throw outOfRange('nodes', `a list of at most ${MAX_CLUSTER_SIZE - 1}`, nodes.length);
  }
  return nodes.map((value, index) => {
    checkKeys(`nodes[${index}]`, value, Object.keys(plainNode));
    const node: ScenarioNode = { ...plainNode, ...value };
    checkZone(`nodes[${index}].zone`, node.zone);
    if (typeof node.frames !== 'boolean') throw invalid(`nodes[${index}].frames must be true or false`);
    for (const [name, range] of Object.entries(nodeRanges)) {
      checkNumber(`nodes[${index}].${name}`, node[name as keyof typeof nodeRanges], range);
    }
    return node;
  });
}

function checkPayload({ payload, maxPayload, encoder }: Scenario): void {
  checkKeys('payload', payload, ['min', 'max']);
  checkNumber('payload.max', payload.max, [payloadMin, maxPayload, 'integer']);
  checkNumber('payload.min', payload.min, [payloadMin, payload.max, 'integer']);
  // With an encoder, what is published says in 8 bytes what is to be made of it.
  if (encoder) checkNumber('maxPayload', maxPayload, [8, payloadMax]);
}

/** A mode under its own name, so that the model, which knows only these, reads it as the stage does. */
function policyName(text: unknown): string {
  if (typeof text !== 'string') throw invalid(`policy must be a text, got ${typeof text}`);
  const { mode, policy } = resolvePolicy(text);
  return mode === 'custom' ? policy.toString() : mode;
}

function checkZone(name: string, zone: unknown): void {
  if (zone === null || (typeof zone === 'string' && zone !== '')) return;
  throw invalid(`${name} must be null or the name of a zone`);
}

function checkNumber(name: string, value: unknown, [min, max, integer]: Range): void {
  const fits = typeof value === 'number' && value >= min && value <= max;
  if (fits && (integer === undefined || Number.isInteger(value))) return;
  throw outOfRange(name, `${integer === undefined ? 'a number' : 'an integer'} from ${min} to ${max}`, value);
}

function outOfRange(name: string, what: string, value: unknown): AckgateRangeError {
  return new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', `${name} must be ${what}, got ${String(value)}`);
}

function invalid(message: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}
