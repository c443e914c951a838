import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../run.mjs';
import { exec, mustExec } from './exec.mjs';

const fixtures = join(root, 'test/fixtures/package');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];

/** Packages at the version that this project uses itself, as npm takes them. */
const ownVersion = (names) => names.map((name) => `${name}@${manifest.devDependencies[name]}`);

/** The optional peers, and the types that go with them. */
export const peers = ownVersion([...Object.keys(manifest.peerDependencies), '@types/pg']);
export const nodeTypes = ownVersion(['@types/node']);

/** An empty project of a user that has one Node, and what the user does in it. */
export class Project {
  folder;
  installMs = 0;
  #node;

  /** `name` may have spaces: so may the folders of users. */
  constructor(parent, name, node) {
    this.folder = join(parent, name);
    this.#node = node;
    mkdirSync(this.folder, { recursive: true });
    this.write('package.json', '{ "name": "user", "version": "1.0.0", "private": true, "type": "module" }\n');
  }

  get installed() {
    return join(this.folder, 'node_modules/ackgate');
  }

  /** Installs with npm; only the tarball is timed, what else is wanted comes first. */
  async npmInstall(tarball, { also = [], flags = [] } = {}) {
    const npm = (what) =>
      mustExec(
        this.#node.exec,
        [this.#node.npm, 'install', ...what, ...flags, ...quietly],
        this.#options(300_000),
      );
    if (also.length > 0) await npm(also);
    this.installMs = (await npm([tarball])).ms;
    this.#isAsPacked();
    return `${this.installMs} ms`;
  }

  /** Installs with another manager: `cli` is its program, `add` its command. */
  async addWith({ spec, cli, add }, tarball) {
    const store = spec.startsWith('pnpm')
      ? ['--store-dir', join(this.folder, '../store'), '--prefer-offline']
      : [];
    const args = [cli, ...add, tarball, ...store];
    const { ms, stdout, stderr } = await mustExec(this.#node.exec, args, this.#options(300_000));
    this.installMs = ms;
    this.#isAsPacked();
    const ignored = /ignored build scripts:.*/i.exec(stdout + stderr);
    if (ignored !== null) throw new Error(`${spec} wants to be asked: ${ignored[0].trim()}`);
    return `${ms} ms`;
  }

  /** What installing must not have done. */
  #isAsPacked() {
    if (existsSync(join(this.installed, 'build')) || existsSync(join(this.installed, 'native/build')))
      throw new Error('installing has built something in the package');
    if (!existsSync(join(this.installed, 'dist/index.js'))) throw new Error('the package is not installed');
  }

  /** Copies files of test/fixtures/package, into a folder of the project when one is given. */
  take(names, folder = '.') {
    for (const name of names) cpSync(join(fixtures, name), join(this.folder, folder, name));
  }

  write(name, content) {
    writeFileSync(join(this.folder, name), content);
  }

  /** Runs a script with this Node to its end and returns the document that it printed. */
  async json(script, ...args) {
    const { stdout } = await mustExec(this.#node.exec, [script, ...args], this.#options());
    return JSON.parse(stdout.trim().split('\n').at(-1));
  }

  /** Runs a script with this Node; throws unless it ends with `expected`. */
  node(args, expected = 0) {
    return mustExec(this.#node.exec, args, this.#options(), expected);
  }

  /** Starts a script that does not end by itself, but when `signal` says so. */
  start(script, env, signal) {
    const { env: own, ...options } = this.#options();
    return exec(this.#node.exec, [script], { ...options, env: { ...own, ...env }, signal });
  }

  /** Runs a command as a shell would find it: on the PATH of this user, or in node_modules/.bin. */
  npx(...args) {
    return mustExec(join(this.#node.env.PATH, 'npx'), ['--no-install', ...args], this.#options());
  }

  ackgate(args, expected = 0) {
    return mustExec(join(this.folder, 'node_modules/.bin/ackgate'), args, this.#options(), expected);
  }

  dropBinaries() {
    rmSync(join(this.installed, 'prebuilds'), { recursive: true });
  }

  leftovers() {
    return readdirSync(this.folder).filter((name) => name.startsWith('journal-'));
  }

  #options(timeoutMs = 120_000) {
    return { cwd: this.folder, env: this.#node.env, timeoutMs };
  }
}
