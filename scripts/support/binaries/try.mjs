import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../run.mjs';
import { runnersFor } from './runners.mjs';
import { lastLines } from './step.mjs';
import { binaryOf } from './targets.mjs';
import { tryCore } from './try-core.mjs';

const stageTimeoutMs = 300_000;

/** The package as it is installed, with this one binary and no build of its own. */
function installed(target, folder) {
  if (!existsSync(join(root, 'dist/index.js')))
    throw new Error('dist/ is missing: run `npm run build` first');
  const to = join(folder, 'package');
  mkdirSync(to);
  for (const part of ['dist', 'package.json']) cpSync(join(root, part), join(to, part), { recursive: true });
  cpSync(binaryOf(root, target), binaryOf(to, target), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

function runStage({ command, args, env, inline }, installedIn, backend) {
  const program = join(root, 'scripts/support/binaries/try-stage.mjs');
  const words = [...args, program, installedIn, backend, ...(inline ? ['inline'] : [])];
  const { status, signal, stdout, stderr } = spawnSync(command, words, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: stageTimeoutMs,
    killSignal: 'SIGKILL',
  });
  if (status !== 0) {
    const said = `${signal ?? `ended with ${status}`}\n${lastLines(`${stdout}${stderr}`)}`;
    return { ok: false, said };
  }
  const result = JSON.parse(lastLines(stdout, 1));
  const notes = result.said.map((line) => `; ${line}`).join('');
  return { ok: true, said: `${result.bytes} bytes equal over ${result.backend}${notes}` };
}

/** A stage in each engine, on both backends; `auto` says which it came to, and why not the other. */
function tryStage(target, folder, { fetch }) {
  const what = 'stage over loopback';
  const runners = runnersFor(target, { fetch, folder });
  const to = runners.some(({ skipped }) => !skipped) ? installed(target, folder) : null;
  return runners.flatMap((runner) => {
    const title = runner.on ? `${what}, ${runner.on}` : what;
    if (runner.skipped) return [{ what: title, skipped: runner.skipped }];
    return ['auto', 'posix'].map((backend) => ({
      what: `${title}, backend ${backend}`,
      ...runStage(runner, to, backend),
    }));
  });
}

/** Runs a target's binary as far as this machine can: what was run with its outcome, and what was not with the reason. */
export function tryTarget(target, folder, asked) {
  return [...tryStage(target, folder, asked), ...(asked.core ? [tryCore(target, folder, asked)] : [])];
}
