import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { addCommands } from '#ackgate/cli/commands.js';

const program = new Command('ackgate');
addCommands(program);

function allOf(command: Command, path: readonly string[] = []): { name: string; command: Command }[] {
  const below = command.commands.flatMap((each) => allOf(each, [...path, each.name()]));
  return [{ name: path.join(' '), command }, ...below];
}
const commands = allOf(program);

describe('help', () => {
  test('is there for every command', () => {
    const names = commands.map(({ name }) => name);
    for (const name of ['policy', 'demo', 'sim whatif', 'directives sign']) expect(names).toContain(name);
  });

  test.each(commands)('of "$name" tells no default that says nothing, and none twice', ({ command }) => {
    const help = command.helpInformation().replace(/\s+/g, ' ');
    expect(help).toContain('--help');
    expect(help).not.toMatch(/\b(null|undefined|NaN)\b|\[object |\(default: (\[\]|false|"")\)/);
    expect(help).not.toMatch(/\(default: [^()]*\) \(default: /);
  });
});
