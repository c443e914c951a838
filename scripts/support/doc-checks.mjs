import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runNode } from './run.mjs';

/** Pages that are, or would be, committed. */
const pages = () =>
  execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z', '*.md'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)));

/** Links between the pages, to other files, and to headings. */
export async function checkLinks() {
  const cli = 'node_modules/remark-cli/cli.js';
  const { code, text } = await runNode(cli, ['--frail', '--quiet', '--no-stdout', ...pages()], {
    output: 'capture',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    timeoutMs: 60_000,
  });
  return { ok: code === 0, log: text };
}

const named = /`((?:src|docs|scripts|test|bench|native|examples|models|dashboards)\/[\w./-]+)[^`\n]*`/g;

/**
 * Files and folders of the project that a page names in backticks, outside of code blocks, and that there are not, as
 * `path:line: what`. `exists` takes a path from the project's folder.
 */
export function missingFiles(path, text, exists) {
  const prose = text.replace(/```[\s\S]*?```/g, (block) => block.replace(/[^\n]/g, ''));
  return prose
    .split('\n')
    .flatMap((line, index) =>
      [...line.matchAll(named)]
        .filter(([, name]) => !exists(name))
        .map(([, name]) => `${path}:${index + 1}: there is no ${name}`),
    );
}

export async function checkNamedFiles() {
  const problems = pages().flatMap((path) =>
    missingFiles(path, readFileSync(join(root, path), 'utf8'), (name) => existsSync(join(root, name))),
  );
  return { ok: problems.length === 0, log: problems.join('\n') };
}
