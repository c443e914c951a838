import { uringRemedy } from '../egress/probe.js';
import type { Policy } from '../policy/index.js';
import type { Limits, Readings } from './readings.js';

/** What the machine is judged against. */
export interface Asked {
  backend: 'auto' | 'uring' | 'posix';
  ringEntries: number;
  connections: number;
  policy: Policy | null;
}

export interface Diagnosis {
  /** A backend works as asked. */
  ok: boolean;
  kernel: string;
  node: string;
  cpus: number;
  asked: Asked['backend'];
  /** The backend that a stage would take; null when it wouldn't start. */
  backend: 'uring' | 'posix' | null;
  /** Why that one, or why none. */
  why: string;
  addon: { usable: boolean; cause: string | null };
  uring: {
    usable: boolean;
    /** Why not, in plain words; null when it is usable. */
    cause: string | null;
    /** The kernel's errno; 0 when it is usable, null when the kernel wasn't asked. */
    errno: number | null;
    /** Entries that a ring got; fewer than asked for where locked memory is tight. */
    entries: number;
    features: string[];
  };
  posix: { usable: boolean; cause: string | null };
  /** Limit on locked memory, in bytes; `exempt` when it doesn't bind this process. */
  memlock: Limits & { exempt: boolean | null };
  seccomp: 'none' | 'strict' | 'filter' | 'unknown';
  /** `/proc` can be read; without it limits and the causes of a refusal are not known. */
  proc: boolean;
  /** `kernel.io_uring_disabled`; null where the kernel has no such switch, or `/proc` can't be read. */
  ioUringDisabled: number | null;
  fds: Limits & { open: number | null; needed: number; enough: boolean | null };
  policy: { text: string; unbounded: boolean } | null;
  /** What could be done, the most important first. */
  advice: string[];
}

/** An attached socket holds its own descriptor and the stage's dup of it. */
const fdsPerConnection = 2;
/** With fewer a polling kernel thread takes the time that the stage or the engine needs. */
const sqpollCpusMin = 4;

/** Judges what was found. Pure: the same readings give the same answer. */
export function diagnose(found: Readings, asked: Asked): Diagnosis {
  const usable = {
    uring: found.uring !== null && found.uring.errno === 0,
    posix: found.posixFault === null,
  };
  const backend = takenBackend(asked.backend, usable);
  const uringCause = usable.uring
    ? null
    : (found.uringCause ?? found.addonFault ?? 'the kernel was not asked');
  const needed = asked.connections * fdsPerConnection;
  const diagnosis: Diagnosis = {
    ok: backend !== null,
    kernel: found.kernel,
    node: found.node,
    cpus: found.cpus,
    asked: asked.backend,
    backend,
    why: whyThisBackend(asked.backend, backend, uringCause, found.posixFault),
    addon: { usable: found.addonFault === null, cause: found.addonFault },
    uring: {
      usable: usable.uring,
      cause: uringCause,
      errno: found.uring?.errno ?? null,
      entries: found.uring?.entries ?? 0,
      features: found.uring?.features ?? [],
    },
    posix: { usable: usable.posix, cause: found.posixFault },
    memlock: { ...found.memlockBytes, exempt: found.memlockExempt },
    seccomp: seccompWord(found.surroundings.seccomp),
    proc: found.surroundings.proc,
    ioUringDisabled: found.surroundings.disabled,
    fds: { ...found.fds, open: found.fdsOpen, needed, enough: reaches(found.fds, needed) },
    policy: asked.policy && { text: asked.policy.toString(), unbounded: isUnbounded(asked.policy) },
    advice: [],
  };
  diagnosis.advice = advise(diagnosis, asked, found);
  return diagnosis;
}

function takenBackend(
  asked: Asked['backend'],
  usable: { uring: boolean; posix: boolean },
): Diagnosis['backend'] {
  if (asked !== 'auto') return usable[asked] ? asked : null;
  if (usable.uring) return 'uring';
  return usable.posix ? 'posix' : null;
}

function whyThisBackend(
  asked: Asked['backend'],
  backend: Diagnosis['backend'],
  uringCause: string | null,
  posixFault: string | null,
): string {
  if (asked === 'uring') return uringCause ?? 'io_uring was asked for and works';
  if (asked === 'posix') return posixFault ?? 'plain sends were asked for and work';
  if (backend === 'uring') return 'io_uring works';
  if (backend === 'posix') return `io_uring cannot be used: ${uringCause}`;
  return uringCause === posixFault ? `${posixFault}` : `${uringCause}; ${posixFault}`;
}

function seccompWord(mode: number | null): Diagnosis['seccomp'] {
  if (mode === null) return 'unknown';
  return (['none', 'strict', 'filter'] as const)[mode] ?? 'unknown';
}

/** Whether the limit is `needed` at least; null when it isn't known. */
function reaches({ soft }: Limits, needed: number): boolean | null {
  if (soft === null) return null;
  return soft === 'unlimited' || soft >= needed;
}

/** An unbounded policy releases everything, whatever the cursors say. */
function isUnbounded(policy: Policy): boolean {
  return policy.evaluate([{ inMemory: null, persisted: 0 }]).durablePos === Number.POSITIVE_INFINITY;
}

function advise(diagnosis: Diagnosis, asked: Asked, found: Readings): string[] {
  const { addon, uring, posix, memlock, fds, cpus } = diagnosis;
  const advice: string[] = [];
  if (diagnosis.policy?.unbounded) {
    advice.push(
      `the policy ${diagnosis.policy.text} makes nothing durable: every response leaves at once, and one that a ` +
        'client has seen can be lost in a crash; require a persisted copy or a second node in memory',
    );
  }
  if (!addon.usable) {
    advice.push(
      'without the addon nothing can be sent; journal, policy and simulator work without it. What to do is said above',
    );
    return advice;
  }
  if (!posix.usable) advice.push(`plain sends do not work: ${posix.cause}`);
  if (!uring.usable && asked.backend !== 'posix') {
    const { errno, stage } = found.uring ?? { errno: 0, stage: '' };
    const remedy = uringRemedy(errno, stage, found.surroundings);
    advice.push(`to get io_uring, ${remedy}; plain sends do the same work for more CPU time per response`);
  }
  if (uring.usable && uring.entries < asked.ringEntries) {
    advice.push(
      `the ring has ${amount(uring.entries)} entries instead of ${amount(asked.ringEntries)}, so that a flush to more ` +
        `connections than that takes several system calls: raise the limit on locked memory (now ` +
        `${amount(memlock.soft)} bytes) with ulimit -l (LimitMEMLOCK= in a systemd unit)`,
    );
  }
  if (uring.usable && !uring.features.some((name) => name.endsWith('_TASKRUN') || name === 'SQPOLL')) {
    advice.push('this kernel gives a plain ring: 5.19 or newer disturbs the stage less, 6.1 or newer least');
  }
  if (fds.enough === false) {
    advice.push(
      `${amount(asked.connections)} attached sockets take ${amount(fds.needed)} file descriptors and ` +
        `${amount(fds.soft)} are allowed: raise the limit with ulimit -n (LimitNOFILE= in a systemd unit), or lower ` +
        'the option connections',
    );
  }
  if (!diagnosis.proc && found.platform === 'linux') {
    advice.push(
      '/proc cannot be read, so that the limit on locked memory and what forbids io_uring are not known: mount it ' +
        '(mount -t proc proc /proc), or let this process read it',
    );
  }
  if (uring.usable && cpus >= sqpollCpusMin) {
    advice.push(
      `there are ${cpus} CPUs: with one to spare, the option sqpoll moves submitting to a kernel thread`,
    );
  }
  return advice;
}

/** A limit as people write it. */
export function amount(limit: Limits['soft']): string {
  return limit === null ? 'unknown' : limit.toLocaleString('en-US');
}
