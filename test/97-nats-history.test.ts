import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  cutPoint,
  follow,
  type History,
  highestTerm,
  type Log,
  logEnd,
  moreUpToDate,
  nextIncarnation,
  takeTerm,
} from '#ackgate/nats/history.js';
import { decodeHistory, encodeHistory, readHistory, writeHistory } from '#ackgate/nats/history-file.js';
import { temporaryDirectory } from './support/journal.js';

const lineage = '6f1c8f6e-4a52-4f0b-9a53-0d9f1c7f8a10';
const history = (...terms: [term: number, first: number][]): History => ({
  lineage,
  terms: terms.map(([term, first]) => ({ term, first })),
  incarnation: 1,
});

/** Small and repeatable. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A node of the model: its records by who wrote them, told apart by a mark that no two records share. */
interface Node {
  marks: string[];
  history: History | null;
}

const logOf = ({ marks, history }: Node): Log => ({ history, last: marks.length });

/** What cutting is about, the slow way: how many records two journals have in common from the first one on. */
function sharedRecords(a: Node, b: Node): number {
  const differs = a.marks.findIndex((mark, i) => mark !== b.marks[i]);
  return differs === -1 ? a.marks.length : differs;
}

test('random clusters: the cut keeps what both have, and nothing that the primary lacks', () => {
  let cuts = 0;
  let reallyCut = 0;
  for (let seed = 1; seed <= 1500; seed++) {
    const random = numbersFrom(seed);
    // Some lineages begin on records that were there before.
    const base = Array.from({ length: random(3) * random(4) }, (_, i) => `before ${i}`);
    const nodes: Node[] = Array.from({ length: 2 + random(3) }, () => ({ marks: [], history: null }));
    nodes[0]!.marks = [...base];
    let term = 0;
    let primary = 0;
    const office = (who: number) => {
      primary = who;
      term += 1 + random(2);
      nodes[who]!.history = takeTerm(logOf(nodes[who]!), term);
    };
    office(0);
    let written = 0;
    for (let step = 0; step < 40; step++) {
      const node = nodes[primary]!;
      const other = (primary + 1 + random(nodes.length - 1)) % nodes.length;
      const replica = nodes[other]!;
      const what = random(6);
      if (what <= 1) {
        for (let i = random(4); i >= 0; i--) node.marks.push(`${term} ${written++}`);
      } else if (what <= 3) {
        // A replica follows: cut, then fetch some of what is missing.
        const cut = cutPoint(logOf(replica), logOf(node));
        expect({ seed, cut }).toEqual({ seed, cut: sharedRecords(replica, node) });
        cuts++;
        if (cut < replica.marks.length) reallyCut++;
        replica.marks.length = cut;
        replica.history = follow(replica.history, node.history!);
        const until = cut + random(node.marks.length - cut + 1);
        replica.marks.push(...node.marks.slice(cut, until));
      } else if (what === 4) {
        // The primary dies with some of what it has said, and comes back, or another takes over, with less at times.
        node.marks.length = Math.max(0, node.marks.length - random(5));
        office(replica.history === null || random(2) === 0 ? primary : other);
      } else if (replica.history !== null) {
        // A replica loses what it had not yet on disk.
        replica.marks.length = Math.max(0, replica.marks.length - random(3));
      }
    }
  }
  console.log(`${cuts} cuts, ${reallyCut} of them removed something`);
  expect(reallyCut).toBeGreaterThan(1000);
});

test('a log that is more up to date is one whose last record is of a later term, or the longer one', () => {
  const one = logEnd({ history: history([1, 1], [2, 6]), last: 5 });
  expect(one).toEqual({ term: 1, last: 5 });
  const two = logEnd({ history: history([1, 1], [2, 4]), last: 4 });
  expect(two).toEqual({ term: 2, last: 4 });
  expect(moreUpToDate(two, one)).toBe(true);
  expect(moreUpToDate(one, two)).toBe(false);
  expect(moreUpToDate(one, one)).toBe(false);
  expect(moreUpToDate({ term: 1, last: 6 }, one)).toBe(true);
  expect(logEnd({ history: null, last: 7 })).toEqual({ term: 0, last: 7 });
  expect(logEnd({ history: history([3, 8]), last: 7 })).toEqual({ term: 0, last: 7 });
});

test('an office begins behind the last record; those that left nothing are forgotten', () => {
  const first = takeTerm({ history: null, last: 0 }, 1);
  expect(first.terms).toEqual([{ term: 1, first: 1 }]);
  const idle = takeTerm({ history: first, last: 0 }, 2);
  expect(idle.terms).toEqual([{ term: 2, first: 1 }]);
  const next = takeTerm({ history: idle, last: 9 }, 5);
  expect(next.terms).toEqual([
    { term: 2, first: 1 },
    { term: 5, first: 10 },
  ]);
  expect(next.lineage).toBe(first.lineage);
  expect(highestTerm(next)).toBe(5);
  expect(highestTerm(null)).toBe(0);
  for (const term of [5, 4, 6.5, Number.NaN]) {
    expect(() => takeTerm({ history: next, last: 9 }, term)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
    );
  }
  expect(takeTerm({ history: null, last: 0 }, 1).lineage).not.toBe(first.lineage);
});

test('journals of two lineages are not cut; an empty one has nothing to lose', () => {
  const primary = { history: history([1, 1]), last: 8 };
  const other = { ...history([1, 1]), lineage: '00000000-4a52-4f0b-9a53-0d9f1c7f8a10' };
  const refused = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_LINEAGE' });
  expect(() => cutPoint({ history: other, last: 3 }, primary)).toThrow(refused);
  expect(() => cutPoint({ history: null, last: 3 }, primary)).toThrow(refused);
  expect(cutPoint({ history: other, last: 0 }, primary)).toBe(0);
  expect(cutPoint({ history: null, last: 0 }, primary)).toBe(0);
  expect(cutPoint({ history: null, last: 5, firstKept: 6 }, primary)).toBe(5);
});

test('incarnations only go up, also after the directory was emptied and when the clock stands still', () => {
  expect(nextIncarnation(null, 1_700_000_000_000.5)).toBe(1_700_000_000_000);
  const seen = { ...history([1, 1]), incarnation: 1_700_000_000_000 };
  expect(nextIncarnation(seen, 1_600_000_000_000)).toBe(1_700_000_000_001);
  expect(nextIncarnation(seen, 1_800_000_000_000)).toBe(1_800_000_000_000);
  expect(follow(seen, history([4, 3]), 0)).toEqual({
    lineage,
    terms: [{ term: 4, first: 3 }],
    incarnation: 1_700_000_000_001,
  });
});

test('what is written down is what is read, and nothing is left over', () => {
  const directory = temporaryDirectory();
  expect(readHistory(directory)).toBeNull();
  const written = history([1, 1], [3, 1], [2 ** 53 - 1, 2 ** 53 - 1]);
  writeHistory(directory, history([1, 1]));
  writeHistory(directory, written);
  expect(readHistory(directory)).toEqual(written);
  expect(readdirSync(directory)).toEqual(['history.json']);
  expect(JSON.parse(readFileSync(join(directory, 'history.json'), 'utf8'))).toEqual({
    format: 1,
    ...written,
  });
  expect(decodeHistory(encodeHistory({ ...written, ...{ more: 1 } }))).toEqual(written);
});

test.each([
  ['', 'it is not JSON'],
  ['{"format":1', 'it is not JSON'],
  ['[]', 'it is not an object'],
  ['{}', 'its format is undefined, this version reads 1'],
  [{ format: 2 }, 'its format is 2, this version reads 1'],
  [{ lineage: undefined }, 'it has no lineage'],
  [{ more: 1 }, 'it has "more", which is unknown'],
  [{ lineage: lineage.toUpperCase() }, 'lineage is not a UUID'],
  [{ incarnation: -1 }, 'incarnation is not an integer'],
  [{ incarnation: 2 ** 53 }, 'incarnation is not an integer'],
  [{ terms: {} }, 'terms is not a list'],
  [{ terms: [null] }, 'terms[0] is not an object'],
  [{ terms: [{ term: 1 }] }, 'terms[0]: it has no first'],
  [{ terms: [{ term: 1, first: 1, last: 2 }] }, 'terms[0]: it has "last"'],
  [{ terms: [{ term: 0, first: 1 }] }, 'terms[0].term must be an integer from 1 on, got 0'],
  [{ terms: [{ term: 1, first: 0 }] }, 'terms[0].first must be an integer from 1 on, got 0'],
  [
    {
      terms: [
        { term: 2, first: 5 },
        { term: 2, first: 6 },
      ],
    },
    'terms[1].term must be an integer from 3 on, got 2',
  ],
  [
    {
      terms: [
        { term: 2, first: 5 },
        { term: 3, first: 4 },
      ],
    },
    'terms[1].first must be an integer from 5 on, got 4',
  ],
  [{ terms: [{ term: '2', first: 5 }] }, 'terms[0].term must be'],
])('refused, and left as it is: %j', (change, reason) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'history.json');
  const text =
    typeof change === 'string' ? change : JSON.stringify({ format: 1, ...history([1, 1]), ...change });
  writeFileSync(path, text);
  expect(() => readHistory(directory)).toThrow(
    expect.objectContaining({
      code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
      message: expect.stringContaining(`${path} is damaged: ${reason}`),
    }),
  );
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('what the file system refuses is told, and what is no history is not written', () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'history.json'));
  const failed = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
  expect(() => readHistory(directory)).toThrow(failed);
  expect(() => writeHistory(directory, history([1, 1]))).toThrow(failed);
  expect(() => writeHistory(join(directory, 'missing'), history([1, 1]))).toThrow(failed);
  expect(() => writeHistory(directory, history([2, 1], [1, 1]))).toThrow(
    expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
  );
});
