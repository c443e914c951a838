import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const top = fileURLToPath(new URL('..', import.meta.url));

/** Module hooks under which these packages are not installed. */
function without(...names: string[]): string {
  const hooks = `
    const absent = ${JSON.stringify(names)};
    export async function resolve(specifier, context, next) {
      if (!absent.some((name) => specifier === name || specifier.startsWith(name + '/'))) return next(specifier, context);
      throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
    }`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(asUrl(hooks))});`;
  return asUrl(register);
}

function asUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** What a program prints that is run where the packages are not installed. */
function runWithout(names: string[], program: string): string {
  const args = ['--import', without(...names), '--input-type=module', '--eval', program];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: top,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(stderr).toBe('');
  return stdout.trim();
}

const clients = ['pg', 'postgres', '@nats-io/transport-node', '@nats-io/kv', '@nats-io/jetstream'];

test('everything can be imported without the clients of the engines', () => {
  const names = ['ackgate', 'ackgate/journal', 'ackgate/cluster', 'ackgate/postgres', 'ackgate/nats'];
  const program = `for (const name of ${JSON.stringify(names)}) await import(name); console.log('imported');`;
  expect(runWithout(clients, program)).toBe('imported');
});

const told = `.catch(({ code, message }) => console.log(code, message))`;
const opening: [string, string, string][] = [
  [
    'pg',
    `import { PostgresJournal } from 'ackgate/postgres';
    await PostgresJournal.open({ servers: ['postgres://127.0.0.1:1/x'], node: 'a' })`,
    'npm install pg@8',
  ],
  [
    'pg',
    `import { postgresText } from 'ackgate/postgres';
    await postgresText({ servers: ['postgres://127.0.0.1:1/x'] }, 'mode').read()`,
    'npm install pg@8',
  ],
  [
    '@nats-io/transport-node',
    `import { startReplica } from 'ackgate/nats';
    import { mkdtempSync } from 'node:fs';
    const directory = mkdtempSync('/tmp/ackgate-peers-');
    process.on('exit', () => (process.getBuiltinModule('node:fs')).rmSync(directory, { recursive: true }));
    await startReplica({ servers: 'nats://127.0.0.1:1', cluster: 'c', node: 'a', directory })`,
    'npm install @nats-io/transport-node@3',
  ],
  [
    '@nats-io/kv',
    `import { natsText } from 'ackgate/nats';
    await natsText({ servers: 'nats://127.0.0.1:1' }, 'mode').read()`,
    'npm install',
  ],
];
test.each(opening)('%s is named, with the command that installs it', (name, program, command) => {
  const line = runWithout([name], program + told);
  expect(line).toMatch(/^ERR_ACKGATE_PEER_MISSING /);
  expect(line).toContain(name);
  expect(line).toContain(command);
});
