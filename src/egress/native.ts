import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AckgateError } from '../errors.js';
import { explainAddonFault } from './addon-fault.js';
import * as contract from './sender.js';

/** Everything that the addon exports. Functions that return a descriptor or 0 return a negative errno on failure. */
export interface NativeAddon {
  readonly layout: Readonly<Record<string, number>>;
  readonly UringSender: new (options: NativeSenderOptions) => NativeSender;
  readonly PosixSender: new (options: NativeSenderOptions) => NativeSender;
  /**
   * A private descriptor of a stream socket, set up for sending (`TCP_NODELAY`, and `SO_SNDBUF` when the size
   * is above 0). `-ENOTSOCK`, `-EPROTOTYPE` (not a stream), `-EAFNOSUPPORT` (neither TCP nor Unix),
   * `-EOPNOTSUPP` (listening), `-EBADF`, `-EMFILE`.
   */
  adoptFd(fd: number, kernelSendBufferBytes: number): number;
  dupFd(fd: number): number;
  /**
   * Closes a descriptor that came from here and that no sender has taken; `-EBADF` for any other. Those that are left
   * when their thread ends, as a terminated Worker does, are closed then.
   */
  closeFd(fd: number): number;
  /**
   * An eventfd, or a FIFO where there is none; it never blocks. If its thread ends before it is closed, `word[0]` is set
   * to `value` first.
   */
  createWakeFd(word?: Int32Array, value?: number): number;
  wake(fd: number): number;
  /** Limits on open descriptors of this process; `Infinity` when there is none. */
  fdLimits(): { soft: number; hard: number };
  /** Sets up a ring of the real size and takes it down again. `errno` 0: it works. */
  probeUring(entries: number, files?: number): UringProbe;
  /** `CLOCK_MONOTONIC`, the same for all threads and processes. */
  monotonicNs(): number;
  /** How far into a memory page the view starts, in bytes. */
  pageOffset(view: Uint8Array): number;
}

export interface UringProbe {
  errno: number;
  /** The step that failed: `build`, `setup` or `opcodes`; empty when none did. */
  stage: string;
  /** Entries that the ring got: fewer than asked for when locked memory is tight. */
  entries: number;
  features: string[];
}

/** The constructors throw a plain `Error` with this shape. */
export interface NativeSenderError extends Error {
  errno: number;
  stage: string;
}

export interface NativeSenderOptions extends contract.SenderOptions {
  requests: Uint32Array;
  results: Int32Array;
  state: Int32Array;
}

/** The methods of `Sender`, without the tables, which the caller has. */
export interface NativeSender {
  readonly features: string[];
  open(slot: number, generation: number, fd: number): number;
  flush(count: number): number;
  reap(): number;
  close(slot: number, how: number): void;
  queuedBytes(slot: number): number;
  releasePages(slot: number): void;
  park(timeoutMs: number): void;
  destroy(deadlineMs: number): number;
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded once per thread.
 *
 * Throws `ERR_ACKGATE_ADDON_MISSING` when there is no binary for this machine, and `ERR_ACKGATE_ADDON_LAYOUT`
 * when there is one that was built from other sources.
 */
export function nativeAddon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  const folder = fileURLToPath(new URL('../..', import.meta.url));
  let addon: NativeAddon;
  try {
    addon = require('node-gyp-build')(placeOf(folder)) as NativeAddon;
  } catch (cause) {
    throw new AckgateError('ERR_ACKGATE_ADDON_MISSING', explainAddonFault(cause, folder), { cause });
  }
  checkLayout(addon.layout);
  return addon;
}

/** The folder to look in: what was built from source, beside its binding.gyp, comes before what was shipped. */
function placeOf(folder: string): string {
  const native = join(folder, 'native');
  const built = existsSync(join(native, 'build/Release/ackgate.node'));
  return built && !process.env.PREBUILDS_ONLY ? native : folder;
}

/** Both languages declare the layout; a binary from other sources would read requests as something else. */
export function checkLayout(native: Readonly<Record<string, number>> | undefined): void {
  const ours = declaredLayout();
  const names = new Set([...Object.keys(ours), ...Object.keys(native ?? {})]);
  const different = [...names].filter((name) => ours[name] !== native?.[name]);
  if (different.length > 0) {
    throw new AckgateError(
      'ERR_ACKGATE_ADDON_LAYOUT',
      `the native addon was built from other sources (${different.join(', ')} differ). ` +
        'Build it again with `npx node-gyp rebuild -C native` in the package (docs/BUILDING.md).',
    );
  }
}

function declaredLayout(): Record<string, number> {
  return {
    sendBufferBytes: contract.sendBufferBytes,
    parkMsMax: contract.parkMsMax,
    requestWords: contract.requestWords,
    resultWords: contract.resultWords,
    stateWords: contract.senderStateWords,
    ...prefixed('request', contract.RequestWord),
    ...prefixed('result', contract.ResultWord),
    ...prefixed('op', contract.SenderOp),
    ...prefixed('how', contract.CloseHow),
    ...prefixed('state', contract.SenderState),
  };
}

function prefixed(prefix: string, words: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(words).map(([name, value]) => [`${prefix}.${name}`, value]));
}
