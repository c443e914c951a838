import type { Logger } from '../../shared/logger.js';
import { Mark, type Trace } from '../trace.js';
import type { Fallback } from './reached.js';

/** The warning of a stage whose backend is not the one that was asked for. */
export const fallbackLine = 'io_uring is not permitted here, sending with plain system calls';

const degradationLines: Record<string, 'degraded' | 'whole' | 'reminder'> = {
  'durability policy degraded, acknowledgements are held back': 'degraded',
  'durability policy met again': 'whole',
  'durability policy still degraded, acknowledgements are held back': 'reminder',
};

interface LogHooks {
  reach(name: Fallback): void;
  /** The stage has said how the policy stands. */
  degradation(kind: 'degraded' | 'whole' | 'reminder'): void;
}

/** The stage's logger in a run: its lines are traced, and those that only trouble brings are noted. */
export function watchedLogger(trace: Trace, hooks: LogHooks): Logger {
  const line = (level: string) => (fields: object, message: string) => {
    trace.say(Mark.log, `${level} ${message} ${JSON.stringify(fields)}`);
    if (message === fallbackLine) hooks.reach('backend-fallback');
    if (message.startsWith('unknown durability mode')) hooks.reach('mode-kept');
    const kind = degradationLines[message];
    if (kind !== undefined) hooks.degradation(kind);
  };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}
