import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { createTurnLog, FileJournal, readTurns } from '#ackgate/journal/index.js';
import { temporaryDirectory } from './support/journal.js';
import { journalContract } from './support/journal-contract.js';

const KiB = 1024;

journalContract('files', async () => {
  const parent = temporaryDirectory();
  const directory = join(parent, 'journal');
  const turns = createTurnLog(10_000);
  const options = { directory, segmentBytes: 64 * KiB, bufferBytes: 1024 * KiB };
  return {
    open: () => FileJournal.open({ ...options, turns }),
    elsewhere: { module: '#ackgate/journal/index.js', name: 'FileJournal', options },
    commits: async () => readTurns(turns).length,
    breakIt: async () => {
      // The next segment can't be made.
      const away = join(parent, 'away');
      renameSync(directory, away);
      return async () => renameSync(away, directory);
    },
  };
});
