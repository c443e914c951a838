import { randomInt } from 'node:crypto';
import { AckgateError } from '../errors.js';
import { askAll } from './ask.js';
import type { Connected } from './connect.js';
import { type History, highestTerm, type Log, logEnd, moreUpToDate, takeTerm } from './history.js';
import {
  isPlausibleTerm,
  type PrimaryReply,
  primaryReplyCodec,
  primaryRequestCodec,
  type StandingReply,
  type StandingRequest,
  type Subjects,
  standingReplyCodec,
  standingRequestCodec,
} from './messages.js';

/** Terms of two that took office in one millisecond differ by this or less. */
const termSpread = 1_000;

/** How long a node is given to answer. */
const answerTimeoutMs = 300;

/** How long one that has answered is given to promise: its disk has to keep that. */
const promiseMs = 5_000;

export interface Candidate {
  readonly node: string;
  readonly primaryId: string;
  readonly log: Log;
  /** Highest term that this node has promised to somebody; 0: none. */
  readonly promised: number;
  /** Also when a primary is there. */
  readonly takeOver: boolean;
  /** Replicas that must have answered. */
  readonly replicas: readonly string[];
}

/** What was heard from the others. */
export interface Answers {
  readonly primaries: readonly PrimaryReply[];
  readonly standings: readonly StandingReply[];
}

/**
 * Asks everybody who is primary and how far they are.
 *
 * @throws ERR_ACKGATE_NATS_UNREACHABLE when the server itself does not answer
 */
export async function askEverybody(nats: Connected, subjects: Subjects): Promise<Answers> {
  const [primaries, standings] = await Promise.all([
    askAll<PrimaryReply>(nats, {
      subject: subjects.primary,
      request: primaryRequestCodec.encode({}),
      decode: primaryReplyCodec.decode,
      waitMs: answerTimeoutMs,
    }),
    askStandings(nats, subjects, { candidate: null }, answerTimeoutMs),
  ]);
  return { primaries, standings };
}

function askStandings(
  nats: Connected,
  subjects: Subjects,
  request: StandingRequest,
  waitMs: number,
  isEnough?: (answers: readonly StandingReply[]) => boolean,
): Promise<StandingReply[]> {
  return askAll<StandingReply>(nats, {
    subject: subjects.standing,
    request: standingRequestCodec.encode(request),
    decode: standingReplyCodec.decode,
    waitMs,
    ...(isEnough === undefined ? {} : { isEnough }),
  });
}

/**
 * Takes office: finds a term above all others, has everybody promise not to follow an earlier one, and makes sure that
 * after that promise nobody has more than the candidate.
 *
 * It is no election: whoever does not answer is not waited for, unless it is named in `replicas`. Whoever has answered
 * must promise, too: it follows an earlier primary else, and what that writes would be cut.
 *
 * @returns the history to be written down before anything is published
 * @throws ERR_ACKGATE_SUPERSEDED when a primary is there; ERR_ACKGATE_REPLICA_AHEAD when a replica has more;
 *   ERR_ACKGATE_NODE_TWICE, ERR_ACKGATE_JOURNAL_LINEAGE, ERR_ACKGATE_NATS_UNREACHABLE, ERR_ACKGATE_CLOCK_SKEW
 */
export async function takeOffice(
  nats: Connected,
  subjects: Subjects,
  candidate: Candidate,
): Promise<History> {
  const before = await askEverybody(nats, subjects);
  const term = chooseTerm(candidate, before);
  const { node, primaryId } = candidate;
  const request = { candidate: { node, term, primaryId } };
  // Those in `replicas` are among them by now.
  const expected = before.standings.map((standing) => standing.node);
  const silentAmong = (answers: readonly StandingReply[]) =>
    expected.filter((name) => !answers.some((answer) => answer.node === name));
  // With nobody expected, who has turned up since is given the time of the first question.
  const promised = await (expected.length === 0
    ? askStandings(nats, subjects, request, answerTimeoutMs)
    : askStandings(nats, subjects, request, promiseMs, (answers) => silentAmong(answers).length === 0));
  const silent = silentAmong(promised);
  if (silent.length > 0) {
    const message =
      `${quoted(silent)} answered, and then did not promise within ${promiseMs} ms to follow no earlier primary: it may ` +
      'have records that count. Open again once it answers; if it is gone for good, and what it has may be lost, ' +
      'end it before';
    throw new AckgateError('ERR_ACKGATE_NATS_UNREACHABLE', message);
  }
  checkStandings(candidate, promised);
  const other = promised.find((standing) => standing.term > term || standing.following !== primaryId);
  if (other !== undefined) {
    const message = `replica "${other.node}" follows another primary, of term ${other.term}: two took office at once`;
    throw new AckgateError('ERR_ACKGATE_SUPERSEDED', message);
  }
  return takeTerm(candidate.log, term);
}

/**
 * The term to take, by what was heard, or why none may be taken. Above all that are known; and not just the next one, but
 * the time with a little chance in it: of two nodes that can't hear each other, and both take office, both would take the
 * next one, and their records would pass for the same.
 */
export function chooseTerm(
  candidate: Candidate,
  { primaries, standings }: Answers,
  nowMs = Date.now(),
): number {
  const { node, log, takeOver, promised } = candidate;
  const primary = primaries[0];
  if (primary !== undefined && !takeOver) {
    const message =
      `node "${primary.node}" is the primary, of term ${primary.term}, and is running: stop it first, ` +
      'or open with takeOver: true to depose it';
    throw new AckgateError('ERR_ACKGATE_SUPERSEDED', message);
  }
  const twice = standings.find((standing) => standing.node === node);
  if (twice !== undefined) {
    const message = `node name "${node}" is in use by a replica that is running: stop that, or give this node another name`;
    throw new AckgateError('ERR_ACKGATE_NODE_TWICE', message);
  }
  checkStandings(candidate, standings);
  const implausible = [...primaries, ...standings].find(({ term }) => !isPlausibleTerm(term, nowMs));
  if (implausible !== undefined) throw farAhead(`node "${implausible.node}"`, implausible.term);
  const own = Math.max(highestTerm(log.history), promised);
  if (!isPlausibleTerm(own, nowMs)) throw farAhead('the directory here', own);
  const terms = [...primaries, ...standings].map(({ term }) => term);
  return Math.max(Math.floor(nowMs), own, ...terms) + randomInt(1, termSpread);
}

/** Nobody with a right clock would follow. */
function farAhead(who: string, term: number): AckgateError {
  const message =
    `${who} knows of term ${term}, which is more than a year ahead of the clock here: set the clocks. Terms are times ` +
    'in milliseconds; one that a wrong clock has left has to be taken out of the directory by hand';
  return new AckgateError('ERR_ACKGATE_CLOCK_SKEW', message);
}

const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');

/** What must hold of the others for a candidate to have everything that may count. */
export function checkStandings({ log, replicas }: Candidate, standings: readonly StandingReply[]): void {
  const silent = replicas.filter((name) => !standings.some((standing) => standing.node === name));
  if (silent.length > 0) {
    const message =
      `${quoted(silent)} did not answer within ${answerTimeoutMs} ms: start the replica, ` +
      'or leave it out of `replicas` if what it has may be lost';
    throw new AckgateError('ERR_ACKGATE_NATS_UNREACHABLE', message);
  }
  const own = logEnd(log);
  for (const { node, lineage, lastTerm, last } of standings) {
    if (last === 0) continue;
    const ownLineage = log.history?.lineage ?? null;
    if (ownLineage !== null && lineage !== null && ownLineage !== lineage) {
      const message =
        `the journal of replica "${node}" is of lineage ${lineage}, the one here of ${ownLineage}: they have nothing ` +
        'in common. Is this the right cluster and the right directory?';
      throw new AckgateError('ERR_ACKGATE_JOURNAL_LINEAGE', message);
    }
    if (moreUpToDate({ term: lastTerm, last }, own)) {
      const message =
        `replica "${node}" has more of the journal (up to sequence ${last} of term ${lastTerm}) than the directory ` +
        `here (up to ${own.last} of term ${own.term}): what it has may have been acknowledged. Start the primary there, ` +
        'and this directory as a replica';
      throw new AckgateError('ERR_ACKGATE_REPLICA_AHEAD', message);
    }
  }
}
