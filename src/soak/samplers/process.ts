import { readdirSync, readFileSync } from 'node:fs';
import { descendantsOf, liveProcesses } from '../../shared/process-stat.js';
import type { ProcessReading } from '../samples.js';

const kibibyte = 1024;

/** Each figure that can't be had is null; of a process that has ended all are. */
export function readProcess(pid: number): ProcessReading {
  const status = parseStatus(read(`/proc/${pid}/status`));
  // Walks through all pages of the process, which are held still meanwhile: nothing for every few milliseconds.
  const rollup = parseSmapsRollup(read(`/proc/${pid}/smaps_rollup`));
  return {
    rssBytes: rollup.rssBytes ?? status.rssBytes,
    pssBytes: rollup.pssBytes,
    anonymousBytes: rollup.anonymousBytes,
    threads: status.threads,
    fds: countEntries(`/proc/${pid}/fd`),
  };
}

/** Out of `/proc/PID/smaps_rollup`. */
export function parseSmapsRollup(
  text: string | null,
): Pick<ProcessReading, 'rssBytes' | 'pssBytes' | 'anonymousBytes'> {
  return {
    rssBytes: bytesOf(text, 'Rss'),
    pssBytes: bytesOf(text, 'Pss'),
    anonymousBytes: bytesOf(text, 'Anonymous'),
  };
}

/** Out of `/proc/PID/status`. One that has ended and was not waited for yet still has a status, but nothing else. */
export function parseStatus(text: string | null): Pick<ProcessReading, 'rssBytes' | 'threads'> {
  if (text === null || /^State:\s+[ZX]/m.test(text)) return { rssBytes: null, threads: null };
  const threads = /^Threads:\s+(\d+)$/m.exec(text);
  return { rssBytes: bytesOf(text, 'VmRSS'), threads: threads === null ? null : Number(threads[1]) };
}

function bytesOf(text: string | null, name: string): number | null {
  const line = text === null ? null : new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return line === null ? null : Number(line[1]) * kibibyte;
}

/**
 * How many live processes there are below this one: its children, their children, and so on. Null when it can't be told.
 *
 * By everybody's parent, since not every kernel lists children.
 */
export function childrenOf(pid: number): number | null {
  const live = liveProcesses();
  return live.has(pid) ? descendantsOf(pid, live).length : null;
}

/** The process itself, its group, and all below them: those of them that run. */
export function familyOf(pid: number): number[] {
  const live = liveProcesses();
  const near = [...live].filter(([member, { group }]) => member === pid || group === pid);
  return [...new Set(near.flatMap(([member]) => [member, ...descendantsOf(member, live)]))];
}

/** Whether a process group has a member that runs. */
export const groupLives = (leader: number): boolean =>
  [...liveProcesses().values()].some(({ group }) => group === leader);

function countEntries(directory: string): number | null {
  try {
    return readdirSync(directory).length;
  } catch {
    return null;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
