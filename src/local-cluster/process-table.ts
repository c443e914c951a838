import { readdirSync, readFileSync } from 'node:fs';

/** One process. Its number alone is given to another one some day; together with its start it is not. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks from the machine's start to its own. */
  readonly startTicks: number;
}

interface Stat extends ProcessId {
  readonly parent: number;
  readonly state: string;
}

/** Null when there is no such process. */
function readStat(pid: number): Stat | null {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The second field is the program's name in brackets, and may itself hold spaces and brackets.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return { pid, state: fields[0]!, parent: Number(fields[1]), startTicks: Number(fields[19]) };
}

export function processId(pid: number): ProcessId | null {
  const stat = readStat(pid);
  return stat && { pid, startTicks: stat.startTicks };
}

/** Whether that very process still runs. One that has ended and was not waited for yet does not. */
export function isRunning({ pid, startTicks }: ProcessId): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

/** A process and all that it and its children have started, parents first. */
export function processTree(root: ProcessId): ProcessId[] {
  if (!isRunning(root)) return [];
  const children = new Map<number, Stat[]>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : null;
    if (stat === null || stat.state === 'Z') continue;
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [stat]);
    else siblings.push(stat);
  }
  const tree: ProcessId[] = [root];
  for (const { pid } of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function signal({ pid }: ProcessId, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended in the meantime.
  }
}

/** Stops every process of a tree where it is; nothing of it runs afterwards. Returns them. */
export function freezeTree(root: ProcessId): ProcessId[] {
  // Parents first: one that runs could start another child behind our back. Again, for a child that it had just started.
  let tree: ProcessId[] = [];
  for (let before = -1; tree.length !== before; ) {
    before = tree.length;
    tree = processTree(root);
    for (const one of tree) signal(one, 'SIGSTOP');
  }
  return tree;
}

/** Children first, so that the parent finds them as it left them. */
export function thawTree(root: ProcessId): void {
  for (const one of processTree(root).reverse()) signal(one, 'SIGCONT');
}

/** Kills every process of a tree, none of which has time for a last word. Returns them; they may take a moment to go. */
export function killTree(root: ProcessId): ProcessId[] {
  // Frozen first, because what has lost its parent would not be found any more.
  const tree = freezeTree(root);
  for (const one of tree) signal(one, 'SIGKILL');
  return tree;
}
