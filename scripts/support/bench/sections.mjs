// What the page says about each bench: a function that takes its result and returns Markdown. They are called only with
// a result; what is missing in it becomes a dash, or is left out where it would be a whole table.
import { headline } from './benches.mjs';
import {
  absent,
  count,
  folded,
  large,
  list,
  middle,
  number,
  paragraphs,
  ratio,
  spread,
  table,
} from './format.mjs';
import { egressVariants, findCase, variantName } from './variants.mjs';

const rate = (value) => spread(value, large);
const ratios = (value) => spread(value, ratio);

export function egress(result, chart) {
  const cases = list(result.cases);
  const quoted = findCase(cases, headline);
  const rest = cases.length > 1 ? cases : [];
  return paragraphs(
    `${headline.connections} connections, ${headline.frames} frames for each and round, ${headline.bytes} bytes in a frame: the case that is quoted. Medians of ${result.rounds ?? 'some'} rounds, in parentheses the quartiles.`,
    quoted && quotedTable(quoted),
    chart('cpu-by-variant', 'CPU per response by variant'),
    chart('ratio-over-connections', 'CPU per response, whole stage over limit, by connections and frames'),
    rest.length > 0 ? folded(`All ${cases.length} cases`, casesTable(cases)) : '',
  );
}

function quotedTable({ variants, ratios: found = {} }) {
  const stage = middle(variants?.uring?.cpuNs);
  const times = ({ key }) => {
    const own = middle(variants[key].cpuNs);
    return own === null || stage === null ? absent : `${ratio(own / stage)} ×`;
  };
  return paragraphs(
    table(
      ['variant', '>CPU per response, ns', '>of `ackgate, io_uring`', '>responses a second'],
      egressVariants
        .filter(({ key }) => variants?.[key] !== undefined)
        .map((variant) => [
          variant.name,
          spread(variants[variant.key].cpuNs),
          times(variant),
          rate(variants[variant.key].perSecond),
        ]),
    ),
    table(
      ['ratio of CPU per response, pair by pair', '>median (quartiles)'],
      [
        ['whole stage ÷ `limit`', ratios(found.stageOverLimit)],
        ['whole stage with the posix sender ÷ `limit`', ratios(found.posixOverLimit)],
        ['`classic` ÷ whole stage', ratios(found.classicOverStage)],
        ['`net.Socket`, a write per frame ÷ whole stage', ratios(found.netSocketOverStage)],
        ['`net.Socket`, corked ÷ whole stage', ratios(found.corkedOverStage)],
        ['responses a second, whole stage ÷ `limit`', ratios(found.throughputStageOverLimit)],
      ],
    ),
  );
}

function casesTable(cases) {
  const shown = egressVariants.filter(({ key }) => cases.some(({ variants }) => variants?.[key]));
  return paragraphs(
    'CPU per response, ns, medians; the last two are whole stage ÷ `limit`. *Grouped*: the frames of a connection are in a row; *interleaved*: those of all connections in turn.',
    table(
      [
        '>connections',
        '>frames',
        '>bytes',
        'order',
        ...shown.map(({ name }) => `>${name}`),
        '>CPU (quartiles)',
        '>throughput',
      ],
      cases.map((one) => [
        count(one.connections),
        one.frames,
        one.bytes,
        one.order,
        ...shown.map(({ key }) => number(middle(one.variants?.[key]?.cpuNs))),
        ratios(one.ratios?.stageOverLimit),
        ratio(middle(one.ratios?.throughputStageOverLimit)),
      ]),
    ),
  );
}

const sickWords = { stopped: 'stopped reading', trickle: 'read a trickle', reset: 'reset' };

export function isolation(result, chart) {
  const cases = list(result.cases);
  const us = (value) => number(value);
  return paragraphs(
    `${count(result.clients)} clients; then ${count(result.sick)} of them are sick. The latency of the healthy ones without and with them, µs, in the same run. The noise floor is the p99 without sick ones ÷ that of another time without.`,
    chart('isolation', 'p99 of the healthy clients with and without sick ones'),
    table(
      [
        'variant',
        'the sick ones',
        '>p50 without',
        '>p50 with',
        '>p99 without',
        '>p99 with',
        '>p99 with ÷ without',
        '>noise floor',
        '',
      ],
      cases.map((one) => [
        variantName(one.variant),
        sickWords[one.sickness] ?? one.sickness,
        us(one.without?.p50Us),
        us(one.with?.p50Us),
        us(one.without?.p99Us),
        us(one.with?.p99Us),
        ratios(one.p99Ratio),
        ratios(one.noiseFloor),
        one.note ?? '',
      ]),
    ),
  );
}

export function scale(result, chart) {
  const cpu = list(result.cpu);
  const { idle = {} } = result;
  const load = result.batch
    ? ` Each batch answers the next ${count(result.batch.connections)} connections with ${count(result.batch.frames)} frames each.`
    : '';
  return paragraphs(
    `The same load over more and more connections.${load} At most ${count(result.fdLimit)} file descriptors.`,
    chart('cpu-over-connections', 'CPU per response over the number of connections'),
    table(
      ['>connections', '>CPU per response, ns', '>limit (C), ns', '>÷ limit', '>sends per response'],
      cpu.map((row) => [
        count(row.connections),
        spread(row.cpuNs),
        spread(row.limitCpuNs),
        ratios(row.overLimit),
        number(middle(row.sendsPerResponse)),
      ]),
    ),
    table(
      ['', '>measured'],
      [
        ['CPU per response, 4,096 ÷ 64 connections', ratios(result.ratios?.cpu4096Over64)],
        ...optional('the same for limit (C)', result.ratios?.limit4096Over64, ratios),
        ...optional('CPU per response, 16,384 ÷ 64 connections', result.ratios?.cpu16384Over64, ratios),
        [
          `resident bytes per idle connection, at ${count(idle.connections)}`,
          spread(idle.bytesPerConnection),
        ],
        ...optional('the same after it got an answer', idle.bytesPerConnectionAfterUse),
        ...optional('the same after many others came and went', idle.bytesPerConnectionAfterChurn),
        ...optional('of these, objects of the thread that attached it', idle.heapBytesPerConnection),
        ...optional('the kernel’s page tables for it, not in these', idle.pageTableBytesPerConnection),
        ['attached a second', rate(result.attachPerSecond)],
        ['detached a second', rate(result.detachPerSecond)],
      ],
    ),
  );
}

const optional = (what, value, write = spread) => (middle(value) === null ? [] : [[what, write(value)]]);

const mebibytes = (bytes) => number(bytes / 2 ** 20);
const held = {
  fds: 'descriptors',
  slots: 'connections of the stage',
  permits: 'permits of the connection limit',
  pendingPushes: 'pushes that wait for a reply',
  handling: 'requests being handled',
};

export function churn(result) {
  const { quiet, busy, before, after } = result;
  const rounds = count(result.rounds);
  return paragraphs(
    `${count(result.staying)} clients that stay ask and get answers over a supervised, gated stage, and think for 5 ms in between. Beside them others come and go, ${count(result.atOnce)} at once, ${count(result.churned)} in each of ${rounds} rounds: they connect, ask, get their answer, and leave by an end of stream, a reset, a disconnect frame, half a frame and a reset, or garbage, with up to two pushes that they have not replied to. All clients are JavaScript here: what they wait for themselves is in the figures. They ask again only after an answer, which is not corrected for. A gap is the time between two answers to one client, its thinking included.`,
    table(
      ['what', '>without churn', '>with churn'],
      [
        ['connections that came and went, a second', absent, rate(result.churnPerSecond)],
        ['answer after, p50, µs', spread(quiet?.p50Us), spread(busy?.p50Us)],
        ['p99, µs', spread(quiet?.p99Us), spread(busy?.p99Us)],
        ['p99.9, µs', spread(quiet?.p999Us), spread(busy?.p999Us)],
        ['largest gap of a round, ms', spread(quiet?.gapMs), spread(busy?.gapMs)],
        ['largest gap of all, ms', number(quiet?.gapMsMax), number(busy?.gapMsMax)],
      ],
    ),
    'What the server holds once those that came are gone, and its memory after a collection:',
    table(
      ['', '>before', `>after ${rounds} rounds`],
      [
        ...Object.entries(held).map(([name, what]) => [what, count(before?.[name]), count(after?.[name])]),
        ['resident, MiB', mebibytes(before?.rss), list(result.rss).map(mebibytes).join(', ')],
        ['heap, MiB', mebibytes(before?.heap), list(result.heap).map(mebibytes).join(', ')],
      ],
    ),
  );
}

export function soak(result) {
  return paragraphs(
    `A load of 5,000 requests a second by 50 clients in an open loop, with a sample every second and a window every ten, kept as a soak keeps them. Time is virtual, and the server answers in the call that sends the request: what is left is the runner's own. ${count(result.requests)} requests, ${number(result.cpuNsPerRequest / 1000)} µs of CPU each.`,
    table(
      ['when', '>heap after a collection, MiB', '>resident, MiB'],
      list(result.points).map(({ name, heapBytes, rssBytes }) => [
        name,
        mebibytes(heapBytes),
        mebibytes(rssBytes),
      ]),
    ),
  );
}

/** Set-ups and limits side by side; the first of each comparison is what is in use. */
export function candidates(result) {
  return paragraphs(
    'The first row of each table is what is in use; the others are compared with it, round by round.',
    ...list(result.comparisons).map(({ what, connections, frames, bytes, order, rows }) =>
      table(
        [
          `${what}: ${count(connections)} connections × ${frames} × ${bytes} B, ${order}`,
          '>CPU per response, ns',
          '>÷ the first',
        ],
        rows.map(({ name, cpuNs, overInUse }) => [name, spread(cpuNs), ratios(overInUse)]),
      ),
    ),
  );
}

const microWords = {
  'ring-two-threads': 'ring between two threads, 64 B records',
  'post-message-two-threads': '`postMessage` between two threads, a message per record',
  'post-message-batches-two-threads': '`postMessage` between two threads, records in batches',
  'ringbuf-js-two-threads': 'ringbuf.js between two threads',
  'policy-evaluation': 'policy evaluation, 3 nodes, 2 clauses',
  'stage-null-sender': 'the stage alone, per record',
  'stage-null-sender-in-turn': 'the stage alone, per record, connections in turn',
  'stage-null-sender-encoder': 'the stage alone with an encoder, per record',
  publish: 'claim and publish, per record',
  'heartbeat-tick': 'heartbeat tick, 16,384 connections, nothing due',
  'heartbeat-tick-together': 'the same, all of them written to at the same moment',
  collections: 'garbage collections in 10 million records',
};
const unitWords = { us: 'µs', count: '' };

export function micro(result) {
  const cases = list(result.cases);
  const ratioRows = [
    ['ringOverPostMessage', 'ring ÷ `postMessage`, a message per record'],
    ['ringOverPostMessageBatches', 'ring ÷ `postMessage`, in batches'],
    ['ringOverRingbuf', 'ring ÷ ringbuf.js'],
  ].flatMap(([key, what]) => optional(what, result.ratioSpreads?.[key] ?? result.ratios?.[key]));
  return paragraphs(
    'Parts by themselves, without a kernel. *The stage alone* is ring, gate, encode, append and flush with a sender that takes every byte at once.',
    table(
      ['what', '>median (quartiles)', 'unit'],
      [
        ...cases.map((one) => [
          microWords[one.name] ?? one.name,
          one.unit === 'per second' ? rate(one) : spread(one),
          unitWords[one.unit] ?? one.unit,
        ]),
        ...ratioRows.map(([what, value]) => [what, value, '×']),
      ],
    ),
  );
}

export function diagnosis(result) {
  return paragraphs(
    'The stage alone, as above, with 256 connections and 4 answers of 64 bytes each at a time: the median of many short turns, in processes of their own that take turns. *Off after capture* has had every record captured before. A directive that selects nothing still has to be looked at for each record.',
    table(
      ['in force', '>ns per record', '>÷ off, pair by pair'],
      list(result.cases).map(({ name, nsPerRecord, overOff }) => [
        name,
        spread(nsPerRecord),
        ratios(overOff),
      ]),
    ),
  );
}
