import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeGypArguments } from '../node-headers.mjs';
import { root } from './run.mjs';
import { copyTree } from './tree-copy.mjs';
import { projects } from './typescript.mjs';

const bin = (path) => join(root, 'node_modules', path);

/**
 * The project with an addon built another way, in a copy of the tree (build/NAME-tree), so that the usual build stays as
 * it is. A step that fails is shown and ends the process.
 */
export class Variant {
  #tree;

  /** Copies what git would, and shares what npm has installed. */
  constructor(name) {
    this.#tree = join(root, `build/${name}-tree`);
    rmSync(this.#tree, { recursive: true, force: true });
    copyTree(this.#tree);
  }

  /** Builds the addon with these variables of binding.gyp (`['portable=1']`), and the TypeScript sources. */
  build(variables) {
    const gyp = ['rebuild', '-C', 'native', '--loglevel=error', ...nodeGypArguments(), '--'];
    const defines = variables.map((variable) => `-D${variable}`);
    this.#step(`Building the addon (${variables.join(' ')})`, bin('node-gyp/bin/node-gyp.js'), [
      ...gyp,
      ...defines,
    ]);
    for (const { config } of projects) {
      this.#step(`Building TypeScript (${config})`, bin('typescript/bin/tsc'), ['-p', config]);
    }
  }

  /** Runs vitest with its output shown; returns its exit code. */
  test(args, env = {}) {
    const options = { stdio: 'inherit', env: { ...process.env, ...env } };
    return this.#run(process.execPath, [bin('vitest/vitest.mjs'), 'run', ...args], options).status ?? 1;
  }

  #step(what, script, args) {
    console.log(`${what} …`);
    const { status, stdout, stderr } = this.#run(process.execPath, [script, ...args]);
    if (status === 0) return;
    console.error(`${stdout}${stderr}`);
    process.exit(1);
  }

  #run(command, args, options = {}) {
    const result = spawnSync(command, args, {
      cwd: this.#tree,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      ...options,
    });
    if (result.error) throw result.error;
    return result;
  }
}
