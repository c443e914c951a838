import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Whether this machine lets a process be traced; a test that needs it prints why it is skipped. */
export function canTrace(): boolean {
  return spawnSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' }).status === 0;
}

export interface Run {
  status: number | null;
  output: Record<string, unknown>;
  text: string;
}

/** Runs a program of `test/fixtures` and reads the JSON document that it prints. */
export function runFixture(name: string, argument: unknown, injections: readonly string[] = []): Run {
  const program = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  const node = [process.execPath, program, JSON.stringify(argument)];
  const calls = [...new Set(injections.map((injection) => injection.split(':')[0]))];
  const tracing = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`];
  const command =
    injections.length === 0
      ? node
      : ['strace', ...tracing, ...injections.flatMap((each) => ['-e', `inject=${each}`]), ...node];
  const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const document = stdout.trim().split('\n').at(-1) ?? '';
  return {
    status,
    output: document.startsWith('{') ? JSON.parse(document) : {},
    text: `${stdout}${stderr}`,
  };
}
