import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  checkScenario,
  drawScenario,
  type Fault,
  faultNames,
  faults,
  invariants,
  plainScenario,
  runScenario,
  runSwarm,
  type Scenario,
  type SimulateOptions,
  scenarioDifference,
  scenarioOf,
  shrinkScenario,
  simulate,
} from '#ackgate/sim/index.js';
import { FrameModel } from '#ackgate/sim/model/frame-model.js';
import { coverageOf } from '#ackgate/sim/swarm/coverage.js';
import { Dealer } from '#ackgate/sim/swarm/dealer.js';
import { Hand } from '#ackgate/sim/swarm/hand.js';
import { addAttempt, addFailure, addTally, emptyTally, hashText } from '#ackgate/sim/swarm/tally.js';
import { fallbacks } from '#ackgate/sim/world/reached.js';

describe('a seed', () => {
  test('goes the same way again, also in another process', () => {
    const seeds = [1, 2, 3, 2 ** 40 + 1];
    const hashes = seeds.map((seed) => runScenario(drawScenario(seed)).hash);
    expect(new Set(hashes).size).toBe(seeds.length);
    expect(seeds.map((seed) => runScenario(drawScenario(seed)).hash)).toEqual(hashes);
    const program = `
      import { drawScenario, runScenario } from ${JSON.stringify(new URL('../dist/sim/index.js', import.meta.url).href)};
      console.log(JSON.stringify(${JSON.stringify(seeds)}.map((seed) => runScenario(drawScenario(seed)).hash)));
      // Until V8's compiler has come to rest: see src/cli/settle.ts.
      setTimeout(() => {}, 100);`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 50_000,
    });
    expect(JSON.parse(output)).toEqual(hashes);
  });

  test('a fault that is left out leaves the rest of the drawing as it is', () => {
    const without = faultNames.filter((name) => name !== 'churn');
    for (let seed = 1; seed < 50; seed++) {
      const { churn: _, ...rates } = drawScenario(seed).faults;
      expect(drawScenario(seed, without).faults).toEqual(rates);
    }
    expect(drawScenario(7, []).faults).toEqual({});
  });

  test('keeps a trace only when it is asked to, which changes nothing', () => {
    const quiet = runScenario(drawScenario(5));
    const told = runScenario(drawScenario(5), { trace: true });
    expect(quiet.trace).toBeNull();
    expect(told.trace?.length).toBeGreaterThan(10);
    expect(told.hash).toBe(quiet.hash);
  });
});

describe('simulate', () => {
  test('runs a plain world when nothing is said, and what is said', () => {
    const plain = simulate();
    expect(plain.failure).toBeNull();
    expect(plain.records).toBeGreaterThan(0);
    expect(plain.fired).toEqual({});
    expect(plain.scenario).toEqual(plainScenario(1));
    const rough = simulate({
      seed: 9,
      nodes: 3,
      clients: 8,
      faults: ['short-send', 'blocked'],
      until: 30,
      policy: 'persisted>=2',
      orders: 400,
    });
    expect(rough.failure).toBeNull();
    expect(rough.records).toBeGreaterThan(300);
    expect(Object.keys(rough.fired).sort()).toEqual(['blocked', 'short-send']);
    expect(rough.virtualNs).toBeGreaterThan(30e6);
  });

  test('takes rates, nodes of its own, and all fields of a scenario', () => {
    const scenario = scenarioOf({
      nodes: [{ zone: 'b' }, { syncNs: 1e6 }],
      faults: { reset: 0.5, blocked: 0 },
      clients: 9,
      until: 10,
      orders: 100,
      flushBytes: 1,
      policy: 'ram',
    });
    expect(scenario).toMatchObject({
      slots: 9,
      clients: 9,
      faults: { reset: 0.5, blocked: 0 },
      troubleNs: 10e6,
      orderGapNs: 1e5,
      flushBytes: 1,
      policy: 'replicated',
    });
    expect(scenario.nodes.map(({ zone, syncNs }) => [zone, syncNs])).toEqual([
      ['b', 50_000],
      [null, 1e6],
    ]);
  });

  test('a fault that needs something small or large gets it', () => {
    expect(scenarioOf({ faults: ['small-ring'] }).ringEntries).toBe(2);
    expect(scenarioOf({ faults: ['small-ring'], ringEntries: 8 }).ringEntries).toBe(8);
    expect(scenarioOf({ faults: ['encoder-throws'] }).encoder).toBe(true);
    const all = simulate({ faults: 'all', orders: 100, nodes: 2 });
    expect(all.failure).toBeNull();
    expect(Object.keys(all.fired).length).toBeGreaterThan(5);
  });

  const wrong: [SimulateOptions, string, RegExp][] = [
    [{ faults: ['reste' as Fault] }, 'INVALID_ARGUMENT', /unknown fault "reste"; there are short-send, /],
    [{ faults: { reset: 2 } }, 'OUT_OF_RANGE', /faults\.reset must be a rate from 0 to 1, got 2/],
    [{ faults: 3 as never }, 'INVALID_ARGUMENT', /faults must be 'all', 'none' or a list/],
    [{ seed: -1 }, 'OUT_OF_RANGE', /seed must be an integer from 0/],
    [{ seed: 1.5 }, 'OUT_OF_RANGE', /seed/],
    [{ nodes: 16 }, 'OUT_OF_RANGE', /nodes must be a list, or an integer from 0 to 15, got 16/],
    [{ nodes: [{ zone: '' }] }, 'INVALID_ARGUMENT', /nodes\[0\]\.zone/],
    [{ nodes: [{ frames: 1 as never }] }, 'INVALID_ARGUMENT', /nodes\[0\]\.frames must be true or false/],
    [{ staleAfterNs: 49e6 }, 'OUT_OF_RANGE', /staleAfterNs must be a number from 50000000/],
    [{ nodes: [{ zoen: 'a' } as never] }, 'UNKNOWN_OPTION', /did you mean zone\?/],
    [{ clients: 5000 }, 'OUT_OF_RANGE', /slots must be|clients must be/],
    [{ until: 0 }, 'OUT_OF_RANGE', /until must be a number of virtual milliseconds/],
    [{ orders: Number.NaN }, 'OUT_OF_RANGE', /orders must be an integer/],
    [{ policy: 'persisted>=0' }, 'POLICY_ZERO_COUNT', /./],
    [{ client: 4 } as never, 'UNKNOWN_OPTION', /did you mean clients\?/],
    [{ ringCapacity: 100 }, 'NOT_POWER_OF_TWO', /ringCapacity must be a power of two, got 100/],
    [{ payload: { min: 60, max: 50 } }, 'OUT_OF_RANGE', /payload\.min must be an integer from 5 to 50/],
    [null as never, 'INVALID_ARGUMENT', /options must be an object/],
    [{ trace: 1 as never }, 'INVALID_ARGUMENT', /trace must be true or false/],
  ];
  test.each(wrong)('refuses %j', (options, code, message) => {
    expect(() => simulate(options)).toThrow(message);
    expect(() => simulate(options)).toThrow(expect.objectContaining({ code: `ERR_ACKGATE_${code}` }));
  });
});

describe('nodes that tell their cursors by frames', () => {
  const nodes = [{ frames: true }, { frames: true, zone: 'b' }];
  const options = { nodes, policy: 'persisted>=2 && in_memory>=3', staleAfterNs: 50e6, until: 400 };

  test('release everything as those do that are connected and moved', () => {
    const { failure, reached, records } = simulate({ ...options, twice: false });
    expect(failure).toBeNull();
    expect(records).toBeGreaterThan(200);
    expect(reached['node-silent']).toBeUndefined();
  });

  test('fall silent, come back and begin anew, and nothing of it counts that is over', () => {
    const faults = { 'node-frozen': 0.05, 'replica-flap': 0.02, 'frame-stale': 0.3, 'frame-doubled': 0.3 };
    const { failure, reached } = simulate({ ...options, faults, seed: 3 });
    expect(failure).toBeNull();
    for (const way of ['node-silent', 'node-back', 'node-reseeded', 'frame-stale-epoch', 'frame-repeated']) {
      expect(reached[way], way).toBeGreaterThan(0);
    }
  });

  test('are drawn without a change to what is drawn for the others', () => {
    const scenarios = Array.from({ length: 200 }, (_, seed) => drawScenario(seed));
    const told = scenarios.filter(({ nodes }) => nodes.length > 0 && !nodes.some(({ frames }) => frames));
    const telling = scenarios.filter(({ nodes }) => nodes.some(({ frames }) => frames));
    expect(told.length).toBeGreaterThan(50);
    expect(telling.length).toBeGreaterThan(40);
    for (const { staleAfterNs } of told) expect(staleAfterNs).toBe(1e9);
  });
});

describe('a model of frames', () => {
  const create = () => {
    const never = Number.POSITIVE_INFINITY;
    const absent = { connected: false, inMemory: 0, persisted: 0, fadesNs: never, goneNs: never };
    const node = { zone: null, ...absent };
    return { node, model: new FrameModel(node, 100) };
  };

  test('counts a node with what it has told in its last life, and until it is silent', () => {
    const { node, model } = create();
    model.reached(1, 9, 5);
    const first = { epoch: 1, inMemory: 9, persisted: 5, at: 10 };
    expect(model.verdict(first, 9)).toBe('taken');
    expect(model.verdict(first, 8)).toBe('ahead');
    model.take(first, 'taken', 1000);
    expect(node).toMatchObject({ connected: true, inMemory: 9, persisted: 5, fadesNs: 1099 });
    expect(model.verdict(first, 9)).toBe('repeated');
    model.take({ epoch: 1, inMemory: 4, persisted: 4, at: 11 }, 'taken', 1001);
    expect(node).toMatchObject({ inMemory: 9, persisted: 5 });
    model.reached(3, 2, 2);
    model.take({ epoch: 3, inMemory: 0, persisted: 2, at: 1 }, 'taken', 1002);
    expect(node).toMatchObject({ inMemory: 2, persisted: 2 });
    expect(model.verdict({ ...first, at: 99 }, 9)).toBe('stale-epoch');
    model.take({ epoch: 4, inMemory: 99, persisted: 0, at: 1 }, 'ahead', 1003);
    expect(node.connected).toBe(false);
  });

  test('believes nobody what he has never had', () => {
    const { model } = create();
    model.reached(1, 9, 5);
    expect(() => model.take({ epoch: 1, inMemory: 9, persisted: 6, at: 10 }, 'taken', 0)).toThrow(
      'is broken',
    );
  });
});

describe('a swarm', () => {
  test('comes to the same whatever the number of workers', async () => {
    const run = async (workers: number) => {
      const { wallMs: _, ...result } = await runSwarm({ firstSeed: 100, seeds: 24, workers });
      return result;
    };
    const one = await run(1);
    expect(one).toMatchObject({ ok: true, seeds: 24, failed: 0, failures: [] });
    expect(one.records).toBeGreaterThan(1000);
    expect(await run(3)).toEqual(one);
    // In this thread, seed by seed.
    const tally = emptyTally();
    for (let seed = 123; seed >= 100; seed--) {
      const result = runScenario(drawScenario(seed));
      addAttempt(tally, seed, { failure: result.failure, result });
    }
    expect(hashText(tally)).toBe(one.hash);
    expect(coverageOf(tally, faultNames)).toEqual(one.coverage);
  });

  test('tells how far it is, and ends after the time or at a signal', async () => {
    const seen: number[] = [];
    const timed = await runSwarm({ minutes: 0.02, workers: 1, onProgress: ({ done }) => seen.push(done) });
    expect(timed.seeds).toBeGreaterThan(0);
    expect(timed.seeds % 20).toBe(0);
    expect(seen.at(-1)).toBe(timed.seeds);
    const stop = new AbortController();
    const endless = runSwarm({ minutes: 60, workers: 1, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(endless).rejects.toThrow('enough');
  });

  test('refuses what can not be meant', async () => {
    await expect(runSwarm({ seeds: 0 })).rejects.toThrow(/seeds must be an integer from 1/);
    await expect(runSwarm({ workers: 0 })).rejects.toThrow(/workers must be an integer from 1 to 256/);
    await expect(runSwarm({ minutes: -1 })).rejects.toThrow(/minutes must be a number above 0/);
    await expect(runSwarm({ faults: ['nothing' as Fault] })).rejects.toThrow(/unknown fault "nothing"/);
    await expect(runSwarm({ seed: 1 } as never)).rejects.toThrow(/did you mean seeds\?/);
  });

  test('a seed that comes to no end is named, and its thread replaced', async () => {
    // No seed is done within a hundredth of a millisecond.
    const hand = new Hand(faultNames, 0.01);
    const broken = await hand.run({ firstSeed: 40, seeds: 500 });
    expect(broken).toMatchObject({ broken: { invariant: 'hang' } });
    await hand.close();
    const patient = new Hand(faultNames, 60_000);
    expect(await patient.run({ firstSeed: 40, seeds: 2 })).toMatchObject({ tally: { seeds: 2, failed: 0 } });
    await patient.close();
  });

  test('a block is dealt again without the seed that broke it', () => {
    const dealer = new Dealer(10, 25, 10, Number.POSITIVE_INFINITY);
    const first = dealer.next();
    expect(first).toEqual({ firstSeed: 10, seeds: 10 });
    dealer.giveBack(first!, 13);
    const rest = [];
    for (let block = dealer.next(); block !== null; block = dealer.next()) rest.push(block);
    expect(rest).toEqual([
      { firstSeed: 14, seeds: 6 },
      { firstSeed: 10, seeds: 3 },
      { firstSeed: 20, seeds: 10 },
      { firstSeed: 30, seeds: 5 },
    ]);
  });

  test('keeps the lowest failing seeds in detail and counts the others', () => {
    const sum = emptyTally();
    for (let part = 0; part < 3; part++) {
      const tally = emptyTally();
      for (let i = 0; i < 15; i++) addFailure(tally, { seed: 3 * i + part, invariant: 'I02', message: '' });
      addTally(sum, tally);
    }
    expect(sum.failed).toBe(45);
    expect(sum.failures.map(({ seed }) => seed)).toEqual(Array.from({ length: 20 }, (_, seed) => seed));
  });
});

describe('coverage', () => {
  const full = () => {
    const tally = emptyTally();
    tally.seeds = 1000;
    for (const name of faultNames) tally.fired[name] = 1;
    for (const name of Object.keys(fallbacks)) tally.reached[name] = 1;
    const empty = coverageOf(tally, faultNames);
    for (const name of Object.keys(empty.drops)) tally.drops[name] = 1;
    return tally;
  };

  test('names what was never seen, which counts with all faults and 1,000 seeds', () => {
    const tally = full();
    expect(coverageOf(tally, faultNames)).toMatchObject({ missing: [], required: true });
    delete tally.fired.fence;
    delete tally.drops.reset;
    delete tally.reached['torn-read'];
    const coverage = coverageOf(tally, faultNames);
    expect(coverage.missing).toEqual(['fault fence', 'drop reset', 'fallback torn-read']);
    expect(coverage.faults.fence).toBe(0);
    expect(coverage.required).toBe(true);
    tally.seeds = 999;
    expect(coverageOf(tally, faultNames).required).toBe(false);
  });

  test('of some faults only these are expected, and nothing is required', () => {
    const tally = full();
    const coverage = coverageOf(tally, ['fence', 'reset']);
    expect(coverage.faults).toEqual({ fence: 1, reset: 1 });
    expect(coverage.required).toBe(false);
  });
});

describe('shrinking', () => {
  const needs = (scenario: Scenario) =>
    scenario.orders >= 30 && scenario.faults.reset !== undefined && scenario.nodes.length >= 2
      ? { invariant: 'I05' as const, message: 'as it was made' }
      : null;
  const wide = () => {
    for (let seed = 1; ; seed++) {
      const scenario = drawScenario(seed);
      if (needs(scenario) !== null && Object.keys(scenario.faults).length > 8) return scenario;
    }
  };

  test('keeps what the failure needs, and nothing else', () => {
    const short = shrinkScenario(wide(), 'I05', { breaks: needs });
    expect(short?.message).toBe('as it was made');
    const { difference } = short!;
    expect(Object.keys(difference).sort()).toEqual([
      'clients',
      'faults',
      'nodes',
      'orders',
      'seed',
      'slots',
      'troubleNs',
    ]);
    expect(Object.keys(difference.faults!)).toEqual(['reset']);
    expect(difference.nodes).toHaveLength(2);
    expect(difference.orders).toBeLessThan(40);
    expect(checkScenario(difference)).toEqual(short!.scenario);
    expect(shrinkScenario(wide(), 'I05', { breaks: needs })).toEqual(short);
  });

  test('stays within its budget, and says when there is nothing to shrink', () => {
    const short = shrinkScenario(wide(), 'I05', { breaks: needs, budget: 10 });
    expect(short?.runs).toBe(10);
    expect(needs(short!.scenario)).not.toBeNull();
    expect(shrinkScenario(plainScenario(1), 'I02')).toBeNull();
  });

  test('a server that writes beside the stage is found, and its scenario made short', () => {
    const writesBeside = { writesBeside: true, twice: false };
    let seed = 1;
    while (runScenario(drawScenario(seed), writesBeside).failure?.invariant !== 'I02') {
      expect(seed++).toBeLessThan(200);
    }
    const before = drawScenario(seed);
    const short = shrinkScenario(before, 'I02', { run: writesBeside });
    expect(short).not.toBeNull();
    const { scenario, difference } = short!;
    expect(JSON.stringify(difference).length).toBeLessThan(JSON.stringify(scenarioDifference(before)).length);
    expect(runScenario(checkScenario(difference), writesBeside).failure).toMatchObject({ invariant: 'I02' });
    expect(runScenario(scenario).failure).toBeNull();
  });
});

describe('regressions', () => {
  const directory = fileURLToPath(new URL('regressions', import.meta.url));
  const regressions = readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')));

  test.each(regressions)('$name', ({ scenario, drops, found }) => {
    expect(found).toMatch(/\w/);
    const result = runScenario(checkScenario(scenario));
    expect(result.failure).toBeNull();
    expect(result.records).toBeGreaterThan(0);
    if (drops !== undefined) expect(result.drops).toEqual(drops);
  });
});

test('every invariant and every fault has its line in the documentation', () => {
  const text = readFileSync(new URL('../docs/SIMULATION.md', import.meta.url), 'utf8');
  for (const id of Object.keys(invariants)) expect(text).toContain(`| ${id} |`);
  for (const [name, meaning] of Object.entries(faults))
    expect(text).toContain(`| \`${name}\` | ${meaning} |`);
});
