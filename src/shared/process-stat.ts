import { readdirSync, readFileSync } from 'node:fs';

/** What `/proc/PID/stat` says of a process that matters here. */
export interface ProcessStat {
  readonly parent: number;
  readonly group: number;
  /** It is gone, but was not waited for yet. */
  readonly ended: boolean;
  /** Clock ticks from the machine's start to its own. Together with the number, it names one process. */
  readonly startTicks: number;
}

/** Out of `/proc/PID/stat`; null when it says nothing. */
export function parseProcessStat(text: string): ProcessStat | null {
  // The name of the command is in brackets, and may have brackets and spaces of its own.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, group] = fields;
  if (!/^[A-Za-z]$/.test(state)) return null;
  // The name is field 2, and the first of `fields` is field 3.
  const startTicks = Number(fields[22 - 3]);
  return { parent: Number(parent), group: Number(group), ended: 'ZX'.includes(state), startTicks };
}

/** Null: there is no such process any more. */
export function processStat(pid: number): ProcessStat | null {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return null;
  }
}

/** All that run, by their numbers; none where there is no `/proc`. */
export function liveProcesses(): Map<number, ProcessStat> {
  const live = new Map<number, ProcessStat>();
  for (const name of numbersIn('/proc')) {
    const stat = processStat(Number(name));
    if (stat !== null && !stat.ended) live.set(Number(name), stat);
  }
  return live;
}

/** Those below a process: its children, their children, and so on, parents first. */
export function descendantsOf(pid: number, live: ReadonlyMap<number, ProcessStat>): number[] {
  const childrenByParent = new Map<number, number[]>();
  for (const [child, { parent }] of live) {
    const siblings = childrenByParent.get(parent);
    if (siblings === undefined) childrenByParent.set(parent, [child]);
    else siblings.push(child);
  }
  const found = [...(childrenByParent.get(pid) ?? [])];
  // Grows while it is gone through.
  for (const child of found) found.push(...(childrenByParent.get(child) ?? []));
  return found;
}

function numbersIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}
