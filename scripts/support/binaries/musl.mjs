import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianApt, onDebian } from './debian.mjs';
import { step } from './step.mjs';
import { toolFromNpm, toolsFolder, zigIfAny } from './zig.mjs';

// No Node for musl is on npm, but Bun, which has Node-API. It wants libstdc++ and libgcc for musl: Debian's, which are for
// glibc, do with a shim, since Bun uses little of them.

const machines = {
  x64: {
    bun: '@oven/bun-linux-x64-musl',
    glibcLoader: 'ld-linux-x86-64.so.2',
    compiler: 'cc',
  },
  arm64: {
    bun: '@oven/bun-linux-aarch64-musl',
    glibcLoader: 'ld-linux-aarch64.so.1',
    compiler: 'aarch64-linux-gnu-gcc',
  },
};

/** Symbols of glibc that they ask for, and musl has not. */
const shim = `
#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
char __libc_single_threaded = 0;
int __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }
unsigned long __getauxval(unsigned long type) { return getauxval(type); }
int _dl_find_object(void *pc, void *result) { return -1; }
int __cxa_thread_atexit_impl(void (*f)(void *), void *object, void *dso) { return 0; }
uint32_t arc4random(void) {
  uint32_t value = 0;
  int fd = open("/dev/urandom", O_RDONLY);
  if (read(fd, &value, sizeof value) != sizeof value) _exit(99);
  close(fd);
  return value;
}
size_t __strftime_l(char *s, size_t n, const char *f, const struct tm *t, locale_t l) { return strftime(s, n, f, t); }
size_t __wcsftime_l(wchar_t *s, size_t n, const wchar_t *f, const struct tm *t, locale_t l) { return wcsftime(s, n, f, t); }
`;

/** A folder of libraries for Bun, and what to load before them. */
function libraries(target, { glibcLoader, compiler }, zig, folder) {
  const to = join(folder, 'musl');
  mkdirSync(to, { recursive: true });
  for (const name of ['libstdc++.so.6', 'libgcc_s.so.1'])
    copyFileSync(step(compiler, [`-print-file-name=${name}`]).trim(), join(to, name));
  const compile = (name, text) => {
    const source = join(to, `${name}.c`);
    writeFileSync(source, text);
    const options = ['-target', target.triple, '-w', '-shared', '-fPIC', '-O1'];
    step(zig, ['cc', ...options, '-o', join(to, name), source]);
    return join(to, name);
  };
  // They name it, but take nothing from it that musl has not.
  compile(glibcLoader, 'int ackgate_nothing;');
  return { LD_PRELOAD: compile('shim.so', shim), LD_LIBRARY_PATH: to };
}

/** A folder with musl's loader for arm64 in lib/, Debian's; it is fetched into the tools folder when that is allowed. */
function armRoot(fetch) {
  const to = join(toolsFolder(), 'musl-arm64');
  const loader = join(to, 'lib/ld-musl-aarch64.so.1');
  if (existsSync(loader)) return { path: to };
  if (!fetch || !onDebian()) return { skipped: `${loader} is missing; --fetch installs it, on Debian` };
  mkdirSync(join(to, 'lib'), { recursive: true });
  debianApt(to, { architecture: 'arm64' })('download', 'musl');
  step('dpkg-deb', ['-x', readdirSync(to).find((name) => name.endsWith('.deb')), '.'], { cwd: to });
  copyFileSync(join(to, 'lib/aarch64-linux-musl/libc.so'), loader);
  return { path: to };
}

/** Bun on musl, for the target's architecture: this machine's, or arm64 under qemu-user. */
export function muslRunner(target, asked) {
  const machine = machines[target.arch];
  if (spawnSync(machine.compiler, ['--version'], { stdio: 'ignore' }).status !== 0)
    return { skipped: `${machine.compiler} is not installed: its libstdc++ is wanted` };
  const bun = toolFromNpm(machine.bun, `${machine.bun}/bin/bun`, asked.fetch);
  if (bun.skipped) return bun;
  const zig = zigIfAny(asked);
  if (zig.skipped) return zig;
  const found = () => libraries(target, machine, zig.path, asked.folder);
  // Its threads take no object that holds shared memory the way Node's do.
  const common = { on: 'Bun on musl', inline: true };
  if (target.arch === process.arch) {
    if (!readdirSync('/lib').some((name) => name.startsWith('ld-musl-')))
      return { skipped: 'musl is not installed (musl)' };
    const env = { LIBC: 'musl', ...found() };
    return { ...common, command: bun.path, args: [], env };
  }
  const root = armRoot(asked.fetch);
  if (root.skipped) return root;
  const inside = Object.entries(found());
  return {
    ...common,
    on: 'Bun on musl for arm64 under qemu-user',
    command: 'qemu-aarch64',
    // For Bun alone: the emulator is a program of this machine's.
    args: ['-L', root.path, ...inside.flatMap(([name, value]) => ['-E', `${name}=${value}`]), bun.path],
    env: { LIBC: 'musl' },
  };
}
