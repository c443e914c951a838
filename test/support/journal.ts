import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect } from 'vitest';
import type { FileJournal } from '#ackgate/journal/index.js';
import { payloadOf } from '../fixtures/journal-payload.mjs';

/** Sizes of docs/JOURNAL.md, written down again so that the tests don't believe the code. */
export const fileHeader = 64;
export const groupHeader = 40;
export const recordSize = (payloadBytes: number) => 16 + Math.ceil(payloadBytes / 8) * 8;

const made: string[] = [];

/** A directory that goes with the test. `under`: another place than the system's for such things. */
export function temporaryDirectory(under = tmpdir()): string {
  const directory = mkdtempSync(join(under, 'ackgate-journal-'));
  made.push(directory);
  return directory;
}

function removeTemporaryDirectories(): void {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
}

afterEach(() => {
  endPrograms();
  removeTemporaryDirectories();
});

export function segmentNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.segment'))
    .sort();
}

/** Appends the records of the next sequences, and waits until they are persisted. */
export async function appendGroup(journal: FileJournal, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    expect(journal.append(payloadOf(journal.lastSequence + 1))).toBe(journal.lastSequence);
  }
  await journal.whenPersisted(journal.lastSequence);
}

/** The same as one group on disk, whatever the writer's pace. */
export async function appendWholeGroup(journal: FileJournal, count: number): Promise<void> {
  const first = journal.lastSequence + 1;
  const batch = Array.from({ length: count }, (_, i) => payloadOf(first + i));
  expect(journal.appendBatch(batch)).toEqual({ first, last: first + count - 1 });
  await journal.whenPersisted(journal.lastSequence);
}

/** Every record from `from` on has the bytes of its sequence, without a gap. Returns the last sequence. */
export function expectRecords(journal: FileJournal, from = journal.firstSequence): number {
  let next = from;
  for (const { sequence, payload } of journal.replay(from)) {
    if (sequence !== next || !payloadOf(sequence).equals(payload)) {
      expect({ sequence, payload }).toEqual({ sequence: next, payload: payloadOf(next) });
    }
    next++;
  }
  expect(next - 1).toBe(journal.lastSequence);
  return next - 1;
}

export interface Finished {
  lines: string[];
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What it printed on standard error. */
  errors: string;
}

export interface Program {
  pid: number;
  /** Lines printed so far. */
  lines: string[];
  /** Resolves with the next line that starts so; rejects when the program ends without one. */
  line(start: string): Promise<string>;
  kill(): void;
  finished: Promise<Finished>;
}

/** Process groups that have not ended. */
const running = new Set<number>();

function endPrograms(): void {
  for (const group of running) process.kill(-group, 'SIGKILL');
  running.clear();
}

/** Runs a program of `test/fixtures`, under the command `under` if there is one. */
export function runFixture(name: string, args: string[], under: string[] = []): Program {
  const file = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  const [command, ...rest] = [...under, process.execPath, file, ...args];
  // A group of its own, so that strace goes together with what it traces.
  const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child.pid!);
  const lines: string[] = [];
  let partial = '';
  let errors = '';
  const looking: (() => void)[] = [];
  const look = () => {
    for (const again of looking.splice(0)) again();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (partial + chunk).split('\n');
    partial = parts.pop()!;
    lines.push(...parts);
    look();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  let isOver = false;
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      isOver = true;
      running.delete(child.pid!);
      look();
      resolve({ lines, code, signal, errors });
    });
  });
  const line = async (start: string): Promise<string> => {
    for (let at = 0; ; at++) {
      while (at === lines.length) {
        if (isOver) throw new Error(`${name} ended without a line "${start} …"; it said ${lines}\n${errors}`);
        await new Promise<void>((resolve) => looking.push(resolve));
      }
      if (lines[at]!.startsWith(start)) return lines[at]!;
    }
  };
  return { pid: child.pid!, lines, line, kill: () => child.kill('SIGKILL'), finished };
}

/** Value of the last line `persisted N`: what the program may have acknowledged. */
export function lastPersisted(lines: readonly string[]): number {
  const line = lines.findLast((text) => /^persisted \d+$/.test(text));
  return line === undefined ? 0 : Number(line.slice('persisted '.length));
}
