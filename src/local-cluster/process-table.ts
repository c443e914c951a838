import { descendantsOf, liveProcesses, processStat } from '../shared/process-stat.js';

/** One process. Its number alone is given to another one some day; together with its start it is not. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks from the machine's start to its own. */
  readonly startTicks: number;
}

export function processId(pid: number): ProcessId | null {
  const stat = processStat(pid);
  return stat && { pid, startTicks: stat.startTicks };
}

/** Whether that very process still runs. One that has ended and was not waited for yet does not. */
export function isRunning({ pid, startTicks }: ProcessId): boolean {
  const stat = processStat(pid);
  return stat !== null && stat.startTicks === startTicks && !stat.ended;
}

/** A process and all that it and its children have started, parents first. */
export function processTree(root: ProcessId): ProcessId[] {
  if (!isRunning(root)) return [];
  const live = liveProcesses();
  return [root, ...descendantsOf(root.pid, live).map((pid) => ({ pid, ...live.get(pid)! }))];
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
