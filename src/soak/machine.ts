import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { AckgateError } from '../errors.js';
import { packageVersion } from '../metrics/version.js';

/** What the figures were measured on: nothing that tells whose machine it is. */
export function describeMachine(): Record<string, string | number> {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() || 'unknown',
    cpus: cpus().length,
    memoryBytes: totalmem(),
    platform: `${platform()} ${arch()}`,
    kernel: release(),
  };
}

/** Of the runner; a server that is no child of Node has its own. */
export function versions(): Record<string, string> {
  const { node, v8, uv } = process.versions;
  return { ackgate: packageVersion, node, v8, uv };
}

/** Throws where there is nothing to sample by. */
export function checkPlatform(name: string = process.platform, statm = '/proc/self/statm'): void {
  let missing: string | null = null;
  if (name !== 'linux') missing = `this is ${name}`;
  else {
    try {
      readFileSync(statm);
    } catch {
      missing = `${statm} can't be read`;
    }
  }
  if (missing === null) return;
  throw new AckgateError(
    'ERR_ACKGATE_SOAK_PLATFORM',
    `a soak reads the server's memory and descriptors from /proc, which is Linux's; ${missing}`,
  );
}
