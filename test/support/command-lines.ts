import { Command } from 'commander';
import { addCommands } from '#ackgate/cli/commands.js';

/** The command line with all that it knows, never to be run. */
export function commandLine(): Command {
  const program = new Command('ackgate');
  addCommands(program);
  return program;
}

/** Calls of `ackgate` that a page shows: lines of code blocks, and code within a sentence. Comments are left out. */
export function shownCalls(markdown: string): string[] {
  const code = [...markdown.matchAll(/```[\s\S]*?```|`[^`\n]+`/g)].flatMap(([text]) =>
    text.replaceAll('`', '').split('\n'),
  );
  return code
    .map((line) => /^\s*(?:\$ )?(?:npx )?ackgate (.*?)(?: +#.*)?$/.exec(line)?.[1])
    .filter((call) => call !== undefined);
}

/** What of a call there is not: its command, and options. */
export function unknownIn(program: Command, call: string): string[] {
  const [own] = call.split(' -- ');
  const words = own!.split(/\s+/).filter((word) => word !== '');
  let command = program;
  while (words.length > 0) {
    const next = command.commands.find((one) => one.name() === words[0]);
    if (next === undefined) break;
    command = next;
    words.shift();
  }
  if (command === program && !words[0]?.startsWith('-')) return [words[0] ?? ''];
  const known = [command, ...command.commands].flatMap(({ options }) => options.map(({ long }) => long));
  return words
    .map((word) => /^--[\w-]+/.exec(word)?.[0])
    .filter((flag) => flag !== undefined && flag !== '--help' && !known.includes(flag)) as string[];
}
