#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { AckgateError } from '../errors.js';
import { addCommands } from './commands.js';
import { WrongCall } from './wrong-call.js';

/** Whether what was asked held. */
const exitCodes = { held: 0, didNotHold: 1, wrongCall: 2 } as const;

function createProgram(json: boolean): Command {
  const program = new Command('ackgate')
    .enablePositionalOptions()
    .description('Holds responses until they are durable, then sends them.')
    .version(packageVersion(), '-V, --version')
    .exitOverride();
  // With --json, a wrong call is reported on standard output, in a document.
  if (json) program.configureOutput({ writeErr: () => {} });
  addCommands(program);
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
  const { code, message } = told(error);
  if (json) printError(code, message, null);
  else if (code !== null) process.stderr.write(`error: ${message} (${code})\n`);
  else process.stderr.write(`${error instanceof Error ? error.stack : message}\n`);
  return exitCodes.didNotHold;
}

function told(error: unknown): { code: string | null; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AckgateError) return { code: error.code, message };
  const { code } = error as NodeJS.ErrnoException;
  // Of Node's own loader as well, which opens many files at once.
  if (code === 'EMFILE' || code === 'ENFILE') {
    const wayOut = 'raise the limit of open files (ulimit -n) to a few hundred at least';
    return { code: 'ERR_ACKGATE_TOO_MANY_FDS', message: `${message}: ${wayOut}` };
  }
  return { code: null, message };
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
