import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { journalFile, listSegments, temporarySuffix } from './files.js';
import { encodeJournalFile } from './recover.js';

/**
 * Removes the segments that hold nothing from `sequence` on, off the calling thread. Returns the oldest sequence
 * that is kept. The journal file says so durably before a segment goes: recovery finishes what was interrupted.
 */
export async function prune(directory: string, journalId: Buffer, sequence: number): Promise<number> {
  const segments = listSegments(directory);
  const kept = segments.findLastIndex((segment) => segment.first <= sequence);
  const oldest = segments[Math.max(kept, 0)]!.first;
  if (kept <= 0) return oldest;

  const path = join(directory, journalFile);
  const temporary = path + temporarySuffix;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(encodeJournalFile(journalId, oldest));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const names = await open(directory, 'r');
  try {
    await names.sync();
  } finally {
    await names.close();
  }
  for (const segment of segments.slice(0, kept)) await unlink(segment.path);
  return oldest;
}
