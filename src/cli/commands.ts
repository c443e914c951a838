import type { Command } from 'commander';
import { addDemoCommand } from './demo.js';
import { addDirectivesCommand } from './directives.js';
import { addDoctorCommand } from './doctor.js';
import { addModeCommand } from './mode.js';
import { addPolicyCommand } from './policy.js';
import { addReplicaCommand } from './replica.js';
import { addSimCommand } from './sim.js';
import { addSoakCommand } from './soak.js';

/**
 * All commands, in the order in which the help lists them.
 *
 * Every one is an `add…Command(program)` of its own file, which declares its options. A command that needs the addon, or
 * anything else that is slow to load, imports that inside its action, so that no other pays for it. An action sets
 * `process.exitCode` and throws `WrongCall` for a call that can't be carried out as written.
 */
export function addCommands(program: Command): void {
  addPolicyCommand(program);
  addDemoCommand(program);
  addDoctorCommand(program);
  addSimCommand(program);
  addSoakCommand(program);
  addDirectivesCommand(program);
  addModeCommand(program);
  addReplicaCommand(program);
}
