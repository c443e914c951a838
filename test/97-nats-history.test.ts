import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileJournal } from '#ackgate/journal/index.js';
import { Copy } from '#ackgate/nats/copy.js';
import { checkCut, cutPoint } from '#ackgate/nats/cut-point.js';
import { FrameSender } from '#ackgate/nats/frame-sender.js';
import {
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
import { type FrameMessage, frameCodec } from '#ackgate/nats/messages.js';
import { temporaryDirectory } from './support/journal.js';

const lineage = '6f1c8f6e-4a52-4f0b-9a53-0d9f1c7f8a10';
const history = (...terms: [term: number, first: number][]): History => ({
  lineage,
  terms: terms.map(([term, first]) => ({ term, first })),
  incarnation: 1,
  ledFrom: null,
});

const ahead = expect.objectContaining({ code: 'ERR_ACKGATE_REPLICA_AHEAD' });

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
  /** Those that it has written since it last followed anybody. */
  wrote: Set<string>;
}

const logOf = ({ marks, history }: Node): Log => ({ history, last: marks.length });

/** What cutting is about, the slow way: how many records two journals have in common from the first one on. */
function sharedRecords(a: Node, b: Node): number {
  const differs = a.marks.findIndex((mark, i) => mark !== b.marks[i]);
  return differs === -1 ? a.marks.length : differs;
}

test('random clusters: the cut keeps what both have, nothing that the primary lacks, and all that was had as a replica', () => {
  let cuts = 0;
  let reallyCut = 0;
  let refused = 0;
  let refusedOfOneTerm = 0;
  for (let seed = 1; seed <= 1500; seed++) {
    const random = numbersFrom(seed);
    // Some lineages begin on records that were there before.
    const base = Array.from({ length: random(3) * random(4) }, (_, i) => `before ${i}`);
    const nodes: Node[] = Array.from({ length: 2 + random(3) }, () => ({
      marks: [],
      history: null,
      wrote: new Set(),
    }));
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
        for (let i = random(4); i >= 0; i--) {
          const mark = `${term} ${written++}`;
          node.marks.push(mark);
          node.wrote.add(mark);
        }
      } else if (what <= 3) {
        // A replica follows: cut, then fetch some of what is missing.
        const cut = cutPoint(logOf(replica), logOf(node));
        expect({ seed, cut }).toEqual({ seed, cut: sharedRecords(replica, node) });
        cuts++;
        const { first } = node.history!.terms.at(-1)!;
        const here = logEnd(logOf(replica)).term;
        const took = logEnd({ history: node.history, last: first - 1 }).term;
        const isOwn = replica.marks.slice(cut).every((mark) => replica.wrote.has(mark));
        if (cut < replica.marks.length && (here > took || !isOwn)) {
          expect(() => checkCut(logOf(replica), logOf(node), cut)).toThrow(ahead);
          refused++;
          if (here === took) refusedOfOneTerm++;
          // An operator empties its directory, sooner or later.
          if (random(2) === 0) Object.assign(replica, { marks: [], history: null, wrote: new Set() });
          continue;
        }
        checkCut(logOf(replica), logOf(node), cut);
        if (cut < replica.marks.length) reallyCut++;
        replica.marks.length = cut;
        replica.history = follow(replica.history, node.history!);
        replica.wrote.clear();
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
  console.log(
    `${cuts} cuts, ${reallyCut} of them removed something, ${refused} were refused (${refusedOfOneTerm} within a term)`,
  );
  expect(reallyCut).toBeGreaterThan(300);
  expect(refusedOfOneTerm).toBeGreaterThan(300);
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

test('what was had as a replica is not cut, also in the primary’s own last term; what was written as the primary is', () => {
  // Both have up to 6; the primary took office, in term 3, with that.
  const primary: Log = { history: history([1, 1], [2, 5], [3, 7]), last: 9 };
  const own = (ledFrom: number | null): Log => ({
    history: { ...history([1, 1], [2, 5]), ledFrom },
    last: 8,
  });
  expect(cutPoint(own(null), primary)).toBe(6);
  const refused = expect.objectContaining({
    code: 'ERR_ACKGATE_REPLICA_AHEAD',
    message: expect.stringMatching(
      /up to sequence 8 of term 2;.* in term 3, with one up to sequence 6 of term 2, .*from 7 on.*directory of this node.*empty this directory/,
    ),
  });
  expect(() => checkCut(own(null), primary, 6)).toThrow(refused);
  expect(() => checkCut(own(8), primary, 6)).toThrow(refused);
  expect(() => checkCut(own(7), primary, 6)).not.toThrow();
  expect(() => checkCut(own(5), primary, 6)).not.toThrow();
  expect(() => checkCut(own(null), primary, 8)).not.toThrow();
  // With a journal of an earlier term, the primary lacks an office.
  const older: Log = { history: history([1, 1], [3, 5]), last: 9 };
  expect(() => checkCut(own(5), older, 4)).toThrow(ahead);
  // Two offices later it is no better.
  const later: Log = { history: history([1, 1], [2, 5], [3, 7], [4, 9]), last: 20 };
  expect(() => checkCut(own(null), later, 6)).toThrow(ahead);
  expect(() => checkCut(own(5), later, 6)).not.toThrow();
});

test('which records a node wrote as the primary: until it follows somebody, and never more than it has', () => {
  const first = takeTerm({ history: null, last: 4 }, 1);
  expect(first.ledFrom).toBe(5);
  expect(takeTerm({ history: first, last: 9 }, 2).ledFrom).toBe(5);
  expect(takeTerm({ history: first, last: 3 }, 2).ledFrom).toBe(4);
  const followed = follow(first, history([1, 1], [7, 3]));
  expect(followed.ledFrom).toBeNull();
  expect(takeTerm({ history: followed, last: 9 }, 8).ledFrom).toBe(10);
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
    ledFrom: null,
  });
});

/** A directory with a journal that nobody has open. */
async function journalDirectory(): Promise<string> {
  const directory = temporaryDirectory();
  const journal = await FileJournal.open({ directory });
  await journal.close();
  return directory;
}

const journalId = (directory: string) => readFileSync(join(directory, 'journal')).toString('hex', 16, 32);

test('what is written down is what is read, and nothing is left over', async () => {
  const directory = await journalDirectory();
  const before = readdirSync(directory);
  expect(readHistory(directory)).toBeNull();
  const written = history([1, 1], [3, 1], [2 ** 53 - 1, 2 ** 53 - 1]);
  writeHistory(directory, history([1, 1]));
  writeHistory(directory, written);
  expect(readHistory(directory)).toEqual(written);
  expect(readdirSync(directory)).toEqual([...before, 'history.json'].sort());
  expect(JSON.parse(readFileSync(join(directory, 'history.json'), 'utf8'))).toEqual({
    format: 1,
    journal: journalId(directory),
    ...written,
  });
  expect(decodeHistory(encodeHistory({ ...written, ...{ more: 1 } }))).toEqual(written);
});

test('copied beside the records of another journal, or beside none, it does not pass for theirs', async () => {
  const [one, other] = [await journalDirectory(), await journalDirectory()];
  writeHistory(one, history([1, 1]));
  copyFileSync(join(one, 'history.json'), join(other, 'history.json'));
  const refused = (what: string) =>
    expect.objectContaining({
      code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
      message: expect.stringContaining(
        `of journal ${journalId(one)}, but ${what}: the files are from different`,
      ),
    });
  expect(() => readHistory(other)).toThrow(refused(`the journal beside it is ${journalId(other)}`));
  const empty = temporaryDirectory();
  copyFileSync(join(one, 'history.json'), join(empty, 'history.json'));
  const options = { segmentBytes: undefined, bufferBytes: undefined, wallClock: Date.now };
  for (const [directory, what] of [
    [other, 'the journal beside it'],
    [empty, 'there is no journal beside it'],
  ] as const) {
    // Twice: the directory is let go of.
    for (let i = 0; i < 2; i++) {
      await expect(Copy.open({ ...options, directory })).rejects.toEqual(
        expect.objectContaining({ message: expect.stringContaining(what) }),
      );
    }
  }
  expect(readdirSync(empty).filter((name) => name !== 'lock')).toEqual(['history.json']);
  expect(readHistory(one)).toEqual(history([1, 1]));
});

test('the epoch of a replica’s frames grows when its clock is set back, in this process and the next', async () => {
  const directory = temporaryDirectory();
  let now = 1_700_000_000_000;
  const options = { directory, segmentBytes: undefined, bufferBytes: undefined, wallClock: () => now };
  const epochs: number[] = [];
  const primary = { first: 1, last: 0, bufferBytes: 64 * 1024 };
  for (let start = 0; start < 3; start++) {
    const copy = await Copy.open(options);
    for (let term = 1; term <= 2; term++) {
      await copy.adopt({ ...primary, history: history([10 * start + term, 1]) }, 0);
      epochs.push(copy.history!.incarnation);
      now -= 5 * 3_600_000;
    }
    await copy.close();
  }
  expect(epochs).toEqual(Array.from({ length: 6 }, (_, i) => 1_700_000_000_000 + i));
});

test('frames of one epoch are of strictly later times, also when the clock stands still or is set back', async () => {
  let now = 1_700_000_000_000;
  const times: number[] = [];
  const reading = { term: 1, primaryId: lineage, epoch: 1, inMemory: 1, persisted: 1 };
  const frames = new FrameSender({
    ...{ node: 'r1', instance: lineage, zone: null, clock: () => now },
    read: () => reading,
    publish: (frame) => void times.push((frameCodec.decode(frame) as FrameMessage).at),
  });
  for (const step of [0, 0, -7_200_000, 1, 3_600_000, 3_600_002]) {
    now += step;
    frames.due();
    await Promise.resolve();
  }
  expect(times).toHaveLength(6);
  for (let i = 1; i < times.length; i++) expect(times[i]).toBeGreaterThan(times[i - 1]!);
  expect(times.at(-1)).toBe(1_700_000_000_003);
});

test.each([
  ['', 'it is not JSON'],
  ['{"format":1', 'it is not JSON'],
  ['[]', 'it is not an object'],
  ['{}', 'its format is undefined, this version reads 1'],
  [{ format: 2 }, 'its format is 2, this version reads 1'],
  [{ lineage: undefined }, 'it has no lineage'],
  [{ journal: undefined }, 'it has no journal'],
  [{ journal: 'abc' }, 'journal is not an id'],
  [{ journal: 7 }, 'journal is not an id'],
  [{ more: 1 }, 'it has "more", which is unknown'],
  [{ lineage: lineage.toUpperCase() }, 'lineage is not a UUID'],
  [{ incarnation: -1 }, 'incarnation is not an integer'],
  [{ incarnation: 2 ** 53 }, 'incarnation is not an integer'],
  [{ ledFrom: undefined }, 'it has no ledFrom'],
  [{ ledFrom: 0 }, 'ledFrom is neither null nor an integer from 1'],
  [{ ledFrom: '3' }, 'ledFrom is neither null nor an integer from 1'],
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
    typeof change === 'string'
      ? change
      : JSON.stringify({ format: 1, journal: '0'.repeat(32), ...history([1, 1]), ...change });
  writeFileSync(path, text);
  expect(() => readHistory(directory)).toThrow(
    expect.objectContaining({
      code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
      message: expect.stringContaining(`${path} is damaged: ${reason}`),
    }),
  );
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('what the file system refuses is told, and what is no history is not written', async () => {
  const directory = await journalDirectory();
  mkdirSync(join(directory, 'history.json'));
  const failed = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
  expect(() => readHistory(directory)).toThrow(failed);
  expect(() => writeHistory(directory, history([1, 1]))).toThrow(failed);
  expect(() => writeHistory(join(directory, 'missing'), history([1, 1]))).toThrow(failed);
  expect(() => writeHistory(directory, history([2, 1], [1, 1]))).toThrow(
    expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
  );
});
