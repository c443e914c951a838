import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './run.mjs';

const built = new URL('../../dist/local-cluster/', import.meta.url);

/** One of the built modules of src/local-cluster. */
export const localCluster = (name) => import(new URL(name, built).href);

/** @returns the folder of the state files; `ACKGATE_CLUSTER_DIR` is for tests. */
const stateFolder = () => process.env.ACKGATE_CLUSTER_DIR ?? join(root, '.cluster');

const bootId = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/**
 * `up` (also without a word), `status` or `down` for servers that go on after the script, by a state file that says
 * which processes those are.
 *
 * `up()` starts them and resolves with `{ directories, processes, lines, next, leave }`: what to remove afterwards,
 * what to stop and how (made by `recorded`), what to print, the command to try, and what lets go of them.
 */
export async function clusterCommand({ engine, up }) {
  const [word = 'up', ...rest] = process.argv.slice(2);
  const words = { up: bringUp, down: takeDown, status };
  if (rest.length > 0 || !Object.hasOwn(words, word)) {
    console.error(`usage: npm run cluster:${engine} [-- up|status|down]`);
    process.exit(2);
  }
  try {
    // The compiled servers are all that is needed: where they are there, nothing is built.
    if (!existsSync(new URL('postgres.js', built))) {
      const { setUp } = await import('./setup.mjs');
      if (!(await setUp())) process.exit(1);
    }
    process.exitCode = await words[word]();
  } catch (error) {
    console.error(`cluster:${engine}: ${error.message}`);
    // What was started already would keep this process; its guard takes it away.
    process.exit(1);
  }

  async function bringUp() {
    const before = await read();
    if (before !== null && before.running.length > 0) {
      console.log(`The ${engine} servers are up already.`);
      return await show(before);
    }
    if (before !== null) await remove(before);
    const { processId } = await localCluster('process-table.js');
    const me = { ...processId(process.pid), name: 'npm run', end: 'SIGTERM' };
    claim({ engine, boot: bootId(), starting: true, directories: [], processes: [me], lines: [], next: '' });
    try {
      const { leave, ...started } = await up();
      write({ engine, boot: bootId(), startedAt: new Date().toISOString(), ...started });
      leave();
    } catch (error) {
      rmSync(path(), { force: true });
      throw error;
    }
    return await show(await read());
  }

  async function status() {
    const state = await read();
    if (state !== null) return await show(state);
    console.log(`The ${engine} servers are down. To bring them up: npm run cluster:${engine}`);
    return 1;
  }

  async function takeDown() {
    const state = await read();
    if (state === null) {
      console.log(`The ${engine} servers are down already.`);
      return 0;
    }
    if (state.starting && state.running.length > 0) {
      console.error('They are being started right now; try again in a moment.');
      return 1;
    }
    const { isRunning, killTree, processTree } = await localCluster('process-table.js');
    const trees = state.running.flatMap((one) => processTree(one));
    for (const one of state.running) process.kill(one.pid, one.end);
    for (let waits = 0; waits < 100 && trees.some(isRunning); waits++) await sleep(100);
    for (const one of trees) killTree(one);
    while (trees.some(isRunning)) await sleep(20);
    await remove(state);
    console.log(
      `Stopped, and their data is removed: ${state.running.map(({ name }) => name).join(', ') || 'nothing ran'}.`,
    );
    return 0;
  }

  async function show(state) {
    for (const { name, pid } of state.processes) {
      const runs = state.running.some((one) => one.pid === pid);
      console.log(`${name.padEnd(12)} ${runs ? `runs, process ${pid}` : 'does not run'}`);
    }
    if (state.starting) return 1;
    for (const line of state.lines) console.log(line);
    if (state.running.length < state.processes.length) {
      console.log(`Not all of them run. To begin anew: npm run cluster:${engine} -- down`);
      return 1;
    }
    console.log(`\nTo try them:   ${state.next}\nTo stop them:  npm run cluster:${engine} -- down`);
    return 0;
  }

  function path() {
    return join(stateFolder(), `${engine}.json`);
  }

  /** Null when nothing was started, or what was is gone since the machine started. */
  async function read() {
    let text;
    try {
      text = readFileSync(path(), 'utf8');
    } catch (error) {
      if (error.code === 'ENOENT') return null;
      throw error;
    }
    const { isRunning } = await localCluster('process-table.js');
    const state = JSON.parse(text);
    // Its start tells a process from another one that was given its number, but only until the machine starts again.
    const running = state.boot === bootId() ? state.processes.filter(isRunning) : [];
    return { ...state, running };
  }

  /** Fails when somebody else was quicker. */
  function claim(state) {
    mkdirSync(stateFolder(), { recursive: true });
    write(state, 'wx');
  }

  function write(state, flag = 'w') {
    writeFileSync(path(), `${JSON.stringify(state, null, 2)}\n`, { flag });
  }

  async function remove(state) {
    const { removeFolder } = await localCluster('remove-folder.js');
    for (const directory of state.directories) removeFolder(directory);
    rmSync(path(), { force: true });
  }
}

/** What a state file says of one process. */
export const recorded = (name, { pid, startTicks }, end) => ({ name, pid, startTicks, end });
