import { type Clause, checkClause } from './clause.js';
import { policyError } from './policy-error.js';

/*
 * policy = clause { "&&" clause }
 * clause = level ">=" count [ "nodes" | "zones" ]        white space is free between the parts
 */

/** Reads the clauses of a policy text; a fault is an error with its position. */
export function parseClauses(text: string): Clause[] {
  if (text.trim() === '') {
    throw policyError('ERR_ACKGATE_POLICY_EMPTY', 'no clause, write for example "persisted>=1"', null, 0);
  }
  const clauses: Clause[] = [];
  let start = 0;
  while (true) {
    const joint = text.indexOf('&&', start);
    const end = joint === -1 ? text.length : joint;
    clauses.push(parseClause(text, start, end, clauses.length));
    if (joint === -1) return clauses;
    start = joint + 2;
  }
}

// `y` makes every match start exactly where the reader stands.
const spaces = /\s*/y;
const word = /[^\s<>=&|,;]+/y;

function parseClause(text: string, start: number, end: number, index: number): Clause {
  const clause = { index, text: text.slice(start, end).trim() };
  // Matching inside a cut keeps the end of the clause a hard border.
  const within = text.slice(0, end);
  let at = start;

  const skipSpaces = () => {
    spaces.lastIndex = at;
    spaces.test(within);
    at = spaces.lastIndex;
  };
  const takeWord = (): string | null => {
    skipSpaces();
    word.lastIndex = at;
    const match = word.exec(within);
    return match === null ? null : match[0];
  };
  const syntax = (what: string) => policyError('ERR_ACKGATE_POLICY_SYNTAX', what, clause, at);

  const level = takeWord();
  if (level === null) {
    throw at === end
      ? syntax('a clause is missing here, write level>=count on both sides of &&')
      : syntax('a clause begins with a level, write level>=count');
  }
  const levelAt = at;
  at += level.length;

  skipSpaces();
  if (!within.startsWith('>=', at)) {
    // An unknown level is the likelier mistake to report than what follows it.
    checkClause(level, 1, undefined, { ...clause, levelAt });
    throw syntax('expected >= and a count after the level');
  }
  at += 2;

  const count = takeWord();
  if (count === null) throw syntax('expected a count after >=');
  const countAt = at;
  at += count.length;

  const scope = takeWord();
  const scopeAt = at;
  if (scope !== null) at += scope.length;

  skipSpaces();
  // Digits beyond all number range are too large, not Infinity.
  const number = /^[0-9]+$/.test(count) ? Math.min(Number(count), Number.MAX_SAFE_INTEGER) : count;
  const place = { ...clause, levelAt, countAt, scopeAt };
  const checked = checkClause(level, number, scope ?? undefined, place);
  if (at !== end) throw syntax('expected && or the end of the policy');
  return checked;
}
