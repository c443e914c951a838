import { spawnSync } from 'node:child_process';
import { nodeApi8 } from './node-api-8.mjs';

/** A binary above this size holds something that should not be in it, such as debug sections or a whole library. */
export const sizeBytesMax = 500_000;

const cell = (text, pattern) => pattern.exec(text)?.[1] ?? '';

/**
 * What `readelf --wide --file-header --sections --dynamic --dyn-syms` printed, as facts: the machine, needed libraries,
 * sections, and the dynamic symbols that it wants (`imports`, with the version they ask for) and shows (`exports`).
 */
export function parseReadelf(text) {
  const imports = [];
  const exports = [];
  for (const line of text.split('\n')) {
    const symbol =
      /^\s*\d+: [0-9a-f]+\s+\S+\s+\S+\s+(GLOBAL|WEAK)\s+\S+\s+(\S+)\s+([^@\s]+)(?:@+(\S+))?/.exec(line);
    if (symbol === null) continue;
    const [, binding, section, name, version = ''] = symbol;
    if (section === 'UND') imports.push({ name, version, weak: binding === 'WEAK' });
    else exports.push(name);
  }
  return {
    machine: cell(text, /^\s*Machine:\s+(.+?)\s*$/m),
    type: cell(text, /^\s*Type:\s+(\w+)/m),
    needed: [...text.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(([, name]) => name),
    sections: [...text.matchAll(/^\s*\[\s*\d+\] (\.\S+)/gm)].map(([, name]) => name),
    imports,
    exports,
  };
}

/** The same of a file. Throws when there is no readelf, or when it can't read the file. */
export function inspectBinary(path) {
  const args = ['--wide', '--file-header', '--sections', '--dynamic', '--dyn-syms', path];
  const { status, stdout, stderr, error } = spawnSync('readelf', args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 1 << 26,
  });
  if (error) throw new Error(`readelf could not be run (${error.message}): install binutils`);
  if (status !== 0 || !/^ELF Header/m.test(stdout)) throw new Error(`${path}: ${stderr.trim()}`);
  return parseReadelf(stdout);
}

const byVersion = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/** The newest glibc that its symbols ask for, such as `2.28`; empty when they ask for none. */
export function glibcNeeded({ imports }) {
  const versions = imports
    .map(({ version }) => cell(version, /^GLIBC_([\d.]+)$/))
    .filter((one) => one !== '');
  return versions.sort(byVersion).at(-1) ?? '';
}

const apiName = /^(napi|node_api)_/;
/** Of C++ (mangled), of Node beside Node-API, and of libraries that belong inside. */
const foreignName = /^(_Z|__cxa_(?!atexit|finalize)|uv_|node_module_|io_uring_)/;

/** What is wrong with a binary for a target, in words; empty when nothing is. */
export function faultsOf(facts, sizeBytes, target, { glibcMax }) {
  const foreign = facts.needed.filter((library) => !target.libraries.includes(library));
  const cpp = facts.imports.filter(({ version }) => /^(GLIBCXX|CXXABI|GCC)_/.test(version));
  const debug = facts.sections.filter((name) => name === '.symtab' || name.startsWith('.debug'));
  const api = facts.imports.map(({ name }) => name).filter((name) => apiName.test(name));
  const beyond = api.filter((name) => !nodeApi8.has(name));
  // glibc gives every symbol a version, musl none: there only running it shows the rest.
  const stray = facts.imports.filter(({ name, version, weak }) =>
    target.libc === 'musl' ? foreignName.test(name) : version === '' && !weak && !apiName.test(name),
  );
  const shown = facts.exports.filter(
    (name) => !/^(napi_register_module_v1|node_api_module_get_api_version_v1)$/.test(name),
  );
  const glibc = glibcNeeded(facts);
  const list = (names) => names.map((one) => one.name ?? one).join(', ');
  return [
    facts.machine !== target.machine &&
      `is for ${facts.machine || 'no known machine'}, not for ${target.machine}`,
    facts.type !== 'DYN' && `is no shared object (${facts.type})`,
    !facts.exports.includes('napi_register_module_v1') && 'does not export napi_register_module_v1',
    shown.length > 0 && `exports ${list(shown)}`,
    foreign.length > 0 && `needs ${foreign.join(', ')} at run time`,
    cpp.length > 0 && `needs the C++ library for ${list(cpp)}`,
    stray.length > 0 && `needs symbols that neither Node-API nor libc has: ${list(stray)}`,
    beyond.length > 0 && `uses what Node-API 8 has not: ${list(beyond)}`,
    api.length === 0 && 'uses no Node-API',
    target.libc === 'musl' && glibc !== '' && 'needs glibc',
    glibc !== '' && byVersion(glibc, glibcMax) > 0 && `needs glibc ${glibc}, above ${glibcMax}`,
    debug.length > 0 && `is not stripped (${debug.join(', ')})`,
    sizeBytes > sizeBytesMax && `has ${sizeBytes} bytes, above ${sizeBytesMax}`,
  ].filter((fault) => fault !== false);
}
