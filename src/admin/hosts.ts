import { isIPv4 } from 'node:net';

/** True for an address of this machine's own loopback, as a socket reports it. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const v4 = address.startsWith('::ffff:') ? address.slice(7) : address;
  return v4 === '::1' || (isIPv4(v4) && v4.startsWith('127.'));
}

/** True for what only means this machine, as it is written in a URL or an option: `localhost`, `127.0.0.1`, `[::1]`. */
export function isLoopbackName(name: string): boolean {
  const bare = name.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return bare === 'localhost' || isLoopbackAddress(bare);
}

/** A `Host` header without its port, in lower case; null when it is not one. */
export function hostName(header: string): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]\\]+)(?::\d{1,5})?$/.exec(header);
  return match === null ? null : match[1].toLowerCase();
}
