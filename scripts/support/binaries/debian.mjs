import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { step } from './step.mjs';

const sources = '/etc/apt/sources.list.d/debian.sources';

/** Whether `debianApt` works here: on Debian 12 and later. */
export const onDebian = () => existsSync(sources);

/**
 * An `apt-get` that downloads into `folder`, with lists of its own: those of the machine need to name neither source
 * packages (`types` 'deb-src') nor another architecture. Returns a function that takes its arguments.
 */
export function debianApt(folder, { types = 'deb', architecture = null } = {}) {
  const state = join(folder, 'apt');
  mkdirSync(join(state, 'lists/partial'), { recursive: true });
  mkdirSync(join(state, 'cache/archives/partial'), { recursive: true });
  writeFileSync(join(state, 'status'), '');
  const list = join(state, 'own.sources');
  writeFileSync(list, readFileSync(sources, 'utf8').replace(/^Types:.*$/gm, `Types: ${types}`));
  const options = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(state, 'lists'),
    'Dir::State::status': join(state, 'status'),
    'Dir::Cache': join(state, 'cache'),
    'APT::Sandbox::User': 'root',
    ...(architecture && { 'APT::Architecture': architecture, 'APT::Architectures': architecture }),
  };
  const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = (...args) => step('apt-get', [...given, ...args], { cwd: folder });
  apt('update');
  return apt;
}
