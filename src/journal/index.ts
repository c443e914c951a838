export { FileJournal } from './file-journal.js';
export { type DrivenStage, type Journal, type JournalRecord, journalFull } from './journal.js';
export type { FileJournalOptions } from './options.js';
export type { Recovered } from './recover.js';
export { createTurnLog, readTurns, type Turn } from './turn-log.js';
