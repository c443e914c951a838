/** The path of `name` as seen from the package at `path`, in the lock's `packages`; undefined when it has none. */
function resolveIn(packages, path, name) {
  for (let from = path; ; from = from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1))) {
    const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (packages[candidate] !== undefined) return candidate;
    if (from === '') return undefined;
  }
}

/**
 * Optional dependencies (binaries for other platforms, mostly) that the lock names and has no entry for. npm leaves
 * them out when the registry in use does not have them, and then `npm ci` refuses the whole lock, everywhere.
 */
export function missingEntries({ packages }) {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => resolveIn(packages, path, name) === undefined)
      .map(([name, version]) => ({ parent: path, name, version })),
  );
}

const platforms = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const cpus = ['arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64'];
const libcs = { gnu: 'glibc', musl: 'musl' };

/** What `npm` would have written for a binary package named after its platform, but for its checksum. */
export function entryFor({ name, version }, { dev, license, engines }) {
  const words = name.split(/[/-]/);
  const os = platforms.find((word) => words.includes(word));
  const cpu = cpus.find((word) => words.includes(word));
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`${name}@${version} is not named after a platform: write its entry by hand`);
  }
  const libc = Object.entries(libcs).find(([word]) => words.at(-1).startsWith(word))?.[1];
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...(libc && { libc: [libc] }),
    license,
    optional: true,
    os: [os],
    ...(engines && { engines }),
  };
}

/** The lock with an entry for each that is missing, sorted as npm sorts. */
export function completed(lock) {
  const packages = { ...lock.packages };
  for (const missing of missingEntries(lock)) {
    packages[`node_modules/${missing.name}`] = entryFor(missing, lock.packages[missing.parent]);
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(sorted) };
}
