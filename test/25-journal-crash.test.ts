import { randomInt } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as passed } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileJournal, journalFull } from '#ackgate/journal/index.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import {
  expectRecords,
  groupHeader,
  lastPersisted,
  type Program,
  recordSize,
  runFixture,
  temporaryDirectory,
} from './support/journal.js';
import { LoopFileSystem, noLoopMount, noStrace } from './support/journal-system.js';

const KiB = 1024;

/** A process that appends and says how far the cursor is. */
function appender(setup: object, under: string[] = []): Program {
  return runFixture('journal-append.mjs', [JSON.stringify(setup)], under);
}

/** Opens what a dead process left and checks it against what that process had said. Returns the last sequence. */
async function expectKept(directory: string, lines: readonly string[]): Promise<number> {
  const journal = await FileJournal.open({ directory });
  try {
    expect(journal.recovered.lastSequence).toBeGreaterThanOrEqual(lastPersisted(lines));
    return expectRecords(journal);
  } finally {
    await journal.close();
  }
}

test('kill -9 at any moment: everything that was said to be persisted is there, without a gap', async () => {
  const directory = temporaryDirectory();
  const options = { directory, segmentBytes: 64 * KiB, bufferBytes: 64 * KiB };
  let last = 0;
  for (let run = 0; run < 12; run++) {
    const program = appender({ options, window: [1, 20, 500][run % 3] });
    // Also while it is opening, at times.
    if (run % 4 !== 3) await program.line('persisted');
    await passed(randomInt(60));
    program.kill();
    const { lines, ...end } = await program.finished;
    expect(end).toEqual({ code: null, signal: 'SIGKILL', errors: '' });
    const kept = await expectKept(directory, lines);
    expect(kept).toBeGreaterThanOrEqual(last);
    last = kept;
  }
  console.log(`kill -9: 12 times, ${last} records kept`);
});

/** What a traced program did, in order: its syncs as they returned, and what it said. */
function events(trace: string): { syncs: number; says: { text: string; afterSyncs: number }[] } {
  let syncs = 0;
  const says: { text: string; afterSyncs: number }[] = [];
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    if (/fdatasync(\(| resumed).*= 0/.test(line)) syncs++;
    const text = /write\(1, "(.*)\\n"/.exec(line)?.[1];
    if (text !== undefined) says.push({ text, afterSyncs: syncs });
  }
  return { syncs, says };
}

describe.skipIf(noStrace !== null)('under strace', () => {
  const strace = (trace: string, ...inject: string[]) => {
    const injections = inject.flatMap((what) => ['-e', `inject=${what}`]);
    return ['strace', '-f', '-o', trace, '-e', 'trace=fdatasync,write', '-e', 'signal=none', ...injections];
  };

  test('a record is persisted once its fdatasync has returned, and not before', async () => {
    const directory = temporaryDirectory();
    const trace = join(directory, 'trace');
    const setup = { options: { directory: join(directory, 'journal') }, count: 10 };
    const { finished } = appender(setup, strace(trace, 'fdatasync:delay_enter=30000:delay_exit=30000'));
    expect((await finished).lines.at(-1)).toBe('closed');
    const { says } = events(trace);
    const persisted = says.filter(({ text }) => text.startsWith('persisted'));
    expect(persisted.map(({ text }) => text)).toEqual(
      Array.from({ length: 10 }, (_, i) => `persisted ${i + 1}`),
    );
    for (const [i, { afterSyncs }] of persisted.entries()) expect(afterSyncs).toBe(i + 1);
  });

  test('one fdatasync serves all records that came during the one before', async () => {
    const directory = temporaryDirectory();
    const trace = join(directory, 'trace');
    const count = 5_000;
    const setup = { options: { directory: join(directory, 'journal') }, count, window: count };
    const { finished } = appender(setup, strace(trace, 'fdatasync:delay_enter=5000'));
    expect((await finished).lines.at(-1)).toBe('closed');
    const { syncs } = events(trace);
    expect(syncs).toBeGreaterThan(0);
    expect(syncs).toBeLessThan(count / 5);
    console.log(`group commit: ${count} records, ${syncs} fdatasync calls`);
  });

  test.each([
    ['fdatasync fails', 'fdatasync:error=EIO:when=3', 'EIO'],
    ['fdatasync finds no room', 'fdatasync:error=ENOSPC:when=3', 'ENOSPC'],
    ['a write fails', 'pwritev:error=EIO:when=3', 'EIO'],
  ])('%s: final, reported everywhere, and the cursor stays where it was', async (_, inject, errno) => {
    const directory = temporaryDirectory();
    const trace = join(directory, 'trace');
    const setup = { options: { directory: join(directory, 'journal') }, count: 10 };
    const command = strace(trace, inject);
    command[command.indexOf('trace=fdatasync,write')] = 'trace=fdatasync,write,pwritev';
    const { lines, signal } = await appender(setup, command).finished;
    expect(signal).toBeNull();
    lines.shift();
    expect(lines.slice(0, 3)).toEqual(['opened 0', 'persisted 1', 'persisted 2']);
    expect(lines[3]).toMatch(RegExp(`^failed ERR_ACKGATE_JOURNAL_FAILED .*${errno}`));
    expect(lines.slice(4, 9)).toEqual([
      'waiter ERR_ACKGATE_JOURNAL_FAILED',
      'failure ERR_ACKGATE_JOURNAL_FAILED',
      'append ERR_ACKGATE_JOURNAL_FAILED',
      'close ERR_ACKGATE_JOURNAL_FAILED',
      'cursor 2',
    ]);
    // Nothing was tried again: no sync of that thread after the one that failed.
    const text = readFileSync(trace, 'utf8');
    const failed = text.split('\n').findIndex((line) => line.includes('(INJECTED)'));
    const thread = text.split('\n')[failed]!.split(' ')[0]!;
    const later = text
      .split('\n')
      .slice(failed + 1)
      .filter((line) => line.startsWith(`${thread} `));
    expect(later.filter((line) => /fdatasync|pwritev/.test(line))).toEqual([]);
    // The lock was given back; what had reached the page cache may be there, what was persisted must.
    expect(lines[9]).toMatch(/^reopened [23]$/);
  });

  test('recovery writes what may be in the page cache only once more, and syncs it', async () => {
    const directory = temporaryDirectory();
    const trace = join(directory, 'trace');
    const options = { directory: join(directory, 'journal') };
    const program = appender({ options });
    await program.line('persisted 5');
    program.kill();
    await program.finished;
    const calls = 'trace=pwrite64,fsync,/^rename';
    const command = ['strace', '-f', '-y', '-o', trace, '-e', calls];
    const opened = await runFixture('journal-open.mjs', [options.directory], command).line('opened');
    const seen = readFileSync(trace, 'utf8').matchAll(
      / (pwrite64|fsync|rename\w*)\(\d+<([^>]*)>.* = (-?\d+)/g,
    );
    const segment = join(options.directory, '00000000000000000001.segment');
    const onSegment = Array.from(seen).filter(([, , path]) => path === segment);
    expect(onSegment.map(([, name]) => name)).toEqual(['pwrite64', 'fsync']);
    // The last group, which no later group says to be durable.
    const [[line, , , written]] = onSegment as [RegExpMatchArray, ...RegExpMatchArray[]];
    expect(Number(written)).toBe(groupHeader + recordSize(payloadOf(Number(opened.slice(7))).length));
    expect(line).toContain('AGRP');
  });

  test('every name is durable before a record behind it counts', async () => {
    const place = temporaryDirectory();
    const trace = join(place, 'trace');
    const directory = join(place, 'new', 'journal');
    const command = ['strace', '-f', '-y', '-o', trace, '-e', 'trace=fsync,pwritev,fdatasync,/^rename'];
    const options = { directory, segmentBytes: 4 * KiB };
    await appender({ options, count: 100 }, command).finished;
    const did = readFileSync(trace, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, call, path] = /(fsync|fdatasync|pwritev)\(\d+<([^>]*)>/.exec(line) ?? [];
        const [, target] = /rename.*, "([^"]*)"/.exec(line) ?? [];
        if (call !== undefined) return `${call} ${basename(path!)}`;
        return target !== undefined ? `rename ${basename(target)}` : [];
      });
    const segment = (first: number) => `${String(first).padStart(20, '0')}.segment`;
    const replaced = (name: string) => [`fsync ${name}.tmp`, `rename ${name}`, 'fsync journal'];
    expect(did.slice(0, 10)).toEqual([
      'fsync new',
      `fsync ${basename(place)}`,
      ...replaced(segment(1)),
      ...replaced('journal'),
      `pwritev ${segment(1)}`,
      `fdatasync ${segment(1)}`,
    ]);
    // Every segment after that: made and synced when all before it is.
    const names = did.filter((what) => what.startsWith('rename')).map((what) => what.slice('rename '.length));
    expect(names.length).toBeGreaterThan(3);
    for (const name of names.slice(2)) {
      const at = did.indexOf(`rename ${name}`);
      expect(did.slice(at - 1, at + 4)).toEqual([...replaced(name), `pwritev ${name}`, `fdatasync ${name}`]);
      expect(did[at - 2]).toMatch(/^fdatasync /);
    }
  });

  test('a short write is continued where it stopped', async () => {
    const directory = temporaryDirectory();
    const trace = join(directory, 'trace');
    const setup = { options: { directory: join(directory, 'journal') }, count: 3 };
    // The kernel writes nothing, and says 7 bytes.
    const command = [
      'strace',
      '-f',
      '-o',
      trace,
      '-e',
      'trace=pwritev',
      '-e',
      'inject=pwritev:retval=7:when=2',
    ];
    const { lines } = await appender(setup, command).finished;
    expect(lines.slice(-2)).toEqual(['persisted 3', 'closed']);
    const calls = readFileSync(trace, 'utf8').matchAll(/pwritev\(.*, (\d+)\) = (\d+)/g);
    const [first, short, rest, third] = Array.from(calls, ([, at, written]) => [Number(at), Number(written)]);
    const whole = groupHeader + recordSize(payloadOf(2).length);
    expect(short).toEqual([first![0]! + first![1]!, 7]);
    expect(rest).toEqual([short![0]! + 7, whole - 7]);
    expect(third![0]).toBe(short![0]! + whole);
  });
});

describe.skipIf(noLoopMount !== null)('on a file system of its own', () => {
  test('a full disk: the journal fails for good; with room again, what was persisted is there', async () => {
    const disk = new LoopFileSystem(temporaryDirectory(), 'small', 4);
    try {
      const directory = join(disk.path, 'journal');
      const ballast = join(disk.path, 'ballast');
      writeFileSync(ballast, Buffer.alloc(KiB * KiB));
      const options = { directory, segmentBytes: 256 * KiB, bufferBytes: 64 * KiB };
      const journal = await FileJournal.open(options);
      const deadline = Date.now() + 30_000;
      expect(() => {
        while (Date.now() < deadline) {
          while (
            journal.append(payloadOf(journal.lastSequence + 1)) === journalFull &&
            journal.failure === null
          );
        }
      }).toThrow(
        expect.objectContaining({
          code: 'ERR_ACKGATE_JOURNAL_FAILED',
          message: expect.stringContaining('ENOSPC'),
        }),
      );
      const persisted = journal.primaryCursor;
      expect(persisted).toBeGreaterThan(0);
      expect(persisted).toBeLessThan(journal.lastSequence);
      await expect(journal.failed).resolves.toBe(journal.failure);
      await expect(journal.whenPersisted(journal.lastSequence)).rejects.toBe(journal.failure);
      await expect(journal.whenPersisted(persisted)).resolves.toBeUndefined();
      await expect(journal.flush()).rejects.toBe(journal.failure);
      await expect(journal.close()).rejects.toBe(journal.failure);
      expect(journal.primaryCursor).toBe(persisted);

      rmSync(ballast);
      expect(await expectKept(directory, [`persisted ${persisted}`])).toBeLessThan(journal.lastSequence);
    } finally {
      disk.unmount();
    }
  });

  /**
   * Kills an appending process, and opens what the disk holds at that moment: the image is copied while it is still
   * mounted, so that all that only the page cache knows is missing. Returns [said to be persisted, recovered].
   */
  async function powerCut(under: string[], window: number, segmentBytes: number): Promise<[number, number]> {
    const place = temporaryDirectory();
    const disk = new LoopFileSystem(place, 'disk', 64);
    let lines: string[] = [];
    try {
      const options = { directory: join(disk.path, 'new', 'journal'), segmentBytes };
      const program = appender({ options, window }, under);
      await program.line('persisted');
      await passed(100 + randomInt(200));
      const pid = Number((await program.line('pid')).slice(4));
      // Not strace, if there is one: it ends when the program is really gone.
      process.kill(pid, 'SIGKILL');
      lines = (await program.finished).lines;
      copyFileSync(disk.image, join(place, 'copy.img'));
    } finally {
      disk.unmount();
    }
    const copy = new LoopFileSystem(place, 'copy', 0);
    try {
      const journal = await FileJournal.open({ directory: join(copy.path, 'new', 'journal') });
      try {
        return [lastPersisted(lines), expectRecords(journal)];
      } finally {
        await journal.close();
      }
    } finally {
      copy.unmount();
    }
  }

  test('a power cut: every record that was said to be persisted is on the disk', async () => {
    for (let run = 0; run < 6; run++) {
      const [persisted, kept] = await powerCut([], [1, 20, 500][run % 3]!, 256 * KiB);
      expect(persisted).toBeGreaterThan(0);
      expect(kept).toBeGreaterThanOrEqual(persisted);
      console.log(`power cut: ${persisted} said to be persisted, ${kept} on the disk`);
    }
  });

  test.skipIf(noStrace !== null)(
    'a power cut after syncs that did nothing loses records, so the test can tell',
    async () => {
      // One segment: a second one would say that the first was durable, and the journal be refused for damaged.
      const lying = [
        'strace',
        '-f',
        '-o',
        '/dev/null',
        '-e',
        'trace=fdatasync',
        '-e',
        'inject=fdatasync:retval=0',
      ];
      const [persisted, kept] = await powerCut(lying, 20, 64 * KiB * KiB);
      expect(kept).toBeLessThan(persisted);
      console.log(`power cut without syncs: ${persisted} said to be persisted, ${kept} on the disk`);
    },
  );
});
