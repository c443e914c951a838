import { constants } from 'node:os';
import { checkKeys } from '../shared/checks.js';

const signalsDefault: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];

/** What signals are for: `watchSignals`. */
export interface SignalTarget {
  /** Starts the shutdown. */
  start(signal: NodeJS.Signals): void;
  /** Makes the shutdown go on without waiting for work. */
  hurry(signal: NodeJS.Signals): void;
}

/**
 * The first signal shuts down, the second one force-closes, the third one exits with 128 + its number. For a server
 * that has more to do at its end than its supervisor knows of.
 *
 * @param options.signals which ones count, all together (default `SIGTERM` and `SIGINT`)
 * @returns what ends the listening
 */
export function watchSignals(
  target: SignalTarget,
  options: { readonly signals?: readonly NodeJS.Signals[] } = {},
): () => void {
  checkKeys('signal options', options, ['signals']);
  const { signals = signalsDefault } = options;
  let received = 0;
  const listener = (signal: NodeJS.Signals) => {
    received++;
    if (received === 1) target.start(signal);
    else if (received === 2) target.hurry(signal);
    else process.exit(128 + constants.signals[signal]);
  };
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}
