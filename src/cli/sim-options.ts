import { readFileSync } from 'node:fs';
import { checkFaultChoice } from '../sim/fault-list.js';
import { type Fault, faultNames } from '../sim/faults.js';
import type { Scenario } from '../sim/scenario.js';
import { checkScenario } from '../sim/scenario-check.js';
import { WrongCall } from './wrong-call.js';

/** As commander hands them over. */
export interface SimFlags {
  seeds?: number;
  minutes?: number;
  seed?: number;
  firstSeed?: number;
  random?: true;
  faults?: readonly Fault[];
  scenario?: string;
  trace?: true;
  workers?: number;
  native: boolean;
  json?: true;
}

/** What is to be run. */
export type SimTask =
  | { kind: 'swarm'; firstSeed: number; seeds?: number; minutes?: number }
  | { kind: 'seed'; seed: number }
  | { kind: 'scenario'; scenario: Scenario; file: string };

const invalid = 'ERR_ACKGATE_INVALID_ARGUMENT';
const seedsDefault = 1000;

export function readTask(flags: SimFlags): SimTask {
  const { seeds, minutes, seed, firstSeed, random, scenario, trace } = flags;
  const many = { '--seeds': seeds, '--minutes': minutes, '--first-seed': firstSeed, '--random': random };
  if (seed !== undefined) refuse('--seed', { ...many, '--scenario': scenario });
  if (scenario !== undefined) refuse('--scenario', { ...many, '--faults': flags.faults });
  if (seed !== undefined) return { kind: 'seed', seed };
  if (scenario !== undefined) return { kind: 'scenario', scenario: readScenario(scenario), file: scenario };
  if (random) refuse('--random', { '--first-seed': firstSeed });
  if (trace)
    throw new WrongCall(invalid, '--trace goes with --seed or --scenario: it tells what happened in one run');
  const first = random ? Math.floor(Math.random() * 2 ** 31) : (firstSeed ?? 1);
  if (first + (seeds ?? seedsDefault) - 1 > Number.MAX_SAFE_INTEGER) {
    throw new WrongCall(
      'ERR_ACKGATE_OUT_OF_RANGE',
      '--first-seed and --seeds lead past the last seed, 2^53-1',
    );
  }
  return {
    kind: 'swarm',
    firstSeed: first,
    ...(minutes === undefined ? { seeds: seeds ?? seedsDefault } : { minutes }),
    ...(seeds === undefined ? {} : { seeds }),
  };
}

/** How to say these faults on the command line; nothing for all of them. */
export function faultsFlag(faults: readonly Fault[]): string {
  if (faults.length === faultNames.length) return '';
  return ` --faults ${faults.length === 0 ? 'none' : faults.join(',')}`;
}

export function readFaults(text: string): readonly Fault[] {
  const choice = text === 'all' || text === 'none' ? text : text.split(',').map((name) => name.trim());
  return WrongCall.guard(text, () => checkFaultChoice(choice, '--faults'));
}

function readScenario(file: string): Scenario {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (error) {
    throw new WrongCall(invalid, `--scenario ${file}: ${(error as Error).message}`);
  }
  // Also a named regression, which has a scenario among other things.
  const { scenario } = (value ?? {}) as { scenario?: unknown };
  return WrongCall.guard('', () => checkScenario((scenario ?? value) as Scenario));
}

/** Options that can't be given together with this one. */
export function refuse(name: string, others: Record<string, unknown>): void {
  const other = Object.keys(others).find((key) => others[key] !== undefined);
  if (other !== undefined) throw new WrongCall(invalid, `${name} and ${other} don't go together`);
}
