import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { startDemo } from './support/demo-command.js';

const temporary = mkdtempSync(join(tmpdir(), 'ackgate-engines-'));
// Servers that root starts run as users of their own, who have to get at their folders in it.
chmodSync(temporary, 0o755);
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

const demo = (...args: string[]) => startDemo(args, { directory: temporary, detached: true });

test.each([
  ['--engine file --cluster x', '--cluster means nothing with --engine file'],
  ['--engine postgres --journal x', '--journal means nothing with --engine postgres'],
  ['--engine nats --standbys a', '--standbys means nothing with --engine nats'],
  ['--engine nats --servers 10.0.0.5', 'write addresses such as nats://'],
  ['--engine postgres --servers mysql://secret@x', 'write addresses such as postgres://'],
  ['--engine postgres --policy in_memory>=2', 'sends its log to standbys only after its own disk has it'],
  ['--engine nats --policy in_memory>=4', 'asks for more nodes than there are with --engine nats (3)'],
  ['--policy hybrid', 'asks for more nodes than there are with --engine file (1)'],
])('%s is a wrong call', async (args, message) => {
  const { code, stderr } = await demo(...args.split(' ')).ended;
  expect(stderr).toContain(message);
  expect(stderr).not.toContain('secret');
  expect(code).toBe(2);
});

const engines = [
  ['postgres', findPostgres()],
  ['nats', findNats()],
] as const;
for (const [engine, programs] of engines) {
  if (!programs.found) console.log(`the demo on ${engine} is not tried: ${programs.reason}`);
  describe.skipIf(!programs.found)(`--engine ${engine}`, { timeout: 120_000 }, () => {
    test('ends in order on Ctrl-C, with every answer, and leaves nothing behind', async () => {
      const args = ['--engine', engine, '--seconds', '60', '--clients', '8', '--rate', '500', '--json'];
      const running = demo(...args);
      const pid = running.process.pid as number;
      await running.said(/second 1/);
      process.kill(-pid, 'SIGINT');
      const { code, stdout, stderr } = await running.ended;
      expect(JSON.parse(stdout), stderr).toMatchObject({ ok: true, problems: [] });
      expect(code).toBe(0);
      expect(readdirSync(temporary)).toEqual([]);
      expect(existsSync(`/proc/${pid}`)).toBe(false);
    });
  });
}
