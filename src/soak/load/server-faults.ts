import type { Random } from '../../sim/random.js';
import type { Clock } from '../clock.js';
import type { ServerChaos } from '../config.js';
import type { ServerFault, ServerHandle } from '../driver.js';
import { messageOf } from '../error-text.js';
import { withinMs } from './leave.js';

/** How long a driver may take to begin or end a fault. */
const faultStepMs = 10_000;

export interface FaultRunOptions {
  readonly chaos: ServerChaos;
  readonly fault: ServerFault;
  readonly server: ServerHandle;
  readonly clock: Clock;
  readonly random: Random;
  /** Around each one, … */
  disturb(on: boolean): void;
  /** … and in the place of its end when it could not begin. */
  retract(): void;
  /** One has begun, … */
  onBegin(name: string): void;
  /** … and is over. */
  onEnd(name: string): void;
  onProblem(text: string): void;
}

/** One kind of fault, over and over until the signal, with exponential gaps between beginnings; none runs into itself. */
export async function runFaults(options: FaultRunOptions, signal: AbortSignal): Promise<void> {
  const { chaos, clock, random } = options;
  let nextMs = clock.nowMs();
  for (;;) {
    nextMs = Math.max(clock.nowMs(), nextMs + random.exponential(chaos.everySeconds * 1000));
    await clock.sleep(nextMs - clock.nowMs(), signal);
    if (signal.aborted) return;
    await oneFault(options, signal);
  }
}

async function oneFault(options: FaultRunOptions, signal: AbortSignal): Promise<void> {
  const { chaos, fault, server, clock } = options;
  options.disturb(true);
  if (!(await step(options, 'begin', async () => fault.begin(server)))) {
    options.retract();
    return;
  }
  try {
    options.onBegin(chaos.fault);
    await clock.sleep(chaos.forMs, signal);
    await step(options, 'end', async () => fault.end(server));
    options.onEnd(chaos.fault);
  } finally {
    options.disturb(false);
  }
}

/**
 * False when it failed, or came to false, as a message does that could not be sent; one that takes too long counts as done.
 */
async function step(
  { chaos, clock, onProblem }: FaultRunOptions,
  name: string,
  work: () => Promise<unknown>,
): Promise<boolean> {
  try {
    const late = Symbol('late');
    const came = await withinMs(clock, faultStepMs, work(), late);
    if (came === false) throw new Error('it returned false');
    if (came === late)
      onProblem(`${name} of the fault ${chaos.fault} takes more than ${faultStepMs / 1000} s`);
    return true;
  } catch (error) {
    onProblem(`${name} of the fault ${chaos.fault} failed: ${messageOf(error)}`);
    return false;
  }
}
