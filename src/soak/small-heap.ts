import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 collects this process's garbage before it asks for much more memory: with its defaults a load of short-lived
 * objects makes it grow by hundreds of MiB, which is nothing that is kept and yet looks like it. For a process that is the
 * runner and nothing else.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
}
