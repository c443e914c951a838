import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { exec } from './exec.mjs';

/** Where a program on the PATH really is. */
function found(name) {
  const paths = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  const path = paths.find((one) => existsSync(one));
  if (path === undefined) throw new Error(`${name} is not on the PATH`);
  return realpathSync(path);
}

/** What a user has in the environment too: where npm finds packages, and not what `npm run` adds. */
const kept =
  /^(HOME|TMPDIR|LANG|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS|(https?|no)_proxy|npm_config_(registry|cache|userconfig|cafile))$/i;

/**
 * The environment of a user that has one Node, npm and a shell, and nothing to compile with: a PATH of one folder.
 */
function plainUser(folder, node, npm) {
  mkdirSync(folder, { recursive: true });
  symlinkSync(node, join(folder, 'node'));
  symlinkSync(npm, join(folder, 'npm'));
  symlinkSync(join(npm, '../npx-cli.js'), join(folder, 'npx'));
  // npm runs commands with the first, and pnpm's starters of commands call the others.
  for (const name of ['sh', 'dirname', 'sed', 'uname']) symlinkSync(found(name), join(folder, name));
  const known = Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)));
  return { ...known, PATH: folder, CC: '/bin/false', CXX: '/bin/false', NO_COLOR: '1', CI: 'true' };
}

/** This Node: `{ version, exec, env, npm }`. */
export function thisNode(folder) {
  const npm = found('npm');
  const env = plainUser(join(folder, `bin-${process.version}`), process.execPath, npm);
  return { version: process.versions.node, exec: process.execPath, env, npm };
}

/** Installs one package from npm into a folder of its own; throws with the reason when that fails. */
async function fromNpm(name, folder) {
  const home = join(folder, name.replace('@', '-'));
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), '{"private":true}');
  const args = ['install', name, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  const options = { cwd: home, env: process.env, timeoutMs: 300_000 };
  const { code, stderr } = await exec(process.execPath, [found('npm'), ...args], options);
  if (code !== 0) throw new Error(`${name} can't be installed: ${stderr.trim()}`);
  return join(home, 'node_modules');
}

/** The newest release of a major version, from the package `node` on npm. Throws with the reason when there is none. */
export async function nodeOfMajor(major, folder) {
  const node = join(await fromNpm(`node@${major}`, folder), 'node/bin/node');
  const { stdout, stderr } = await exec(node, ['-p', 'process.versions.node'], {
    cwd: folder,
    env: process.env,
  });
  const version = stdout.trim();
  if (!version.startsWith(`${major}.`))
    throw new Error(`node@${major} is no Node ${major}: ${version}${stderr}`);
  const npm = found('npm');
  return { version, exec: node, env: plainUser(join(folder, `bin-${version}`), node, npm), npm };
}

/** The file of a package manager's command line, as of `pnpm@9`. Throws with the reason when there is none. */
export async function managerCli(spec, folder) {
  const [name] = spec.split('@');
  const home = join(await fromNpm(spec, folder), name);
  // Of the pnpm that is a program of its own the package has a starter in JavaScript, too.
  const starter = join(home, `bin/${name}.mjs`);
  if (existsSync(starter)) return starter;
  const { bin } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  return join(home, typeof bin === 'string' ? bin : bin[name]);
}
