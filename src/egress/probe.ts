import { readFileSync } from 'node:fs';
import { constants, release } from 'node:os';

/** What the kernel and its files say about io_uring; injected by tests. */
export interface UringSurroundings {
  /** `/proc/sys/kernel/io_uring_disabled`, null when there is no such file. */
  disabled: number | null;
  /** `Seccomp:` of `/proc/self/status`: 2 when a filter is installed. */
  seccomp: number | null;
  /** Soft limit on locked memory in bytes, null when unlimited or unknown. */
  memlockBytes: number | null;
  kernel: string;
  /** Set when the kernel is gVisor, whose version file says so. */
  gvisor: boolean;
  /** `/proc` could be read; without it the fields above tell nothing. */
  proc: boolean;
}

const { EPERM, EACCES, ENOSYS, ENOMEM, EMFILE, ENFILE, EINVAL } = constants.errno;

/**
 * Why the kernel gave no ring, in plain words without a full stop, from the errno of the step that failed.
 * One errno has several causes; the files under `/proc` tell them apart.
 */
export function explainUring(errno: number, stage = 'setup', around = readUringSurroundings()): string {
  if (stage === 'build') {
    return process.platform === 'linux' ? 'the addon was built without liburing' : 'only Linux has io_uring';
  }
  if (stage === 'opcodes') {
    return `kernel ${around.kernel} has io_uring, but not all operations that are needed (send, poll, cancel)`;
  }
  switch (errno) {
    case 0:
      return 'io_uring works';
    case EPERM:
    case EACCES:
      return explainForbidden(around);
    case ENOSYS:
      return explainMissing(around);
    case ENOMEM:
      return `not enough memory may be locked for a ring (RLIMIT_MEMLOCK is ${memlock(around)}); raise it with ulimit -l`;
    case EMFILE:
    case ENFILE:
      return 'no file descriptor is left for a ring; raise the limit with ulimit -n';
    case EINVAL:
      return `kernel ${around.kernel} refuses every set of ring options that is known here`;
    default:
      return `setting up a ring failed with errno ${errno} on kernel ${around.kernel}`;
  }
}

/** What gets a ring after all, as an imperative without a full stop; see `explainUring`. */
export function uringRemedy(errno: number, stage: string, around: UringSurroundings): string {
  if (stage === 'build') {
    return process.platform === 'linux'
      ? 'install liburing-dev 2.3 or newer and build the addon again with npm run setup'
      : 'run on Linux';
  }
  if (stage === 'opcodes') return 'boot a newer kernel';
  switch (errno) {
    case EPERM:
    case EACCES:
      return forbiddenRemedy(around);
    case ENOSYS:
      if (around.gvisor) return 'run outside of gVisor, in another container runtime';
      if (kernelBefore(around.kernel, 5, 6)) return 'boot a newer kernel';
      if (around.seccomp === 2) return seccompRemedy;
      return around.proc ? 'boot a kernel with CONFIG_IO_URING' : mountProc;
    case ENOMEM:
      return 'raise the limit with ulimit -l (LimitMEMLOCK= in a systemd unit, --ulimit memlock= of a container)';
    case EMFILE:
    case ENFILE:
      return 'raise the limit with ulimit -n (LimitNOFILE= in a systemd unit)';
    default:
      return 'remove the cause named above';
  }
}

const seccompRemedy =
  'run with a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register ' +
  '(--security-opt seccomp=FILE of a container, SystemCallFilter= of a systemd unit)';
const mountProc =
  'mount /proc (mount -t proc proc /proc) and run ackgate doctor again, which then tells the cause';

function forbiddenRemedy(around: UringSurroundings): string {
  if (around.disabled === 2) return 'have root set it to 0 with sysctl kernel.io_uring_disabled=0';
  const privilege = `put the server's group into the sysctl kernel.io_uring_group, or set kernel.io_uring_disabled to 0`;
  if (around.seccomp === 2)
    return around.disabled === 1 ? `${seccompRemedy}, and ${privilege}` : seccompRemedy;
  if (around.disabled === 1) return privilege;
  return around.proc
    ? "allow io_uring in the security module's policy (its audit log names the refusal)"
    : mountProc;
}

function explainForbidden(around: UringSurroundings): string {
  if (!around.proc) {
    return 'the kernel forbids io_uring to this process (a seccomp profile, kernel.io_uring_disabled or a security module: /proc cannot be read to tell them apart)';
  }
  if (around.disabled === 2)
    return 'io_uring is switched off on this machine (kernel.io_uring_disabled is 2)';
  if (around.seccomp === 2) {
    const also = around.disabled === 1 ? ', and kernel.io_uring_disabled is 1' : '';
    return `a seccomp profile forbids io_uring (the default of container engines; allow io_uring_setup, io_uring_enter and io_uring_register in it)${also}`;
  }
  if (around.disabled === 1) {
    return 'io_uring is kept for privileged processes on this machine (kernel.io_uring_disabled is 1, and this one is neither privileged nor in kernel.io_uring_group)';
  }
  return 'the kernel forbids io_uring to this process (a security module such as SELinux)';
}

function explainMissing(around: UringSurroundings): string {
  if (around.gvisor) return 'the sandbox (gVisor) has no io_uring';
  if (kernelBefore(around.kernel, 5, 6))
    return `kernel ${around.kernel} is too old for io_uring (5.6 is needed)`;
  if (around.seccomp === 2) return 'a seccomp profile hides io_uring from this process';
  if (!around.proc) {
    return `kernel ${around.kernel} says that it has no io_uring (it was built without, or a seccomp profile hides it: /proc cannot be read to tell them apart)`;
  }
  return `kernel ${around.kernel} was built without io_uring`;
}

function kernelBefore(kernel: string, major: number, minor: number): boolean {
  const [ours, theirs] = kernel.split('.', 2).map((part) => Number.parseInt(part, 10));
  return ours < major || (ours === major && theirs < minor);
}

function memlock({ memlockBytes }: UringSurroundings): string {
  return memlockBytes === null ? 'unlimited' : `${Math.floor(memlockBytes / 1024)} KiB`;
}

/** Reads `/proc`; what is not there is null. */
export function readUringSurroundings(): UringSurroundings {
  const status = read('/proc/self/status');
  return {
    disabled: integer(read('/proc/sys/kernel/io_uring_disabled'), /^(\d+)/),
    seccomp: integer(status, /^Seccomp:\s*(\d+)/m),
    memlockBytes: integer(read('/proc/self/limits'), /^Max locked memory\s+(\d+)/m),
    kernel: release(),
    gvisor: /gvisor/i.test(read('/proc/version')),
    proc: status !== '',
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function integer(text: string, pattern: RegExp): number | null {
  const match = pattern.exec(text);
  return match === null ? null : Number(match[1]);
}
