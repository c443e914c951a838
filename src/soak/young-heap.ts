import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 doesn't enlarge this process's space for young objects: a load of short-lived ones makes it grow by some
 * 20 MiB in the first hour, which is nothing that is kept and yet looks like it. For a process that is the runner and
 * nothing else.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
