import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileJournal } from '#ackgate/journal/index.js';
import { lockByProcessId } from '#ackgate/journal/lock.js';
import { runFixture, temporaryDirectory } from './support/journal.js';
import { noNetworkNamespace } from './support/journal-system.js';

const locked = (message: RegExp) => ({ code: 'ERR_ACKGATE_JOURNAL_LOCKED', message });

test('a second open in the same process is refused, by whatever path, until the first is closed', async () => {
  const directory = temporaryDirectory();
  const link = join(temporaryDirectory(), 'link');
  symlinkSync(directory, link);
  const journal = await FileJournal.open({ directory });
  for (const path of [directory, `${directory}/`, link]) {
    await expect(FileJournal.open({ directory: path })).rejects.toMatchObject(locked(/open in this process/));
  }
  await journal.close();
  await (await FileJournal.open({ directory: link })).close();
});

test('of many opens at once one succeeds', async () => {
  const directory = temporaryDirectory();
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => FileJournal.open({ directory })));
  const opened = all.filter((result) => result.status === 'fulfilled');
  expect(opened).toHaveLength(1);
  for (const result of all) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject(locked(/./));
    else await result.value.close();
  }
});

test('another process is refused and told who it is; kill -9 of that one frees the journal at once', async () => {
  const directory = temporaryDirectory();
  for (let run = 0; run < 3; run++) {
    const holder = runFixture('journal-open.mjs', [directory, 'hold']);
    await holder.line('opened');
    await expect(FileJournal.open({ directory })).rejects.toMatchObject(
      locked(RegExp(`process ${holder.pid} `)),
    );
    const other = runFixture('journal-open.mjs', [directory]);
    expect((await other.finished).lines).toEqual([expect.stringContaining(`process ${holder.pid} `)]);
    holder.kill();
    await holder.finished;
    await (await FileJournal.open({ directory })).close();
  }
});

test('a thread that is ended from outside frees it', async () => {
  const { finished } = runFixture('journal-open.mjs', [temporaryDirectory(), 'terminate-worker']);
  expect((await finished).lines).toEqual([expect.stringMatching(/^opened \d+$/)]);
});

test.skipIf(process.platform !== 'linux')('also where the flock command is missing', async () => {
  const directory = temporaryDirectory();
  const without = ['env', 'PATH=/nonexistent'];
  const holder = runFixture('journal-open.mjs', [directory, 'hold'], without);
  await holder.line('opened');
  const other = runFixture('journal-open.mjs', [directory], without);
  expect((await other.finished).lines).toEqual([
    expect.stringMatching(/^refused ERR_ACKGATE_JOURNAL_LOCKED/),
  ]);
  holder.kill();
  await holder.finished;
  await (await FileJournal.open({ directory })).close();
});

test.skipIf(noNetworkNamespace !== null)(
  'also across network namespaces, as between containers',
  async () => {
    const directory = temporaryDirectory();
    const journal = await FileJournal.open({ directory });
    const elsewhere = runFixture('journal-open.mjs', [directory], ['unshare', '-n']);
    expect((await elsewhere.finished).lines).toEqual([
      expect.stringMatching(`^refused ERR_ACKGATE_JOURNAL_LOCKED .*process ${process.pid} `),
    ]);
    await journal.close();
  },
);

test('without such a system: a process id, taken over from the dead', async () => {
  const directory = join(temporaryDirectory(), 'other-system');
  mkdirSync(directory);
  const lock = await lockByProcessId(directory);
  await expect(lockByProcessId(directory)).rejects.toMatchObject(locked(/this process/));
  await lock.release();
  const ended = runFixture('journal-open.mjs', [temporaryDirectory()]);
  await ended.finished;
  writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: ended.pid, host: 'here' }));
  await (await lockByProcessId(directory)).release();
  // Not readable: nobody knows whether its owner is alive.
  writeFileSync(join(directory, 'lock'), 'half a');
  await expect(lockByProcessId(directory)).rejects.toMatchObject(locked(/another process/));
});
