import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findLiburing } from '../../native/liburing.mjs';
import { clangTool, clangVersion } from './clang.mjs';
import { run } from './run.mjs';

/** Whether a program of that name can be run. */
export function onPath(name, path = process.env.PATH ?? '') {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Whether the compiler would find that header. */
function hasHeader(name) {
  const listed = [process.env.CPATH, process.env.CPLUS_INCLUDE_PATH].flatMap(
    (list) => list?.split(delimiter) ?? [],
  );
  return ['/usr/include', '/usr/local/include', ...listed].some((folder) => existsSync(join(folder, name)));
}

const anyOf = (...names) => names.some((name) => onPath(name));
// mkfs and losetup live in folders that are not on an ordinary user's path.
const inSbin = (name) => onPath(name, `${process.env.PATH}:/usr/sbin:/sbin`);

/** PostgreSQL 15 or later, which Debian keeps off the path. */
function hasPostgres() {
  const top = '/usr/lib/postgresql';
  const versions = existsSync(top) ? readdirSync(top).filter((name) => Number(name) >= 15) : [];
  return anyOf('postgres') || versions.some((version) => existsSync(join(top, version, 'bin/postgres')));
}

/** Whether packages of servers may be installed unasked: on build servers, and where nothing would run them as services. */
export const serversWelcome = (env = process.env, services = '/run/systemd/system') =>
  Boolean(env.CI) || !existsSync(services);

/** Debian packages by what needs them: how to see that one is there, and what it means when it isn't. */
const catalogue = {
  build: {
    'g++': {
      found: () => process.env.CXX !== undefined || anyOf('g++', 'c++'),
      without: 'the addon cannot be built',
    },
    make: { found: () => anyOf('make'), without: 'the addon cannot be built' },
    python3: { found: () => anyOf('python3', 'python'), without: 'the addon cannot be built' },
    'liburing-dev': {
      found: () => findLiburing().have,
      without: 'the addon is built without io_uring and sends with the posix sender',
      linuxOnly: true,
    },
  },
  test: {
    cmake: { found: () => anyOf('cmake'), without: 'the C++ tests cannot be built' },
    'doctest-dev': { found: () => hasHeader('doctest/doctest.h'), without: 'the C++ tests cannot be built' },
    strace: {
      found: () => anyOf('strace'),
      without: 'the fault injection tests cannot run',
      linuxOnly: true,
    },
    e2fsprogs: {
      found: () => inSbin('mkfs.ext4'),
      without: 'the power cut test cannot run',
      linuxOnly: true,
    },
    spin: { found: () => anyOf('spin'), without: 'the models of the shared memory protocol are not checked' },
  },
  // Debian runs a server that it installs, now and at every start of the machine: not without being asked either.
  servers: {
    postgresql: {
      found: hasPostgres,
      without: 'the tests with real PostgreSQL servers are skipped',
      linuxOnly: true,
    },
    'nats-server': {
      found: () => inSbin('nats-server'),
      without: 'the tests with a real NATS server are skipped',
      linuxOnly: true,
    },
  },
  // 80 MB to load, 290 MB on disk: not without being asked, and not in one call with the others.
  browser: {
    chromium: { found: () => anyOf('chromium'), without: 'the live page is not tested in a browser' },
  },
  check: {
    [`clang-format-${clangVersion}`]: {
      found: () => clangTool('clang-format') !== null,
      without: 'C++ formatting is not checked',
    },
    [`clang-tidy-${clangVersion}`]: {
      found: () => clangTool('clang-tidy') !== null,
      without: 'C++ is not linted',
    },
  },
};

/** The groups that tests and checks may install unasked, on build servers all of them. */
export const welcomeGroups = (env = process.env) => [
  'test',
  ...(serversWelcome(env) ? ['servers'] : []),
  ...(env.CI ? ['browser', 'check'] : []),
];

/** The packages of a group ('build', 'test', 'servers', 'browser', 'check') that are not there, as [name, what it means] pairs. */
export function missingPackages(group, platform = process.platform) {
  return Object.entries(catalogue[group])
    .filter(([, { found, linuxOnly }]) => (platform === 'linux' || !linuxOnly) && !found())
    .map(([name, { without }]) => [name, without]);
}

/** How apt-get may be called here: the words to put before it, or null with the reason when it may not. */
async function aptPrefix() {
  if (process.platform !== 'linux' || !onPath('apt-get'))
    return { prefix: null, reason: 'there is no apt-get here' };
  if (process.getuid() === 0) return { prefix: [], reason: '' };
  if (onPath('sudo')) {
    const { code } = await run('sudo', ['-n', 'true'], { output: 'capture', timeoutMs: 10_000 });
    if (code === 0) return { prefix: ['sudo', '-n'], reason: '' };
  }
  return { prefix: null, reason: 'apt-get needs root, or sudo without a password' };
}

const hasPackageLists = () => {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'));
  } catch {
    return false;
  }
};

/** Installs by apt-get; returns the reason when that failed, null when it worked. Ends within ten minutes. */
async function aptInstall(prefix, names) {
  // `timeout` goes inside of sudo: a process of root's can't be stopped from out here.
  const apt = (...args) => {
    const words = [
      ...prefix,
      'timeout',
      '-k',
      '10',
      '200',
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-q',
    ];
    const limits = [
      '-o',
      'DPkg::Lock::Timeout=60',
      '-o',
      'Acquire::Retries=1',
      '-o',
      'Acquire::http::Timeout=20',
    ];
    const [command, ...rest] = [...words, ...limits, ...args];
    return run(command, rest, { output: 'capture' });
  };
  const install = () => apt('install', '-y', '--no-install-recommends', ...names);

  let result = hasPackageLists() ? await install() : null;
  if (result?.code !== 0) {
    // Its exit code says nothing: one repository out of many that can't be reached makes it fail.
    await apt('update');
    result = await install();
  }
  // A name that this distribution does not have keeps apt-get from installing any of the others.
  const said = /^E: (?:Unable to locate package |Package ')([\w.+-]+)/gm;
  const absent = [...result.text.matchAll(said)].map(([, name]) => name);
  const others = names.filter((name) => !absent.includes(name));
  if (others.length > 0 && others.length < names.length) {
    await apt('install', '-y', '--no-install-recommends', ...others);
  }
  if (result.code === 0) return null;
  if (result.code === 124) return 'apt-get took too long';
  return (
    result.text.split('\n').find((line) => line.startsWith('E: ')) ?? `apt-get ended with code ${result.code}`
  );
}

/**
 * Installs what is missing of a group where that is allowed, and says what is missing where it isn't or where it
 * fails; never throws. Returns the names that are still missing.
 */
export async function ensurePackages(group, say) {
  const missing = missingPackages(group);
  if (missing.length === 0) return [];
  const names = missing.map(([name]) => name);
  const { prefix, reason } = await aptPrefix();
  let failure = reason;
  if (prefix !== null) {
    say(`installing ${names.join(' ')} with apt-get`);
    failure = await aptInstall(prefix, names);
  }
  const still = missingPackages(group);
  for (const [name, without] of still)
    say(`${name} is missing (${failure ?? 'apt-get did not bring it'}): ${without}`);
  return still.map(([name]) => name);
}
