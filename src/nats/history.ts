import { randomUUID } from 'node:crypto';
import { AckgateError } from '../errors.js';

/** A primary's time in office, and the sequence of the first record that it wrote, or would have written, in it. */
export interface Term {
  readonly term: number;
  readonly first: number;
}

/**
 * Who wrote which records of a journal. Only one primary writes in a term, and it begins with what it has; so two
 * journals of one lineage that have a record of the same sequence and term have the same records up to there.
 */
export interface History {
  /** Drawn when the first primary of all took office: journals of two lineages have nothing in common. */
  readonly lineage: string;
  /** In order. What comes before the first of them was there when the lineage began; it counts as of term 0. */
  readonly terms: readonly Term[];
  /** Counted up whenever the node starts, is cut, or follows another primary: the epoch of its cursor frames. */
  readonly incarnation: number;
  /**
   * The records from this sequence on the node wrote itself, as the primary, and it has followed nobody since. Those
   * before it, all when it is null, it had as a replica: an acknowledgement may rest on them.
   */
  readonly ledFrom: number | null;
}

/** A journal's history and its last sequence. Terms that begin after that have no records in it. */
export interface Log {
  /** Null: it has never had a primary. */
  readonly history: History | null;
  readonly last: number;
  /** Oldest sequence that is kept (default 1); one more than `last` when nothing is. */
  readonly firstKept?: number;
}

/** How far a log goes: the term of its last record, and that record's sequence. */
export interface LogEnd {
  readonly term: number;
  readonly last: number;
}

export function logEnd({ history, last }: Log): LogEnd {
  const term = history?.terms.findLast(({ first }) => first <= last)?.term ?? 0;
  return { term, last };
}

/** Whether `a` may have records that count and `b` lacks. */
export function moreUpToDate(a: LogEnd, b: LogEnd): boolean {
  return a.term === b.term ? a.last > b.last : a.term > b.term;
}

/** Highest term that the history knows, with or without records; 0: none. */
export function highestTerm(history: History | null): number {
  return history?.terms.at(-1)?.term ?? 0;
}

/**
 * The history of a primary that takes office with what its log has. Terms that left no record in it are forgotten.
 *
 * @param term higher than every term that anybody has told of
 * @throws ERR_ACKGATE_INVALID_ARGUMENT when the log knows that term or a higher one
 */
export function takeTerm({ history, last }: Log, term: number): History {
  const highest = highestTerm(history);
  if (!Number.isSafeInteger(term) || term <= highest) {
    const message = `term must be an integer higher than ${highest}, which this journal knows, got ${term}`;
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
  }
  const kept = history?.terms.filter(({ first }) => first <= last) ?? [];
  return {
    lineage: history?.lineage ?? randomUUID(),
    terms: [...kept, { term, first: last + 1 }],
    incarnation: history?.incarnation ?? 0,
    ledFrom: Math.min(history?.ledFrom ?? last + 1, last + 1),
  };
}

/**
 * The history of a replica from the moment when it follows a primary. Its journal has been cut by then, and this is
 * not written down before: else what is to be cut would pass for the primary's.
 */
export function follow(own: History | null, primary: History, nowMs?: number): History {
  const { lineage, terms } = primary;
  return { lineage, terms, incarnation: nextIncarnation(own, nowMs), ledFrom: null };
}

/**
 * Higher than any that this node has had. It starts from the clock, so that a node whose directory was emptied does not
 * begin again with what the primary has long seen.
 */
export function nextIncarnation(history: History | null, nowMs: number = Date.now()): number {
  return Math.max((history?.incarnation ?? 0) + 1, Math.floor(nowMs));
}
