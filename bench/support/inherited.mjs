import { createInterface } from 'node:readline';

/** The sockets that bench/reference/handover.c left open for this program, as bare descriptors. */
export function inheritedSockets() {
  const [first, count] = process.argv.slice(-2).map(Number);
  return Array.from({ length: count }, (_, i) => first + i);
}

/** Says that it is ready, and answers each command, one a line, with what the function of its name gives. */
export async function serveCommands(ready, commands) {
  console.log(JSON.stringify({ ready: true, ...ready }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...numbers] = line.split(' ');
    if (!Object.hasOwn(commands, command)) throw new Error(`unknown command: ${line}`);
    console.log(JSON.stringify(await commands[command](...numbers.map(Number))));
  }
  process.exit(0);
}
