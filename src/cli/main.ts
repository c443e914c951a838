#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { AckgateError } from '../errors.js';
import { addDemoCommand } from './demo.js';
import { addDirectivesCommand } from './directives.js';
import { addDoctorCommand } from './doctor.js';
import { addModeCommand } from './mode.js';
import { addPolicyCommand } from './policy.js';
import { addReplicaCommand } from './replica.js';
import { addSimCommand } from './sim.js';
import { addSoakCommand } from './soak.js';
import { WrongCall } from './wrong-call.js';

/** Whether what was asked held. */
const exitCodes = { held: 0, didNotHold: 1, wrongCall: 2 } as const;

/*
 * Every command is an `add…Command(program)` of its own file, which declares its options. A command that needs the
 * addon, or anything else that is slow to load, imports that inside its action, so that no other pays for it. An
 * action sets `process.exitCode` and throws `WrongCall` for a call that can't be carried out as written.
 */
function createProgram(json: boolean): Command {
  const program = new Command('ackgate')
    .enablePositionalOptions()
    .description('Holds responses until they are durable, then sends them.')
    .version(packageVersion(), '-V, --version')
    .exitOverride();
  // With --json, a wrong call is reported on standard output, in a document.
  if (json) program.configureOutput({ writeErr: () => {} });
  addPolicyCommand(program);
  addDemoCommand(program);
  addDoctorCommand(program);
  addSimCommand(program);
  addSoakCommand(program);
  addDirectivesCommand(program);
  addModeCommand(program);
  addReplicaCommand(program);
  return program;
}

async function main(args: readonly string[]): Promise<void> {
  const json = asksForJson(args);
  try {
    await createProgram(json).parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, json);
  }
}

/** Tells what went wrong and returns the exit code. */
function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    // Help and version have been printed and are no error.
    if (error.exitCode === 0) return exitCodes.held;
    if (json) printError(commanderCode(error), error.message.replace(/^error: /, ''), null);
    return exitCodes.wrongCall;
  }
  if (error instanceof WrongCall) {
    if (json) printError(error.code, error.message, error.position);
    else process.stderr.write(`${[`error: ${error.message}`, ...error.excerpt].join('\n')}\n`);
    return exitCodes.wrongCall;
  }
  const code = error instanceof AckgateError ? error.code : null;
  const message = error instanceof Error ? error.message : String(error);
  if (json) printError(code, message, null);
  else if (code !== null) process.stderr.write(`error: ${message} (${code})\n`);
  else process.stderr.write(`${error instanceof Error ? error.stack : message}\n`);
  return exitCodes.didNotHold;
}

function printError(code: string | null, message: string, position: number | null): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message, position } })}\n`);
}

function commanderCode(error: CommanderError): string {
  return error.code === 'commander.unknownOption'
    ? 'ERR_ACKGATE_UNKNOWN_OPTION'
    : 'ERR_ACKGATE_INVALID_ARGUMENT';
}

function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}

function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

await main(process.argv.slice(2));
