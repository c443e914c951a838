/** Where orders are kept. */
import { FileJournal, type Journal } from 'ackgate/journal';

/** What the server needs of a journal; every one of Ackgate's has it. */
export type PausableJournal = Journal & { pause(): Promise<boolean>; resume(): void };

export type StorageConfig = { engine: 'file' };

/** Opens the journal; `directory` is for those that have files. */
export async function openJournal(directory: string, _storage: StorageConfig): Promise<PausableJournal> {
  return FileJournal.open({ directory });
}
