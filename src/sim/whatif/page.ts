import type { Picture } from '../../charts/colours.js';
import { type ChartSize, type Draw, loadDraw } from '../../charts/draw.js';
import { type Cell, inBothWidths, renderPage, type Table } from '../../charts/page.js';
import { bindsChart, degradedChart, latencyChart } from './charts.js';
import { failures, failureTexts } from './failures.js';
import { count, duration, lossText, percent, perYear, rateText, title } from './format.js';
import type { LossFigures, PolicyResult, WhatIfResult } from './index.js';
import { pageTemplate } from './page-template.js';

/** A result as one HTML page: charts, the same as tables, light and dark; nothing is loaded from anywhere. */
export async function whatIfPage(result: WhatIfResult): Promise<string> {
  return renderPage(pageTemplate, describe(result, await loadDraw()));
}

function describe(result: WhatIfResult, draw: Draw): object {
  const { cluster, load, orders, seed, policies } = result;
  const pictures = (chart: (draw: Draw, result: WhatIfResult, size: ChartSize) => Picture) =>
    inBothWidths((size) => chart(draw, result, size));
  return {
    title: 'What would acknowledgements cost?',
    summary:
      `${cluster.nodes} ${cluster.nodes === 1 ? 'node' : 'nodes'} in ${cluster.zones} ` +
      `${cluster.zones === 1 ? 'zone' : 'zones'}, ${count(load.ordersPerSecond)} orders a second with ${load.fanOut} ` +
      `responses of ${load.payloadBytes} bytes each, ${count(orders)} orders per policy, seed ${seed}.`,
    caveat:
      'Simulated with the stage that ships. The figures are as good as the assumptions at the end of this page.',
    warnings: [
      ...policies
        .filter(({ unmet }) => unmet !== null)
        .map((policy) => `${title(policy)} never acknowledges: ${policy.unmet}.`),
      ...policies
        .filter(({ stalled }) => stalled > 0)
        .map((policy) => `The stage did not keep up under ${title(policy)}: the load is too high for it.`),
    ],
    charts: [
      {
        id: 'latency',
        title: 'How long until an order is acknowledged?',
        caption:
          'From reading the order to the kernel having the acknowledgement, both axes logarithmic: further right are ' +
          'the slower orders, higher up is slower.',
        isOpen: true,
        ...pictures(latencyChart),
        table: latencyTable(policies),
      },
      {
        id: 'binds',
        title: 'Who is waited for?',
        caption:
          "Orders by whose cursor came last of those that the policy asks for: the primary's journal's, or a replica's.",
        isOpen: false,
        ...pictures(bindsChart),
        table: bindsTable(policies),
      },
      {
        id: 'degraded',
        title: 'How long is there no acknowledgement at all?',
        caption:
          'Time in a year during which too few nodes are connected to meet the policy, by how often each replica fails and ' +
          'for how long. By the formula for independent failures; logarithmic.',
        isOpen: false,
        ...pictures(degradedChart),
        table: degradedTable(policies),
      },
      {
        id: 'losses',
        title: 'What is lost when something fails?',
        caption: 'Acknowledged orders that no surviving node has.',
        isOpen: true,
        wide: '',
        narrow: '',
        legend: [],
        table: lossTable(policies),
      },
    ],
    rests: 'Every duration is drawn from one of these distributions, independently of the others.',
    assumptions: assumptionTable(result),
  };
}

const figure = (text: string, note?: string): Cell => ({ text, kind: 'number', ...(note ? { note } : {}) });

function head(policy: PolicyResult): { name: string; note?: string } {
  return policy.name === policy.policy ? { name: policy.name } : { name: policy.name, note: policy.policy };
}

function latencyTable(policies: readonly PolicyResult[]): Table {
  return {
    caption: 'Acknowledgement latency',
    header: ['policy', 'p50', 'p90', 'p99', 'p99.9', 'slowest', 'mean'],
    isNumbers: true,
    rows: policies.map((policy) => ({
      ...head(policy),
      cells:
        policy.latencyNs === null
          ? [{ text: `never: ${policy.unmet}`, kind: '', span: 6 }]
          : (['p50', 'p90', 'p99', 'p999', 'max', 'mean'] as const).map((name) =>
              figure(duration(policy.latencyNs?.[name] ?? 0)),
            ),
    })),
  };
}

function bindsTable(policies: readonly PolicyResult[]): Table {
  return {
    caption:
      'Who was waited for, as shares of all orders; and how often the gate opened for somebody who had waited',
    header: ['policy', 'journal', 'replication', 'gate openings'],
    isNumbers: true,
    rows: policies.map((policy) => ({
      ...head(policy),
      cells:
        policy.binds === null
          ? [{ text: `never acknowledges: ${policy.unmet}`, kind: '', span: 3 }]
          : [
              percent(policy.binds.journal),
              percent(policy.binds.replication),
              count(policy.binds.openings),
            ].map((text) => figure(text)),
    })),
  };
}

function degradedTable(policies: readonly PolicyResult[]): Table {
  return {
    caption: 'Degraded time a year; below it the share of the time, and what the simulated stage counted',
    header: ['policy', ...(policies[0]?.degraded ?? []).map((rate) => `fails ${rateText(rate)}`)],
    isNumbers: true,
    rows: policies.map((policy) => ({
      ...head(policy),
      cells: policy.degraded.map(({ share, simulated }) =>
        figure(
          perYear(share),
          `${percent(share)}; simulated ${percent(simulated.share)} in ${count(simulated.episodes)} ` +
            `${simulated.episodes === 1 ? 'episode' : 'episodes'}`,
        ),
      ),
    })),
  };
}

function lossTable(policies: readonly PolicyResult[]): Table {
  return {
    caption: 'Acknowledged orders lost',
    header: ['policy', ...Object.values(failureTexts)],
    short: ['policy', ...failures],
    isNumbers: false,
    rows: policies.map((policy) => ({
      ...head(policy),
      cells: policy.losses.map((loss) => lossCell(loss, policy)),
    })),
  };
}

function lossCell(loss: LossFigures, { unmet }: PolicyResult): Cell {
  const text = lossText(loss, unmet === null);
  if (unmet !== null) return { text, kind: '' };
  if (!loss.mayLose) return { text, kind: 'safe', note: 'by the policy' };
  const note = `at ${percent(loss.withLoss / Math.max(1, loss.moments))} of ${count(loss.moments)} moments`;
  return { text, kind: 'loss', note };
}

function assumptionTable({ assumptions }: WhatIfResult): Table {
  return {
    caption: 'Distributions and where they come from',
    header: ['what', 'from', 'source'],
    isNumbers: false,
    rows: assumptions.map(({ component, meaning, from, source }) => ({
      name: component,
      note: meaning,
      cells: [
        { text: from, kind: '' },
        { text: source, kind: '' },
      ],
    })),
  };
}
