/**
 * A journal in files, whose records are durable once the primary's cursor has reached them, and what every journal has in
 * common, whatever it is kept in.
 *
 * ```js
 * const journal = await FileJournal.open({ directory: '/var/lib/exchange/journal' });
 * for (const { sequence, payload } of journal.replay()) book.apply(sequence, payload);
 * const sequence = journal.append(order); // journalFull (-1): no room at the moment
 * await journal.whenPersisted(sequence);
 * ```
 *
 * @module ackgate/journal
 */

export type { BufferedJournal } from './buffered-journal.js';
export { FileJournal } from './file-journal.js';
export {
  type DrivenStage,
  type Journal,
  type JournalBatch,
  type JournalRecord,
  journalFull,
} from './journal.js';
export type { FileJournalOptions } from './options.js';
export type { Recovered } from './recover.js';
export { createTurnLog, readTurns, type Turn } from './turn-log.js';
