// Prints what a journal has: node list.mjs journal
import { FileJournal } from 'ackgate/journal';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
for (const { sequence, payload } of journal.replay()) console.log(`${sequence} ${Buffer.from(payload)}`);
await journal.close();
