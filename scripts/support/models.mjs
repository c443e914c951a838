import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onPath } from './packages.mjs';
import { root } from './run.mjs';

const small = 'CONTROLS=1 RECORDS=1 ADVANCES=1';
const oneCall = 'CONTROLS=1 RECORDS=0 ADVANCES=0';

/**
 * Searches that have to end without an error, as [model, switches]; with `live`, a property under weak fairness.
 * `full`: left out of the quick run.
 */
export const searches = [
  ['ring', 'SLOTS=2'],
  ['ring', 'SLOTS=4'],
  ['ring', 'SLOTS=2 HANDOVER DEATHS'],
  ['ring', 'SLOTS=4 DEATHS'],
  ['ring', 'SLOTS=2 OBSERVER DEATHS START=6'],
  ['ring', 'SLOTS=2 OBSERVER START=0'],
  ['ring', 'SLOTS=4 OBSERVER START=12', { full: true }],
  ['cursor', 'OPERATIONS=3'],
  ['cursor', 'OPERATIONS=4', { full: true }],
  ['cursor', 'OPERATIONS=1 TWO_WRITERS'],
  ['cursor', 'OPERATIONS=4 UNLOCKED'],
  ['cursor', 'OPERATIONS=2 FRAMES'],
  ['cursor', 'OPERATIONS=2 FRAMES LOOKS=2', { full: true }],
  ['cursor', 'OPERATIONS=3 FRAMES UNLOCKED'],
  ['park', small],
  ['park', `URING ${small}`, { full: true }],
  ['park', 'URING CONTROLS=1 RECORDS=1 ADVANCES=0'],
  ['park', 'CONTROLS=0 RECORDS=2 ADVANCES=2'],
  ['park', 'CONTROLS=1 RECORDS=2 ADVANCES=1', { full: true }],
  ['park', 'CONTROLS=3 RECORDS=1 ADVANCES=0', { full: true }],
  ['park', 'URING CONTROLS=3 RECORDS=1 ADVANCES=0', { full: true }],
  ['park', 'URING CONTROLS=0 RECORDS=2 ADVANCES=2', { full: true }],
  ['park', 'LIVE CONTROLS=0 RECORDS=1 ADVANCES=1', { live: true }],
  ['park', 'LIVE CONTROLS=1 RECORDS=1 ADVANCES=0', { live: true, full: true }],
  ['park', 'LIVE URING CONTROLS=1 RECORDS=1 ADVANCES=0', { live: true, full: true }],
  ['park', 'LIVE DEATHS SLICES CONTROLS=1 RECORDS=1 ADVANCES=0', { live: true }],
  ['order', 'ROUNDS=2'],
  ['order', 'ROUNDS=3', { full: true }],
  ['bell', ''],
  ['bell', 'EXITS'],
  ['bell', 'ENDLESS', { live: true }],
  ['close', ''],
].map(([model, switches, { live = false, full = false } = {}]) => ({ model, switches, live, full }));

/** Defects, put back by a switch: [model, defect, the other switches]. Each has to be found. */
export const mutants = [
  ['ring', 'PUBLISH_BEFORE_WRITE', ''],
  ['ring', 'RELEASE_BEFORE_COPY', ''],
  ['ring', 'FULL_OFF_BY_ONE', ''],
  ['ring', 'NO_WRAP', ''],
  ['ring', 'RELEASE_BEFORE_PUBLISH', 'HANDOVER'],
  ['ring', 'RESUME_WITHOUT_POSITION', 'DEATHS'],
  ['ring', 'OBSERVER_NO_RECHECK', 'OBSERVER'],
  ['ring', 'OBSERVER_OFF_BY_ONE', 'OBSERVER'],
  ['cursor', 'NO_RECHECK', ''],
  ['cursor', 'IGNORES_ODD', ''],
  ['cursor', 'FLAG_OUTSIDE_LOCK', ''],
  ['cursor', 'FLAG_LOWERED_OUTSIDE_LOCK', ''],
  ['cursor', 'FAILED_READ_SHOWS_LAST', ''],
  ['cursor', 'FAILED_READ_IS_CURRENT', ''],
  ['cursor', 'LOCK_WITHOUT_EXCHANGE', 'OPERATIONS=1 TWO_WRITERS'],
  ['cursor', 'FLAG_BEFORE_SEED DISCONNECT_KEEPS', 'UNLOCKED'],
  ['cursor', 'SILENCES_UNSEEN', 'OPERATIONS=2 FRAMES'],
  ['cursor', 'SILENCES_UNLOCKED', 'OPERATIONS=2 FRAMES'],
  ['park', 'LOOKS_FIRST', small],
  ['park', 'LOOKS_FIRST', `URING ${small}`],
  ['park', 'NO_SECOND_LOOK', small],
  ['park', 'WAKE_BEFORE_STORE', small],
  ['park', 'RECORDS_NEVER_WAKE', small],
  ['park', 'CLEARS_BEFORE_SLEEP', small],
  ['park', 'SLEEPS_UNARMED', `URING ${small}`],
  ['park', 'TAKES_PARKED_ONLY', small],
  ['park', 'FORGETS_CONTROL', oneCall],
  ['park', 'FORGETS_ABANDON', oneCall],
  ['park', 'FORGETS_FENCE', oneCall],
  ['park', 'FORGETS_CURSORS', small],
  ['park', 'FORGETS_DEADLINE', 'CONTROLS=1 RECORDS=1 ADVANCES=0'],
  ['park', 'FENCE_LEAVES_HELD', 'CONTROLS=1 RECORDS=1 ADVANCES=0'],
  ['park', 'DEATHS', small],
  ['park', 'HELD_COUNTS_AS_WORK', 'LIVE CONTROLS=0 RECORDS=1 ADVANCES=0', { live: true }],
  ['order', 'CONTROL_FIRST', ''],
  ['order', 'ENDS_AT_ONCE', ''],
  ['order', 'COMPARES_UNWRAPPED', ''],
  ['order', 'OFF_BY_ONE', ''],
  ['bell', 'BELL_BEFORE_PUBLISH', ''],
  ['bell', 'CLEARS_AFTER_LOOK', ''],
  ['bell', 'CLEARS_AFTER_LOOK', 'ENDLESS', { live: true }],
  ['bell', 'LOOKS_THEN_SETS', ''],
  ['bell', 'RELEASES_BEFORE_READING', ''],
  ['close', 'NEVER_MUTED', ''],
  ['close', 'CLOSES_BEFORE_STATE', ''],
  ['close', 'CHECKS_BEFORE_DUP NO_STATE_CHECK', ''],
].map(([model, defect, switches, { live = false } = {}]) => ({ model, defect, switches, live }));

/** Every search ends far below these; one that does not has failed. */
const depthMax = 1_000_000;
const memoryMiB = 1500;
const timeoutMs = 100_000;

function call(command, args, cwd) {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { cwd, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : (error.code ?? 1), text: `${stdout}${stderr}` }),
    );
  });
}

/** Why no model can be checked here, with what to do; null when one can. */
export async function missingTool() {
  const install = 'as root: apt-get install -y spin gcc';
  if (!onPath('spin')) return `spin is not installed (${install})`;
  // Another program of that name exists.
  const { text } = await call('spin', ['-V'], root);
  if (!text.startsWith('Spin Version'))
    return `the program "spin" here is not the model checker (${install})`;
  if (!onPath('gcc')) return `gcc is not installed: spin needs it (${install})`;
  return null;
}

const defines = (words) =>
  words
    .split(' ')
    .filter(Boolean)
    .map((word) => `-D${word}`);

/**
 * Searches all states of a model, with a defect put back into it if there is one. Returns { states, depth, seconds, problem }; `problem` is null when everything was
 * searched without an error, else { kind, trail }: kind 'property' when a property does not hold, with the steps that
 * lead there (when `trail` asks for them), else why the search says nothing.
 */
export async function search({ model, switches, live, defect }, { trail = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-models-'));
  const started = performance.now();
  try {
    const file = `${model}.pml`;
    copyFileSync(join(root, 'models', file), join(folder, file));
    const words = defines(`${defect ?? ''} ${switches}`);
    const made = await call('spin', [...words, '-a', file], folder);
    if (made.code !== 0 || made.text.includes('Error:')) return broken(`spin -a failed:\n${made.text}`);
    // A defect is found so soon that it is not worth compiling well.
    const flags = [
      defect ? '-O0' : '-O1',
      '-w',
      '-DCOLLAPSE',
      `-DMEMLIM=${memoryMiB}`,
      live ? '-DNFAIR=3' : '-DSAFETY',
    ];
    const built = await call('gcc', [...flags, '-o', 'pan', 'pan.c'], folder);
    if (built.code !== 0) return broken(`gcc failed:\n${built.text}`);
    const args = [`-m${depthMax}`, '-w22', ...(live ? ['-a', '-f'] : [])];
    const ran = await call(join(folder, 'pan'), args, folder);
    const result = { ...readReport(ran.text), seconds: (performance.now() - started) / 1000 };
    if (trail && result.problem?.kind === 'property') {
      const steps = await call('spin', [...words, '-t', '-p', '-g', file], folder);
      result.problem.trail = steps.text;
    }
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const broken = (kind) => ({ states: 0, depth: 0, seconds: 0, problem: { kind, trail: '' } });

/** Reads what the verifier prints. */
export function readReport(text) {
  const errors = /depth reached (\d+), errors: (\d+)/.exec(text);
  const stored = /^\s*([\d.e+]+) states, stored/m.exec(text);
  if (errors === null || stored === null) return broken(`the verifier did not end:\n${text.slice(-500)}`);
  const found = /assertion violated|acceptance cycle/.test(text);
  const cut = /max search depth too small|out of memory|MEMLIM bound|Search not completed/i.exec(text);
  let kind = null;
  if (Number(errors[2]) > 0) kind = found ? 'property' : 'an error that is none of the properties';
  else if (cut !== null) kind = `not all was searched: ${cut[0]}`;
  if (kind?.startsWith('an error')) kind += `: ${/^pan:\d+: (.*)$/m.exec(text)?.[1] ?? 'unknown'}`;
  return {
    states: Number(stored[1]),
    depth: Number(errors[1]),
    problem: kind === null ? null : { kind, trail: '' },
  };
}
