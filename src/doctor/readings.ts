import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, release, version } from 'node:os';
import { allocateArena } from '../egress/arena.js';
import { createSender } from '../egress/create-sender.js';
import { nativeAddon, type UringProbe } from '../egress/native.js';
import { explainUring, readUringSurroundings, type UringSurroundings } from '../egress/probe.js';
import { AckgateError } from '../errors.js';

/** A resource limit: a number, none at all, or not known on this system. */
export type Limit = number | 'unlimited' | null;

export interface Limits {
  soft: Limit;
  hard: Limit;
}

/** What doctor looks at, as it was found. */
export interface Readings {
  /** The kernel's name and release, such as `Linux 6.18.1`. */
  kernel: string;
  node: string;
  platform: string;
  cpus: number;
  /** Why the addon can't be used; null when it can. */
  addonFault: string | null;
  /** What setting up a ring came to; null without the addon. */
  uring: UringProbe | null;
  /** `explainUring` of the probe. */
  uringCause: string | null;
  /** Why plain sends can't be used; null when they can. */
  posixFault: string | null;
  surroundings: UringSurroundings;
  memlockBytes: Limits;
  /** The process may lock memory beyond the limit (`CAP_IPC_LOCK`); null when that isn't known. */
  memlockExempt: boolean | null;
  fds: Limits;
  fdsOpen: number | null;
}

/** Looks at this machine and sets up, and takes down again, a ring of the size asked for. */
export function takeReadings(ringEntries: number, connections: number): Readings {
  const surroundings = readUringSurroundings();
  const limits = read('/proc/self/limits');
  const addonFault = faultOf(nativeAddon);
  const uring = addonFault === null ? nativeAddon().probeUring(ringEntries, connections) : null;
  return {
    kernel: `${process.platform === 'linux' ? 'Linux' : version()} ${release()}`,
    node: process.version,
    platform: process.platform,
    cpus: availableParallelism(),
    addonFault,
    uring,
    uringCause: uring === null ? null : explainUring(uring.errno, uring.stage, surroundings),
    posixFault: addonFault ?? faultOf(makePosixSender),
    surroundings,
    memlockBytes: limitsIn(limits, 'Max locked memory'),
    memlockExempt: hasCapability(read('/proc/self/status'), capIpcLock),
    fds: limits === '' && addonFault === null ? addonFdLimits() : limitsIn(limits, 'Max open files'),
    fdsOpen: openFds(),
  };
}

/** Where there is no `/proc`. */
function addonFdLimits(): Limits {
  const { soft, hard } = nativeAddon().fdLimits();
  const limitOf = (value: number): Limit => (value === Number.POSITIVE_INFINITY ? 'unlimited' : value);
  return { soft: limitOf(soft), hard: limitOf(hard) };
}

function makePosixSender(): void {
  const addon = nativeAddon();
  const wakeFd = addon.createWakeFd();
  if (wakeFd < 0)
    throw new AckgateError('ERR_ACKGATE_TOO_MANY_FDS', `no wake descriptor could be made (errno ${-wakeFd})`);
  try {
    const options = {
      arena: allocateArena(1),
      slots: 1,
      ringEntries: 64,
      wakeFd,
      fence: new Int32Array(new SharedArrayBuffer(4)),
    };
    createSender('posix', options).sender.destroy(0);
  } finally {
    addon.closeFd(wakeFd);
  }
}

/** The message of what `attempt` throws, without a full stop; null when it doesn't. */
function faultOf(attempt: () => unknown): string | null {
  try {
    attempt();
    return null;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
  }
}

/** One row of `/proc/self/limits`. */
export function limitsIn(text: string, name: string): Limits {
  const match = new RegExp(`^${name}\\s+(\\w+)\\s+(\\w+)`, 'm').exec(text);
  return { soft: limit(match?.[1]), hard: limit(match?.[2]) };
}

function limit(word: string | undefined): Limit {
  if (word === undefined) return null;
  return word === 'unlimited' ? word : Number(word);
}

const capIpcLock = 14n;

/** Whether the capability is in the effective set of a `/proc/self/status`; null when that set isn't there. */
export function hasCapability(status: string, capability: bigint): boolean | null {
  const match = /^CapEff:\s*([0-9a-f]+)/m.exec(status);
  return match === null ? null : ((BigInt(`0x${match[1]}`) >> capability) & 1n) === 1n;
}

/** Descriptors that are open now; looking opens one more, which isn't counted. */
function openFds(): number | null {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
