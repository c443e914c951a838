import { spawnSync } from 'node:child_process';

/** What the C++ sources are formatted and linted with. Another version formats, and warns, otherwise. */
export const clangVersion = 14;

/** The program that is that tool in that version: `clang-format-14`, or a plain `clang-format` that is; null when neither. */
export function clangTool(tool) {
  const named = [`${tool}-${clangVersion}`, tool];
  return named.find((name) => versionOf(name) === clangVersion) ?? null;
}

function versionOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? Number(/version (\d+)\./.exec(stdout)?.[1]) : null;
}
