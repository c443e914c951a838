import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Policy, resolvePolicy } from '#ackgate/policy/index.js';
import { quantilesOf, quantileTable } from '#ackgate/sim/distributions.js';
import { Random } from '#ackgate/sim/random.js';
import { degradedShare, runDegraded } from '#ackgate/sim/whatif/degraded-run.js';
import { failures, mayLose } from '#ackgate/sim/whatif/failures.js';
import {
  type DistributionFile,
  devices,
  hosts,
  networks,
  parseDistributions,
  type Shapes,
  type WhatIfOptions,
  whatIf,
  whatIfPage,
  whatIfTable,
} from '#ackgate/sim/whatif/index.js';
import { measureHere } from '#ackgate/sim/whatif/record-here.js';
import { zoneOf } from '#ackgate/sim/whatif/shape.js';
import { checkShapes } from '#ackgate/sim/whatif/shape-file.js';

const directory = mkdtempSync(join(tmpdir(), 'ackgate-whatif-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(distributions: Shapes, about = 'a test'): DistributionFile {
  return { format: 'ackgate-distributions/1', about, distributions };
}

/** Only disks and networks take time, and orders are so far apart that none waits for another. */
function sparse(policy: string, nodes: number, distributions: Shapes, orders: number): WhatIfOptions {
  return {
    seed: 11,
    orders,
    policies: [policy],
    cluster: { nodes, zones: 1 },
    load: { ordersPerSecond: 300, arrivals: 'even', fanOut: 1, payloadBytes: 8, connections: 4 },
    host: 'ideal',
    distributions: file(distributions),
    failureRates: [],
    lossMoments: 0,
  };
}

type Cdf = (ns: number) => number;

/** When the `k`-th of several independent latencies has come, by the formula: its quantile at `share`. */
function orderStatistic(k: number, latencies: readonly Cdf[], share: number): number {
  const atLeast = (ns: number) => {
    // Probability of each number of them having come by then.
    let counts = [1];
    for (const cdf of latencies) {
      const p = cdf(ns);
      counts = [...counts, 0].map((same, i) => same * (1 - p) + (i > 0 ? counts[i - 1]! * p : 0));
    }
    return counts.slice(k).reduce((sum, p) => sum + p, 0);
  };
  let low = 0;
  let high = 1e9;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (atLeast(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

const exponentialCdf =
  (low: number, mean: number): Cdf =>
  (ns) =>
    ns <= low ? 0 : 1 - Math.exp(-(ns - low) / mean);
const uniformCdf =
  (low: number, high: number): Cdf =>
  (ns) =>
    Math.min(1, Math.max(0, (ns - low) / (high - low)));

describe('against the closed form, orders far apart', () => {
  const us = 1000;
  const exponential = { low: 20 * us, mean: 100 * us };
  const oneWay = 15 * us;
  const shapes: Record<string, { shapes: Shapes; primary: Cdf; replica: Cdf }> = {
    'exponential syncs': {
      shapes: { sync: { exponentialNs: exponential }, network: { fixedNs: oneWay } },
      primary: exponentialCdf(exponential.low, exponential.mean),
      replica: exponentialCdf(exponential.low + 2 * oneWay, exponential.mean),
    },
    'uniform syncs, other ones on replicas': {
      shapes: {
        sync: { uniformNs: [50 * us, 400 * us] },
        replicaSync: { uniformNs: [30 * us, 300 * us] },
        network: { fixedNs: oneWay },
      },
      primary: uniformCdf(50 * us, 400 * us),
      replica: uniformCdf(30 * us + 2 * oneWay, 300 * us + 2 * oneWay),
    },
  };

  it.each([
    { name: 'exponential syncs', k: 1, nodes: 1, orders: 300_000 },
    { name: 'exponential syncs', k: 2, nodes: 3, orders: 150_000 },
    { name: 'exponential syncs', k: 3, nodes: 3, orders: 150_000 },
    { name: 'uniform syncs, other ones on replicas', k: 2, nodes: 4, orders: 60_000 },
  ])('persisted>=$k of $nodes, $name: p50, p99 and p99.9 within 1 %', ({ name, k, nodes, orders }) => {
    const { shapes: given, primary, replica } = shapes[name]!;
    const { policies } = whatIf(sparse(`persisted>=${k}`, nodes, given, orders));
    const latency = policies[0]!.latencyNs!;
    const all = [primary, ...Array.from({ length: nodes - 1 }, () => replica)];
    for (const [figure, share] of [
      [latency.p50, 0.5],
      [latency.p99, 0.99],
      [latency.p999, 0.999],
    ] as const) {
      const formula = orderStatistic(k, all, share);
      expect(Math.abs(figure / formula - 1), `${figure} for ${formula} at ${share}`).toBeLessThan(0.01);
    }
  });

  it('in_memory>=2: the sum of the two ways', () => {
    const network = { uniformNs: [50_000, 150_000] } as const;
    const { policies } = whatIf(sparse('in_memory>=2', 2, { sync: { fixedNs: 1000 }, network }, 60_000));
    const { p50, p99 } = policies[0]!.latencyNs!;
    expect(Math.abs(p50 / 200_000 - 1)).toBeLessThan(0.01);
    expect(Math.abs(p99 / (300_000 - Math.sqrt(2 * 0.01) * 100_000) - 1)).toBeLessThan(0.01);
  });

  it('adds no time of its own', () => {
    const { policies } = whatIf(
      sparse('persisted>=2', 3, { sync: { fixedNs: 123_457 }, network: { fixedNs: 10_001 } }, 1000),
    );
    expect(policies[0]!.latencyNs).toEqual({
      p50: 143_459,
      p90: 143_459,
      p99: 143_459,
      p999: 143_459,
      max: 143_459,
      mean: 143_459,
    });
  });
});

describe('group commit, waiting and binding', () => {
  const base = { orders: 5000, failureRates: [], host: 'ideal' } as const;

  it('an order that comes during a sync waits for the rest of it, and for its own', () => {
    const { policies } = whatIf({
      ...base,
      policies: ['local'],
      cluster: { nodes: 1 },
      load: { ordersPerSecond: 1000, arrivals: 'even', fanOut: 1 },
      distributions: file({ sync: { fixedNs: 1_500_000 } }),
    });
    // Two turns out of three bring two orders: 3 ms take three orders, and the pattern repeats.
    const { p50, max } = policies[0]!.latencyNs!;
    expect(max).toBeLessThanOrEqual(3_000_000);
    expect(p50).toBeGreaterThan(1_500_000);
  });

  it('names who binds', () => {
    const result = (sync: number, network: number) =>
      whatIf({
        ...base,
        policies: ['hybrid'],
        load: { ordersPerSecond: 100, arrivals: 'even' },
        distributions: file({ sync: { fixedNs: sync }, network: { fixedNs: network } }),
      }).policies[0]!.binds!;
    expect(result(1_000_000, 1000)).toMatchObject({ journal: 1, replication: 0 });
    // Both have caught up when the gate opens, and the journal's clause stands first: that is what the stage counts.
    expect(result(1000, 1_000_000)).toMatchObject({ journal: 0, replication: 1, counted: { journal: 1 } });
  });

  it('a policy that the cluster can not meet has no figures, and says why', () => {
    const { policies } = whatIf({ ...base, orders: 1000, policies: ['persisted>=4', 'persisted>=2 zones'] });
    expect(policies.map(({ unmet }) => unmet)).toEqual([
      'persisted>=4 needs 4 nodes, the cluster has 3',
      'persisted>=2 zones needs 2 zones, the cluster has 1',
    ]);
    expect(policies[0]!.latencyNs).toBeNull();
    expect(policies[0]!.binds).toBeNull();
  });
});

describe('degraded time', () => {
  const cluster = { nodes: 3, zones: 3 };
  const rate = { mtbfHours: 2, mttrMinutes: 30 };
  const down = 0.5 / 2.5;

  it.each([
    ['local', 0],
    ['hybrid', down ** 2],
    ['persisted>=3', 1 - (1 - down) ** 2],
    ['persisted>=4', 1],
  ])('%s: by hand, by the formula, and as the stage counts it', (name, share) => {
    const resolved = resolvePolicy(name);
    expect(degradedShare(resolved.policy, cluster, rate)).toBeCloseTo(share, 12);
    const simulated = runDegraded(3, resolved, cluster, rate, 20_000);
    expect(simulated.share).toBeCloseTo(share, 2);
  });

  it('zones count, not nodes', () => {
    const policy = Policy.parse('persisted>=2 zones');
    // Nodes 0 and 2 stand in one zone: only node 1 makes up for the second.
    expect(degradedShare(policy, { nodes: 3, zones: 2 }, rate)).toBeCloseTo(down, 12);
  });
});

describe('what is lost', () => {
  const policies = [
    'local',
    'hybrid',
    'durably-replicated',
    'replicated',
    'in_memory>=1',
    'persisted>=3',
    'persisted>=2 zones',
    'in_memory>=2 zones',
    'persisted>=1 && in_memory>=2 zones',
    'persisted>=2 && in_memory>=3',
  ];
  const clusters = [1, 2, 3, 4].flatMap((nodes) =>
    [1, 2, 3].filter((zones) => zones <= nodes).map((zones) => ({ nodes, zones })),
  );

  /** Every state of every node: 0 has nothing, 1 has it in memory, 2 on disk. The primary has it in memory at least. */
  function bruteForce(name: string, nodes: number, zones: number, failure: string): boolean {
    const { clauses } = resolvePolicy(name).policy;
    const zone = (node: number) => zoneOf(node, { nodes, zones });
    for (let code = 0; code < 3 ** nodes; code++) {
      const state = Array.from({ length: nodes }, (_, node) => Math.floor(code / 3 ** node) % 3);
      if (state[0] === 0) continue;
      const met = clauses.every(({ level, count, across }) => {
        const reached = state.flatMap((has, node) => (has >= (level === 'persisted' ? 2 : 1) ? [node] : []));
        return (across === 'zones' ? new Set(reached.map(zone)).size : reached.length) >= count;
      });
      const survives = state.some((has, node) => {
        if (failure === 'power') return has === 2;
        if (failure === 'process') return node === 0 ? has === 2 : has > 0;
        return has > 0 && (failure === 'machine' ? node !== 0 : zone(node) !== zone(0));
      });
      if (met && !survives) return true;
    }
    return false;
  }

  it.each(policies)('%s: as trying every state of every node says', (name) => {
    for (const cluster of clusters) {
      for (const failure of failures) {
        const expected = bruteForce(name, cluster.nodes, cluster.zones, failure);
        expect(
          mayLose(resolvePolicy(name).policy, cluster, failure),
          `${failure} ${JSON.stringify(cluster)}`,
        ).toBe(expected);
      }
    }
  });

  it('a failure tried in the middle of the run loses nothing that the policy protects, and something that it does not', () => {
    const result = whatIf({
      orders: 20_000,
      policies,
      cluster: { nodes: 4, zones: 2 },
      network: 'two-zones',
      load: { ordersPerSecond: 50_000 },
      lossMoments: 2000,
      failureRates: [],
    });
    const seen = new Set<string>();
    for (const { name, losses, unmet } of result.policies) {
      for (const { failure, mayLose: may, withLoss, ordersMax, moments } of losses) {
        if (unmet !== null) continue;
        expect(moments).toBeGreaterThan(1500);
        if (!may) expect(withLoss, `${name}, ${failure}`).toBe(0);
        if (withLoss > 0) seen.add(`${name} ${failure}`);
        expect(ordersMax > 0).toBe(withLoss > 0);
      }
    }
    for (const lossy of [
      'local machine',
      'local zone',
      'hybrid zone',
      'replicated power',
      'in_memory>=1 process',
    ]) {
      expect(seen).toContain(lossy);
    }
  });
});

describe('the result', () => {
  const small: WhatIfOptions = {
    orders: 2000,
    lossMoments: 50,
    policies: ['local', 'hybrid', 'persisted>=9'],
  };

  it('is the same for the same seed, and another for another', () => {
    const once = JSON.stringify(whatIf(small));
    expect(JSON.stringify(whatIf(small))).toBe(once);
    expect(JSON.stringify(whatIf({ ...small, seed: 2 }).policies)).not.toBe(
      JSON.stringify(JSON.parse(once).policies),
    );
  });

  it('has this shape', () => {
    const result = whatIf(small);
    expect(Object.keys(result)).toEqual(['seed', 'orders', 'cluster', 'load', 'assumptions', 'policies']);
    const [local] = result.policies;
    expect(Object.keys(local!)).toEqual([
      'name',
      'policy',
      'unmet',
      'latencyNs',
      'curve',
      'binds',
      'stalled',
      'degraded',
      'losses',
    ]);
    expect(local).toMatchObject({ name: 'local', policy: 'persisted>=1', unmet: null, stalled: 0 });
    expect(local!.binds!.journal + local!.binds!.replication).toBeCloseTo(1);
    expect(local!.degraded).toHaveLength(3);
    expect(local!.losses.map(({ failure }) => failure)).toEqual(['process', 'machine', 'zone', 'power']);
    expect(
      local!.curve.every(
        ([share, ns], i, all) => i === 0 || (share > all[i - 1]![0] && ns >= all[i - 1]![1]),
      ),
    ).toBe(true);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('says where every distribution comes from, also when a recording takes the place of one', () => {
    const { assumptions } = whatIf({ ...small, distributions: file({ sync: { fixedNs: 5 } }, 'my rack') });
    const from = Object.fromEntries(assumptions.map((one) => [one.component, one.from]));
    expect(from.sync).toBe('my rack');
    expect(from.replicaSync).toBe('my rack');
    expect(from.network).toMatch(/^lan: /);
  });

  it('a load that is too high is reported', () => {
    const { policies } = whatIf({
      orders: 100_000,
      policies: ['local'],
      cluster: { nodes: 1 },
      load: { ordersPerSecond: 1e7, fanOut: 4 },
      distributions: file({ send: { fixedNs: 5e6 } }),
      failureRates: [],
    });
    expect(policies[0]!.stalled).toBeGreaterThan(0);
  });

  it('as a table: a row for every policy in every section', () => {
    const table = whatIfTable(whatIf(small));
    expect(table.match(/^ {2}hybrid \(persisted>=1 && in_memory>=2\)/gm)).toHaveLength(4);
    expect(table).toContain('never: persisted>=9 needs 9 nodes, the cluster has 3');
    expect(table).toContain('p99.9');
  });
});

describe('presets', () => {
  it.each(Object.entries({ ...devices, ...networks, ...hosts }))(
    '%s is a valid file with a source',
    (_, preset) => {
      expect(preset.source.length).toBeGreaterThan(10);
      expect(() => checkShapes(file(preset.shapes as Shapes))).not.toThrow();
    },
  );

  it('slower things are slower', () => {
    const p50 = (options: WhatIfOptions) =>
      whatIf({ orders: 1000, failureRates: [], lossMoments: 0, ...options }).policies[0]!.latencyNs!.p50;
    const disks = (['nvme-plp', 'cloud-block', 'spinning-disk'] as const).map((device) =>
      p50({ device, policies: ['persisted>=2'] }),
    );
    const nets = (['lan', 'two-zones', 'two-regions'] as const).map((network) =>
      p50({ network, policies: ['in_memory>=3'] }),
    );
    for (const [a, b, c] of [disks, nets] as [number, number, number][])
      expect([a, b, c]).toEqual([a, b, c].sort((x, y) => x - y));
    expect(nets[2]).toBeGreaterThan(40e6);
  });
});

describe('quantile tables', () => {
  it('give back the distribution that they were made from', () => {
    const random = new Random(5);
    const measured = Array.from({ length: 20_000 }, () => random.exponential(1000));
    const table = quantileTable(quantilesOf(measured));
    const drawn = Array.from({ length: 100_000 }, () => table.sampleNs(random)).sort((a, b) => a - b);
    for (const share of [0.1, 0.5, 0.9, 0.99]) {
      const exact = -Math.log(1 - share) * 1000;
      expect(Math.abs(drawn[Math.floor(share * drawn.length)]! / exact - 1)).toBeLessThan(0.05);
    }
  });
});

describe('bad input is named, with what would be valid', () => {
  const bad = (options: unknown) => () => whatIf(options as WhatIfOptions);
  it.each<[string, unknown, string, RegExp]>([
    ['a misspelt option', { polices: [] }, 'UNKNOWN_OPTION', /polices.*did you mean policies/],
    [
      'an unknown device',
      { device: 'floppy' },
      'INVALID_ARGUMENT',
      /device.*nvme-plp, cloud-block, spinning-disk.*floppy/,
    ],
    ['an unknown network', { network: 'x' }, 'INVALID_ARGUMENT', /network.*lan, two-zones, two-regions/],
    ['an unknown host', { host: 'x' }, 'INVALID_ARGUMENT', /host.*parked, ideal/],
    ['an unknown mode', { policies: ['lokal'] }, 'POLICY_UNKNOWN_LEVEL', /lokal.*local, hybrid/],
    ['a broken policy', { policies: ['persisted>=0'] }, 'POLICY_ZERO_COUNT', /at least 1/],
    ['no policy', { policies: [] }, 'INVALID_ARGUMENT', /at least one/],
    ['too many nodes', { cluster: { nodes: 17 } }, 'OUT_OF_RANGE', /cluster\.nodes.*1 to 16.*17/],
    ['more zones than nodes', { cluster: { nodes: 2, zones: 3 } }, 'OUT_OF_RANGE', /cluster\.zones.*1 to 2/],
    ['no load', { load: { ordersPerSecond: 0 } }, 'OUT_OF_RANGE', /ordersPerSecond.*0\.1 to/],
    ['a load of NaN', { load: { ordersPerSecond: Number.NaN } }, 'OUT_OF_RANGE', /ordersPerSecond.*NaN/],
    ['odd arrivals', { load: { arrivals: 'bursty' } }, 'INVALID_ARGUMENT', /arrivals.*poisson, even.*bursty/],
    [
      'a rate of nothing',
      { failureRates: [{ mtbfHours: 0, mttrMinutes: 1 }] },
      'OUT_OF_RANGE',
      /failureRates\[0\]\.mtbfHours/,
    ],
    [
      'a load twice',
      { distributions: file({ arrivals: { fixedNs: 5 } }), load: { ordersPerSecond: 5 } },
      'INVALID_ARGUMENT',
      /arrivals of their own/,
    ],
  ])('%s', (_, options, code, message) => {
    expect(bad(options)).toThrow(message);
    expect(bad(options)).toThrow(expect.objectContaining({ code: `ERR_ACKGATE_${code}` }));
  });

  const whole = [[0, 1], [0.25, 2], [0.5, 3], [0.75, 4], [0.99, 5], [1, 6]]; // biome-ignore format: a table
  const table = (points: unknown) => JSON.stringify(file({ sync: { quantilesNs: points } as never }));
  it.each<[string, string, string, RegExp]>([
    ['no JSON', '{', 'INVALID_ARGUMENT', /d\.json is not JSON.*format/],
    [
      'another format',
      JSON.stringify({ ...file({}), format: 'x' }),
      'INVALID_ARGUMENT',
      /d\.json\.format.*ackgate-distributions\/1/,
    ],
    [
      'an unknown component',
      JSON.stringify(file({ snyc: { fixedNs: 1 } } as never)),
      'UNKNOWN_OPTION',
      /snyc.*known are engine, handover, sync/,
    ],
    [
      'an unknown kind',
      JSON.stringify(file({ sync: { normal: 1 } as never })),
      'INVALID_ARGUMENT',
      /sync: must be an object with one of fixedNs.*found normal/,
    ],
    ['a negative latency', JSON.stringify(file({ sync: { fixedNs: -1 } })), 'OUT_OF_RANGE', /sync\.fixedNs/],
    [
      'an endless latency',
      '{"format":"ackgate-distributions/1","about":"","distributions":{"sync":{"fixedNs":1e999}}}',
      'INVALID_ARGUMENT',
      /sync\.fixedNs/,
    ],
    [
      'null for a number',
      table([...whole.slice(0, 5), [1, null]]),
      'INVALID_ARGUMENT',
      /quantilesNs\[5\]\[1\]/,
    ],
    ['no beginning', table(whole.slice(1)), 'INVALID_ARGUMENT', /gap.*begin with the share 0, not 0\.25/],
    ['no end', table(whole.slice(0, 5)), 'INVALID_ARGUMENT', /gap.*end with the share 1, not 0\.99/],
    [
      'a gap in the middle',
      table(whole.toSpliced(2, 1)),
      'INVALID_ARGUMENT',
      /gap from the share 0\.25 to 0\.75.*0\.25 apart/,
    ],
    ['no tail', table(whole.toSpliced(4, 1)), 'INVALID_ARGUMENT', /gap from the share 0\.75 to 1.*0\.99/],
    [
      'a falling table',
      table(whole.with(2, [0.5, 1])),
      'INVALID_ARGUMENT',
      /must not fall: 1 ns at the share 0\.5/,
    ],
    [
      'shares that go back',
      table(whole.with(2, [0.1, 3])),
      'INVALID_ARGUMENT',
      /rising shares: 0\.1 comes after 0\.25/,
    ],
    ['a share above 1', table(whole.with(5, [1.5, 6])), 'OUT_OF_RANGE', /quantilesNs\[5\]\[0\]/],
    ['nothing to replay', JSON.stringify(file({ sync: { replayNs: [] } })), 'OUT_OF_RANGE', /replayNs/],
    [
      'times that do not match',
      JSON.stringify(file({ sync: { replayNs: [1, 2], atNs: [1] } })),
      'INVALID_ARGUMENT',
      /atNs.*each of the 2/,
    ],
  ])('a file with %s', (_, text, code, message) => {
    const parse = () => parseDistributions(text, 'd.json');
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code: `ERR_ACKGATE_${code}` }));
  });

  it('what is right is taken', () => {
    const text = table(whole);
    expect(parseDistributions(text, 'd.json').distributions.sync).toEqual({ quantilesNs: whole });
  });
});

describe('the page', () => {
  const nasty = '<img src=x onerror=alert(1)> & "quotes"';

  it('stands on its own, and takes text for text', async () => {
    const result = whatIf({
      orders: 2000,
      lossMoments: 20,
      policies: ['local', 'persisted>=2 && in_memory>=3', 'persisted>=9'],
      distributions: file({ sync: { fixedNs: 1000 } }, nasty),
    });
    const html = await whatIfPage(result);
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).not.toContain(nasty);
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quotes&quot;');
    expect(html).not.toMatch(/<script|<link|<iframe|<img|<[^>]*\s(src|href)=|@import|url\((?!#)/);
    // What is left of addresses are the names of XML's name spaces.
    const addresses = html.match(/https?:\/\/[^\s"'<]+/g) ?? [];
    expect(addresses.filter((one) => !one.startsWith('http://www.w3.org/'))).toEqual([]);
    expect(html).not.toMatch(/\bNaN\b|undefined|Infinity/);
    expect(html).not.toMatch(/#0a0[bc]0/);
    expect(html.match(/<h1>/g)).toHaveLength(1);
    expect(html.match(/<figcaption>/g)).toHaveLength(4);
    expect(html.match(/<table/g)).toHaveLength(5);
    expect(html.match(/<svg aria-hidden="true"/g)!.length).toBe(6);
    expect(html).toContain('persisted&gt;=2 &amp;&amp; in_memory&gt;=3');
    expect(html).toContain('never acknowledges');
  });

  it('of policies that are never met has no charts, and says so', async () => {
    const html = await whatIfPage(whatIf({ orders: 1000, policies: ['persisted>=9'], failureRates: [] }));
    expect(html).toContain('persisted&gt;=9 needs 9 nodes');
    expect(html).not.toContain('<svg aria-hidden');
  });
});

describe('recording', () => {
  it('a live stage and journal on this machine: what is recorded can be simulated', async () => {
    const recording = await measureHere({ seconds: 1, ordersPerSecond: 500, replicas: 1, directory });
    const { distributions } = checkShapes(JSON.parse(JSON.stringify(recording.file)));
    expect(Object.keys(distributions).sort()).toEqual(
      ['arrivals', 'engine', 'handover', 'network', 'notice', 'replicaSync', 'send', 'sync', 'wake'].sort(),
    );
    expect(recording.orders).toBeGreaterThan(250);
    const { policies } = whatIf({
      distributions: recording.file,
      cluster: { nodes: 2 },
      policies: ['persisted>=2'],
      orders: 2000,
      failureRates: [],
    });
    // Not how close: that is the benchmark's. The order of magnitude is.
    const ratio = policies[0]!.latencyNs!.p50 / recording.measuredNs.p50;
    expect(ratio).toBeGreaterThan(0.1);
    expect(ratio).toBeLessThan(10);
  });
});

describe('ackgate sim whatif', () => {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'sim', 'whatif', ...args], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, stdout, stderr };
  };

  it('prints JSON, takes a file of distributions, and writes a page', () => {
    const distributions = join(directory, 'd.json');
    const html = join(directory, 'page.html');
    writeFileSync(distributions, JSON.stringify(file({ sync: { fixedNs: 777_000 } })));
    const args = ['--json', '--orders', '1000', '--policies', 'local, persisted>=2 && in_memory>=2'];
    const { status, stdout } = run(
      ...args,
      '--host',
      'ideal',
      '--distributions',
      distributions,
      '--html',
      html,
    );
    expect(status).toBe(0);
    const result = JSON.parse(stdout);
    expect(result.policies.map(({ name }: { name: string }) => name)).toEqual([
      'local',
      'persisted>=2 && in_memory>=2',
    ]);
    expect(result.policies[0].latencyNs.p50).toBeGreaterThanOrEqual(777_000);
    expect(readFileSync(html, 'utf8')).toContain('</html>');
  });

  it.each<[string, string[], RegExp]>([
    ['policy', ['--policies', 'local,lokal'], /lokal.*neither a mode/],
    ['preset', ['--device', 'floppy'], /nvme-plp, cloud-block, spinning-disk/],
    ['option', ['--polices', 'local'], /unknown option '--polices'/],
    ['failure rate', ['--failures', 'often'], /30d\/10m/],
    ['missing file', ['--distributions', '/nowhere/d.json'], /can't be read/],
    ['page that can not be written', ['--html', '/nowhere/p.html'], /can't be written/],
    ['rate', ['--rate', '-3'], /--rate/],
    [
      'length of a recording',
      ['--record', join(directory, 'r.json'), '--record-seconds', '0'],
      /0\.5 to 600/,
    ],
  ])('a wrong %s: exit code 2, and on standard output with --json', (_, args, message) => {
    const plain = run(...args);
    expect(plain.status).toBe(2);
    expect(plain.stderr).toMatch(message);
    const json = run(...args, '--json');
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stdout).error.message).toMatch(message);
  });

  it('a file with a gap: exit code 2, the file and the place are named', () => {
    const path = join(directory, 'gap.json');
    writeFileSync(path, JSON.stringify(file({ sync: { quantilesNs: [[0, 1], [1, 2]] } }))); // biome-ignore format: short
    const { status, stderr } = run('--distributions', path);
    expect(status).toBe(2);
    expect(stderr).toContain('gap.json.distributions.sync.quantilesNs: has a gap from the share 0 to 1');
    expect(existsSync(join(directory, 'whatif.html'))).toBe(false);
  });
});
