import { AckgateError } from '../../errors.js';
import { runProcess } from './process.js';

/** A seed that broke an invariant. */
export interface NativeFailure {
  seed: number;
  /** As in the simulator's list, such as `I07`; `crash` when the senders threw or died. */
  invariant: string;
  message: string;
  /** Faults that were switched on. */
  faults: string[];
}

/** What the C++ half of the simulator prints. */
export interface NativeSimReport {
  seeds: number;
  failures: NativeFailure[];
  coverage: {
    /** How often each fault fired, by name. */
    faults: Record<string, number>;
    /** How often each situation came up, by name. */
    reached: Record<string, number>;
  };
  /** 64 bits, hexadecimal, over all that happened; of a single seed its own. */
  hash: string;
  /** Everything that happened, one event per line; only when asked for. */
  trace?: string;
}

export interface NativeSimOptions {
  /** Of `buildNativeSim`. */
  binary: string;
  /** 0 … 2^53-1; 1 unless given. */
  firstSeed?: number;
  seeds: number;
  /** Names of the faults that may be drawn; all unless given, none when empty. */
  faults?: readonly string[];
  /** Every seed runs twice and has to do the same (I12). */
  checkRepeat?: boolean;
  /** Stop at the first seed that fails. */
  untilFailure?: boolean;
  trace?: boolean;
  /** Bound against a sender that never comes back, in milliseconds. */
  timeoutMs?: number;
  /** Ends the run; what it rejects with is the signal's reason. */
  signal?: AbortSignal;
}

const timeoutMsDefault = 600_000;

/**
 * Runs worlds of the C++ half, each from its seed alone.
 *
 * Rejects with `ERR_ACKGATE_INVALID_ARGUMENT` for an unknown fault; the message says which there are.
 */
export async function runNativeSim(options: NativeSimOptions): Promise<NativeSimReport> {
  const { firstSeed = 1, seeds, timeoutMs = timeoutMsDefault, signal } = options;
  const args = ['--first-seed', String(firstSeed), '--seeds', String(seeds)];
  if (options.faults !== undefined) args.push('--faults', options.faults.join(',') || 'none');
  if (options.checkRepeat) args.push('--check-repeat');
  if (options.untilFailure) args.push('--until-failure');
  if (options.trace) args.push('--trace');
  const { code, timedOut, stdout, stderr } = await runProcess(options.binary, args, { timeoutMs, signal });
  signal?.throwIfAborted();
  if (code === 2) throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', stderr.trim());
  const report = parse(stdout);
  if (report !== null) return options.trace ? { ...report, trace: stderr } : report;
  const message = timedOut
    ? `no seed from here ended within ${timeoutMs} ms: a call of the sender does not return`
    : `the driver ended without a report (exit code ${code}): ${stderr.trim().split('\n', 1)[0]}`;
  return {
    seeds: 1,
    failures: [{ seed: firstSeed, invariant: 'crash', message, faults: [] }],
    coverage: { faults: {}, reached: {} },
    hash: '',
  };
}

function parse(text: string): NativeSimReport | null {
  try {
    return JSON.parse(text) as NativeSimReport;
  } catch {
    return null;
  }
}
