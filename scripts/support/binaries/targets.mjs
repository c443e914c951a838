import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Needed at most, of a binary for the package: what Node's own builds for glibc need. */
export const glibcFloor = '2.28';

const target = (arch, libc, { triple, machine, libraries }) => ({
  name: `linux-${arch}-${libc}`,
  arch,
  libc,
  /** What zig calls it. */
  triple,
  /** What readelf calls it. */
  machine,
  /** Shared libraries that it may need: the C library and its parts. */
  libraries,
  /** Where node-gyp-build looks for it. */
  file: `prebuilds/linux-${arch}/ackgate.${libc}.node`,
});

const glibc = ['libc.so.6', 'libm.so.6', 'libpthread.so.0', 'libdl.so.2'];
const x64 = 'Advanced Micro Devices X86-64';

/** What the package has binaries for. */
export const targets = [
  target('x64', 'glibc', {
    triple: `x86_64-linux-gnu.${glibcFloor}`,
    machine: x64,
    libraries: [...glibc, 'ld-linux-x86-64.so.2'],
  }),
  target('x64', 'musl', {
    triple: 'x86_64-linux-musl',
    machine: x64,
    libraries: ['libc.so', 'libc.musl-x86_64.so.1'],
  }),
  target('arm64', 'glibc', {
    triple: `aarch64-linux-gnu.${glibcFloor}`,
    machine: 'AArch64',
    libraries: [...glibc, 'ld-linux-aarch64.so.1'],
  }),
  target('arm64', 'musl', {
    triple: 'aarch64-linux-musl',
    machine: 'AArch64',
    libraries: ['libc.so', 'libc.musl-aarch64.so.1'],
  }),
];

/** Which libc this process runs on, told as node-gyp-build tells it. */
export const ownLibc = () => (existsSync('/etc/alpine-release') ? 'musl' : 'glibc');

/** The target that is this machine's; undefined when there is none. */
export const ownTarget = () =>
  process.platform === 'linux'
    ? targets.find(({ arch, libc }) => arch === process.arch && libc === ownLibc())
    : undefined;

export const isOwn = (target) => target === ownTarget();

export const binaryOf = (folder, target) => join(folder, target.file);
