import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { debianApt, onDebian } from './debian.mjs';
import { step } from './step.mjs';

const isSource = (folder) => existsSync(join(folder, 'src/include/liburing.h'));

function fetchFromDebian(folder) {
  if (!onDebian()) {
    throw new Error(
      'no sources of liburing: name a folder of them (2.3 or later) in LIBURING_SOURCE. They are fetched by themselves ' +
        'only on Debian 12 or later',
    );
  }
  debianApt(folder, { types: 'deb-src' })('source', '--download-only', 'liburing');
  const archive = readdirSync(folder).find((name) => /^liburing_.*\.orig\.tar\.\w+$/.test(name));
  step('tar', ['-xf', archive], { cwd: folder });
  const name = readdirSync(folder).find((name) => isSource(join(folder, name)));
  return join(folder, name);
}

/** A folder with the sources of liburing: that of LIBURING_SOURCE, else Debian's, fetched into `folder`. */
export function liburingSource(folder) {
  const given = process.env.LIBURING_SOURCE;
  if (!given) return fetchFromDebian(folder);
  if (!isSource(given)) throw new Error(`LIBURING_SOURCE=${given} has no src/include/liburing.h`);
  return given;
}

/** Builds a static archive in a copy of the sources. Returns the environment that points native/liburing.mjs to it. */
export function buildLiburing(source, compiler, folder) {
  const tree = join(folder, 'liburing');
  cpSync(source, tree, { recursive: true });
  const env = { ...process.env, ...compiler };
  step('./configure', [`--cc=${compiler.CC}`, `--cxx=${compiler.CXX}`], { cwd: tree, env });
  const variables = [
    'ENABLE_SHARED=0',
    `CC=${compiler.CC}`,
    `AR=${compiler.AR}`,
    `RANLIB=${compiler.RANLIB}`,
    'CFLAGS=-O3 -fno-stack-protector',
    'LIBURING_CFLAGS=-fPIC -ffunction-sections -fdata-sections',
  ];
  step('make', ['-C', 'src', ...variables, 'liburing.a'], { cwd: tree, env });
  return {
    LIBURING_INCLUDE: join(tree, 'src/include'),
    LIBURING_ARCHIVE: join(tree, 'src/liburing.a'),
  };
}
