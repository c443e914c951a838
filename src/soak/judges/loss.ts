import type { Finding, FindingId } from '../findings.js';
import { count, percent } from '../format.js';
import { type LossCounts, requestCountNames } from '../samples.js';
import type { Thresholds } from '../thresholds.js';
import { fail, finding, inconclusive, type Judgement, pass } from './judgement.js';
import { isCount } from './readings.js';

const counted = [
  ...requestCountNames,
  'late',
  'missing',
  'duplicated',
  'disordered',
  'corrupted',
  'connectionsLost',
  'connectionsMade',
] as const;

/** Requests whose end is known and not of the runner's own making. */
const settled = ({ expected, unexpected, timedOut, lost, unsent }: LossCounts) =>
  expected + unexpected + timedOut + lost + unsent;

/** Why the counts show nothing about a server that seems to have lost nothing; null when they do. */
function baseProblem(losses: LossCounts): string | null {
  const broken = counted.find((name) => !isCount(losses[name]));
  if (broken !== undefined) return `The count of ${broken} is ${losses[broken]}, which can't be`;
  const { due, expected, timedOut, late, abandoned } = losses;
  const outstanding = due - settled(losses) - abandoned;
  if (outstanding < 0 || late > timedOut) return 'The counts of requests do not add up';
  if (due === 0) return 'Nothing was asked of the server';
  if (expected === 0) return 'No request was answered as expected';
  if (settled(losses) * 2 < due) {
    return `Only ${count(settled(losses))} of ${count(due)} requests came to an end that says something`;
  }
  return null;
}

const plural = (value: number, one: string, many: string) => `${count(value)} ${value === 1 ? one : many}`;

/**
 * Something that must not happen at all. What was seen counts, whatever the other counts are worth.
 *
 * @param like examples of it: the first few that a run keeps may all be of another kind
 */
function none(
  losses: LossCounts,
  found: readonly (readonly [number, string, string])[],
  like: RegExp,
): Judgement {
  const measured = { found: found.reduce((sum, [value]) => sum + value, 0), due: losses.due };
  const some = found.filter(([value]) => isCount(value) && value > 0);
  if (some.length > 0) {
    const what = some.map(([value, one, many]) => plural(value, one, many)).join(', ');
    const example = losses.examples.find((text) => like.test(text));
    const suchAs = example === undefined ? '' : `, such as: ${example}`;
    return fail(
      `There are ${what} in ${plural(losses.due, 'request', 'requests')}; none are allowed${suchAs}`,
      measured,
    );
  }
  const problem = baseProblem(losses);
  if (problem !== null) return inconclusive(problem, measured);
  const what = found.map(([, , many]) => many).join(' or ');
  return pass(`There are no ${what} in ${plural(losses.due, 'request', 'requests')}`, measured);
}

function unanswered(losses: LossCounts): Judgement {
  const { due, abandoned, timedOut, late, missing, lost } = losses;
  const judgement = none(
    losses,
    [
      [missing, 'missing answer', 'missing answers'],
      [lost, 'request lost with its connection', 'requests lost with their connections'],
      [timedOut - late, 'request never answered', 'requests never answered'],
    ],
    /: (missing|connection lost):|no answer to request/,
  );
  const outstanding = due - settled(losses) - abandoned;
  if (judgement.verdict !== 'pass' || outstanding === 0) return judgement;
  return inconclusive(
    `What became of ${plural(outstanding, 'request', 'requests')} is not known`,
    judgement.measured,
  );
}

function success(losses: LossCounts, { successShareMin }: Thresholds): Judgement {
  const broken = requestCountNames.find((name) => !isCount(losses[name]));
  if (broken !== undefined)
    return inconclusive(`The count of ${broken} is ${losses[broken]}, which can't be`);
  const { expected, unexpected, timedOut, lost, unsent } = losses;
  const judged = settled(losses);
  if (judged === 0) return inconclusive('No request came to an end that says something', { judged });
  const share = expected / judged;
  const measured = { successShare: share, judged, expected, unexpected, timedOut, lost, unsent };
  const others = [
    plural(unexpected, 'unexpected answer', 'unexpected answers'),
    `${count(timedOut)} timed out`,
    `${count(lost)} lost`,
    `${count(unsent)} not sent`,
  ].join(', ');
  const detail = `${percent(share, 3)} of ${plural(judged, 'request', 'requests')} ended as expected (${others}); at least ${percent(successShareMin, 3)}`;
  if (!(share >= successShareMin)) return fail(detail, measured);
  const problem = baseProblem(losses);
  return problem === null ? pass(detail, measured) : inconclusive(problem, measured);
}

/** Whether every request was answered exactly once, in order, with what was expected. */
export function judgeLoss(losses: LossCounts, thresholds: Thresholds): Finding[] {
  const connections =
    losses.connectionsMade === 0 && losses.connectionsLost === 0
      ? inconclusive('No connection was made')
      : none(losses, [[losses.connectionsLost, 'connection lost', 'connections lost']], /: connection lost:/);
  const found: readonly (readonly [FindingId, Judgement])[] = [
    ['loss-missing', unanswered(losses)],
    [
      'loss-duplicated',
      none(losses, [[losses.duplicated, 'duplicated answer', 'duplicated answers']], /: duplicated:/),
    ],
    [
      'loss-order',
      none(losses, [[losses.disordered, 'answer out of order', 'answers out of order']], /: disordered:/),
    ],
    [
      'loss-content',
      none(losses, [[losses.corrupted, 'corrupted answer', 'corrupted answers']], /: corrupted:/),
    ],
    ['loss-connections', connections],
  ];
  return [
    ...found.map(([id, judgement]) => finding(id, judgement, thresholds)),
    finding('loss-success', success(losses, thresholds), thresholds, ['successShareMin']),
  ];
}
