import type { Command } from 'commander';
import { resolvePolicy } from '../policy/index.js';
import { type AdminCallOptions, callAdmin, shown, tokenHelp, withAdminOptions } from './admin-client.js';
import { WrongCall } from './wrong-call.js';

/** `ackgate mode`: the durability mode of a running server, and changing it. */
export function addModeCommand(program: Command): void {
  withAdminOptions(
    program
      .command('mode')
      .summary('show or change the durability mode of a running server')
      .description(
        'Without an argument: the mode and policy in force. With one: changes it, and waits until the stage has taken it.',
      )
      .argument('[policy]', "a mode such as hybrid, or a policy such as 'persisted>=2'"),
  )
    .addHelpText(
      'after',
      `${tokenHelp}

Examples:
  $ ackgate mode --token-file /etc/ackgate/token
  $ ackgate mode local
  $ ackgate mode 'persisted>=1 && in_memory>=2' --url https://engine-3:9464`,
    )
    .action(async (policy: string | undefined, options: AdminCallOptions) => {
      if (policy !== undefined) WrongCall.guard(policy, resolvePolicy);
      const send = policy === undefined ? undefined : { body: JSON.stringify({ mode: policy }) };
      const { body } = await callAdmin(options, '/admin/mode', send);
      const lines = policy === undefined ? inForce(body) : changed(body);
      process.stdout.write(options.json === true ? `${JSON.stringify(body)}\n` : lines);
    });
}

function inForce(body: Record<string, unknown>): string {
  return `${'mode'.padEnd(8)}${shown(body.mode)}\n${'policy'.padEnd(8)}${shown(body.policy)}\n`;
}

function changed(body: Record<string, unknown>): string {
  const policy = shown(body.policy) === shown(body.to) ? '' : ` (${shown(body.policy)})`;
  return `${shown(body.from)} → ${shown(body.to)}${policy}\n`;
}
