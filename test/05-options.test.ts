import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { startAdminServer } from '#ackgate/admin/index.js';
import { WatchedMode } from '#ackgate/cluster/index.js';
import {
  DirectiveEvaluator,
  decodeDirectives,
  InMemoryStore,
  StaticStore,
  TokenVerifier,
  WatchedStore,
} from '#ackgate/directives/index.js';
import { Consumer, createInlineStage, createRing, modeToPolicy, startStage } from '#ackgate/index.js';
import { createTurnLog, FileJournal } from '#ackgate/journal/index.js';
import {
  collectMetrics,
  createPrometheusRegistry,
  registerOpenTelemetry,
  registerPrometheus,
} from '#ackgate/metrics/index.js';
import { NatsJournal, natsStandings, natsText, startReplica } from '#ackgate/nats/index.js';
import { resolvePolicy } from '#ackgate/policy/index.js';
import { PostgresJournal, postgresStandings, postgresText } from '#ackgate/postgres/index.js';
import { checkKeys } from '#ackgate/shared/checks.js';
import {
  plainScenario,
  recordDistributions,
  runScenario,
  runSwarm,
  shrinkScenario,
  simulate,
  simulateSupervisor,
  sweepSupervisor,
  whatIf,
} from '#ackgate/sim/index.js';
import { resumeSoak, runSoak, soakScenario } from '#ackgate/soak/index.js';
import { supervise, watchSignals } from '#ackgate/supervisor/index.js';

const source = { read: async () => null, watch: async () => () => {}, write: async () => 1 };

/** Each with the word that its message must suggest, and what is called with a set of options. */
const calls: [name: string, meant: string, call: (options: never) => unknown][] = [
  ['startStage', 'connections', startStage],
  ['startStage: ring', 'capacity', (ring) => startStage({ ring })],
  ['startStage: diagnosis', 'baseline', (diagnosis) => startStage({ diagnosis })],
  ['createInlineStage', 'connections', createInlineStage],
  ['createInlineStage: diagnosis', 'redactor', (diagnosis) => createInlineStage({ diagnosis })],
  ['createRing', 'maxPayload', createRing],
  ['Consumer', 'lazyViews', (options) => new Consumer(createRing(), options)],
  ['startAdminServer', 'port', startAdminServer],
  ['supervise', 'drainMs', (options) => supervise(createServer(), options)],
  ['watchSignals', 'signals', (options) => watchSignals({ start() {}, hurry() {} }, options)],
  ['FileJournal.open', 'directory', FileJournal.open],
  ['NatsJournal.open', 'takeOver', NatsJournal.open],
  ['startReplica', 'zone', startReplica],
  ['natsStandings', 'cluster', natsStandings],
  ['natsText', 'bucket', (options) => natsText(options, 'mode')],
  ['PostgresJournal.open', 'takeOver', PostgresJournal.open],
  ['postgresStandings', 'schema', postgresStandings],
  ['postgresText', 'schema', (options) => postgresText(options, 'mode')],
  ['WatchedMode', 'refreshMs', (options) => new WatchedMode(source, options)],
  ['WatchedMode.publish', 'ifRevision', (options) => modeStore().publish({ policy: 'local' }, options)],
  ['WatchedStore', 'refreshMs', (options) => new WatchedStore(source, options)],
  ['WatchedStore.publish', 'ifRevision', (options) => directiveStore().publish([], options)],
  ['InMemoryStore', 'kinds', (options) => new InMemoryStore(options)],
  ['InMemoryStore.publish', 'ifRevision', (options) => new InMemoryStore().publish([], options)],
  ['StaticStore', 'kinds', (options) => new StaticStore([], options)],
  ['DirectiveEvaluator', 'baseline', (options) => new DirectiveEvaluator(options)],
  ['decodeDirectives', 'nowMs', (options) => decodeDirectives('{}', options)],
  ['TokenVerifier', 'instance', (options) => new TokenVerifier(options)],
  ['collectMetrics', 'labels', (options) => collectMetrics(nobody, options)],
  ['createPrometheusRegistry', 'journal', (options) => createPrometheusRegistry(nobody, options)],
  ['registerPrometheus', 'registry', (options) => registerPrometheus(nobody, options)],
  ['registerOpenTelemetry', 'supervisor', (options) => registerOpenTelemetry(nobody, meter, options)],
  ['simulate', 'clients', simulate],
  ['simulateSupervisor', 'shutdownAfterTask', simulateSupervisor],
  ['sweepSupervisor', 'firstSeed', sweepSupervisor],
  ['runScenario', 'trace', (options) => runScenario(plainScenario(1), options)],
  ['runSwarm', 'workers', runSwarm],
  ['shrinkScenario', 'budget', (options) => shrinkScenario(plainScenario(1), 'I12', options)],
  ['whatIf', 'network', whatIf],
  ['whatIf: cluster', 'zones', (cluster) => whatIf({ cluster })],
  ['recordDistributions', 'ordersMax', recordDistributions],
  ['soakScenario', 'durationSeconds', (options) => soakScenario('smoke', options)],
  ['runSoak', 'directory', (options) => runSoak(soakScenario('smoke'), options)],
  ['resumeSoak', 'directory', (options) => resumeSoak({} as never, options)],
];

const nobody = { status: () => expect.unreachable('it was read') };
const meter = {
  addBatchObservableCallback: () => {},
  removeBatchObservableCallback: () => {},
  createObservableCounter: () => ({}),
  createObservableGauge: () => ({}),
};

function modeStore(): WatchedMode {
  const store = new WatchedMode(source);
  onTestFinished(() => store.close());
  return store;
}

function directiveStore(): WatchedStore {
  const store = new WatchedStore(source);
  onTestFinished(() => store.close());
  return store;
}

/** Its second and third letter the other way round. */
const misspelt = (word: string) => `${word[0]}${word[2]}${word[1]}${word.slice(3)}`;

describe('an option that does not exist', () => {
  test.each(calls)('is refused by %s, which suggests %s', async (_, meant, call) => {
    const wrong = misspelt(meant);
    const asked = (async () => call({ [wrong]: undefined } as never))();
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_ACKGATE_UNKNOWN_OPTION',
      message: expect.stringMatching(new RegExp(`${wrong}.*did you mean "?${meant}"?\\?`)),
    });
  });

  it('changes nothing: a publication whose condition is misspelt is none', async () => {
    const store = new InMemoryStore();
    store.publish([]);
    expect(() => store.publish([], { ifRevison: 0 } as never)).toThrow('did you mean ifRevision?');
    expect(store.load().revision).toBe(1);
  });

  it('has no suggestion where it resembles nothing, or is too short to', () => {
    const message = 'unknown option "by" in options: known are id, level';
    expect(() => checkKeys('options', { by: 1 }, ['id', 'level'])).toThrow(message);
    expect(() => checkKeys('options', { colour: 1 }, ['id', 'level'])).toThrow(/: known are id, level$/);
  });

  it('is suggested the one that it resembles most', () => {
    const known = ['flushMs', 'flushUs', 'flushBytes'];
    expect(() => checkKeys('options', { flusUs: 1 }, known)).toThrow('did you mean flushUs?');
  });

  it('is one of the object itself: what others have added to all objects does not count', () => {
    const options = Object.create({ inherited: 1 }, { own: { value: 1, enumerable: true } });
    expect(() => checkKeys('options', options, ['own'])).not.toThrow();
  });

  test.each([null, 5, 'text', [], undefined])('nor are %j options', (value) => {
    expect(() => checkKeys('options', value, [])).toThrow('options must be an object');
  });
});

describe('a policy', () => {
  it('may be given as a mode, by its other name, as a text or as an object', () => {
    expect(resolvePolicy('hybrid')).toMatchObject({ mode: 'hybrid', byte: 1 });
    expect(resolvePolicy('disk+ram')).toMatchObject({ mode: 'hybrid', byte: 1 });
    expect(resolvePolicy('persisted>=3')).toMatchObject({ mode: 'custom', byte: 255 });
    const policy = modeToPolicy('hybrid');
    expect(resolvePolicy(policy)).toEqual({ mode: 'custom', byte: 255, policy });
  });

  test.each([null, undefined, 5, {}])('can not be %j', (value) => {
    expect(() => resolvePolicy(value as never)).toThrow('policy must be a mode, a policy text or a Policy');
  });
});

test('a log of turns has room for 1 to 2^24 of them', () => {
  for (const turns of [0, -1, 1.5, Number.NaN, 2 ** 24 + 1, '5', undefined]) {
    expect(() => createTurnLog(turns as never)).toThrow('turns must be an integer from 1 to 16777216, got');
  }
  expect(createTurnLog(2).byteLength).toBeGreaterThan(createTurnLog(1).byteLength);
});
