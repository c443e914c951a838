import { AckgateError } from '../errors.js';
import { type Log, logEnd, type Term } from './history.js';

/**
 * The sequence up to which a replica's log and its primary's are the same: behind it the replica's is to be cut. Never
 * behind something that the primary lacks, and never before something that both have.
 *
 * @throws ERR_ACKGATE_JOURNAL_LINEAGE when the two have nothing to do with each other
 */
export function cutPoint(own: Log, primary: Log): number {
  const most = Math.min(own.last, primary.last);
  if (own.last < (own.firstKept ?? 1)) return most;
  checkLineage(own, primary);
  const mine = own.history!.terms;
  const theirs = primary.history!.terms;
  // From the last to the first: the highest term of which both have records.
  let i = mine.length - 1;
  let j = theirs.length - 1;
  while (i >= 0 || j >= 0) {
    const mineNow = termAt(mine, i);
    const theirsNow = termAt(theirs, j);
    const isCommon = mineNow.term === theirsNow.term;
    if (isCommon && Math.max(mineNow.first, theirsNow.first) <= most) break;
    if (mineNow.term >= theirsNow.term) i--;
    if (theirsNow.term >= mineNow.term) j--;
  }
  return Math.min(endOf(mine, i, own.last), endOf(theirs, j, primary.last));
}

/**
 * Whether a replica may be cut at `point`. Records that it had as a replica may have been acknowledged on the strength of
 * it, also when the primary lacks them: a primary that was led by memory has crashed, and another than the furthest node
 * took office while this one was away. Only what it wrote as the primary itself may go: a replica that has it speaks for
 * it.
 *
 * @throws ERR_ACKGATE_REPLICA_AHEAD
 */
export function checkCut(own: Log, primary: Log, point: number): void {
  if (point >= own.last) return;
  const office = primary.history!.terms.at(-1)!;
  const took = logEnd({ history: primary.history, last: office.first - 1 });
  const here = logEnd(own);
  const isOwn = point + 1 >= (own.history?.ledFrom ?? Number.POSITIVE_INFINITY);
  if (isOwn && here.term <= took.term) return;
  const message =
    `the journal here goes up to sequence ${here.last} of term ${here.term}; the primary took office, in term ` +
    `${office.term}, with one up to sequence ${took.last} of term ${took.term}, and lacks what is here from ` +
    `${point + 1} on, which may have been acknowledged. Start the primary with the directory of this node; or, when ` +
    'an operator decides that these records are to go, empty this directory';
  throw new AckgateError('ERR_ACKGATE_REPLICA_AHEAD', message);
}

const beginning: Term = { term: 0, first: 0 };

function termAt(terms: readonly Term[], i: number): Term {
  return i < 0 ? beginning : terms[i]!;
}

function endOf(terms: readonly Term[], i: number, last: number): number {
  const next = terms[i + 1];
  return next === undefined ? last : Math.min(next.first - 1, last);
}

function checkLineage(own: Log, primary: Log): void {
  if (own.history !== null && own.history.lineage === primary.history?.lineage) return;
  const mine = own.history === null ? 'of no lineage' : `of lineage ${own.history.lineage}`;
  throw new AckgateError(
    'ERR_ACKGATE_JOURNAL_LINEAGE',
    `the journal here (up to sequence ${own.last}) is ${mine}, the primary's of lineage ` +
      `${primary.history?.lineage ?? '(none)'}: they have nothing in common. If this is the right cluster, ` +
      'give the replica an empty directory and it copies everything',
  );
}
