import type { SupervisorSource } from '../metrics/index.js';
import type { CheckedAdmin } from './options.js';

/** The supervisor, whichever there is by the time it is asked. */
export function supervisorOf({ supervisor }: Pick<CheckedAdmin, 'supervisor'>): SupervisorSource {
  return {
    status() {
      try {
        return supervisor?.()?.status() ?? null;
      } catch {
        // Asked too early: a constant that is assigned further down. All the other figures are there.
        return null;
      }
    },
  };
}
