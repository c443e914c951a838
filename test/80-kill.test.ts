import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Side } from '#ackgate/demo/order-book.js';
import { RequestTag } from '#ackgate/demo/protocol.js';
import { TradingClient } from '#ackgate/demo/trading-client.js';
import { startDemoServer } from './support/demo-server.js';
import { killCycles } from './support/kill-cycles.mjs';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-kill-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('kill -9 under load', () => {
  test.each(['auto', 'posix'] as const)(
    'every acknowledged order is there afterwards (%s)',
    async (backend) => {
      const seed = Math.floor(Math.random() * 1e6);
      const result = await killCycles({ kills: 3, directory, seed, backend });
      expect(result.violations, `seed ${seed}`).toEqual([]);
      expect(result.acknowledged).toBeGreaterThan(0);
      expect(result.checked).toBeGreaterThan(0);
    },
  );

  test('the same test finds orders lost when acknowledgements do not wait for the disk', async () => {
    // With a disk that is too fast nothing may be on its way to it when the server dies; one that stands still is not.
    const result = await killCycles({ kills: 30, directory, seed: 1, policy: 'in_memory>=1', stall: true });
    expect(result.acknowledged).toBeGreaterThan(0);
    expect(result.violations.length).toBeGreaterThan(0);
    expect(result.kills).toBeLessThan(30);
  });

  test('and none with a disk that stands still when they do: there are no acknowledgements then', async () => {
    const result = await killCycles({ kills: 3, directory, seed: 1, stall: true });
    expect(result.killedUnderLoad).toBeGreaterThan(0);
    expect(result.violations).toEqual([]);
  });
});

const straceMissing = whyNoStrace();
if (straceMissing !== null) console.log(`fdatasync tests are skipped: ${straceMissing}`);

describe.skipIf(straceMissing !== null)('fdatasync', () => {
  test('no answer leaves before its sync has returned', async () => {
    const delayMs = 200;
    const server = await startDemoServer({ directory }, strace(`fdatasync:delay_enter=${delayMs * 1000}`));
    const client = new TradingClient({ clientId: 1, seed: 1 });
    await client.connect(server.port);
    for (let requestId = 1; requestId <= 5; requestId++) {
      const sentMs = performance.now();
      client.send({ tag: RequestTag.limit, requestId, side: Side.buy, price: 10, quantity: 1 }, sentMs);
      await client.idle();
      expect(performance.now() - sentMs).toBeGreaterThanOrEqual(delayMs);
    }
    expect(client.ledger.violations).toEqual([]);
    server.close();
    expect((await server.ended).code).toBe(0);
  });

  test('no answer leaves after a sync has failed, and the server says why it ends', async () => {
    const good = (await syncsUntilListening()) + 3;
    const server = await startDemoServer({ directory }, strace(`fdatasync:error=EIO:when=${good + 1}+`));
    const client = new TradingClient({ clientId: 1, seed: 1 });
    await client.connect(server.port);
    let answered = 0;
    while (client.connected) {
      const requestId = client.ledger.nextRequestId;
      client.send({ tag: RequestTag.limit, requestId, side: Side.buy, price: 10, quantity: 1 }, 0);
      await client.idle();
      if (client.ledger.waiting === 0) answered++;
    }
    const { code, stderr } = await server.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/fdatasync.*EIO|EIO.*fdatasync/s);
    expect(answered).toBe(3);

    client.ledger.disconnected();
    const again = await startDemoServer({ directory });
    await client.connect(again.port);
    for (let target = 1; target <= answered; target++) {
      client.send({ tag: RequestTag.query, requestId: client.ledger.nextRequestId, target }, 0);
    }
    await client.idle();
    expect(client.ledger.violations).toEqual([]);
    again.close();
    expect((await again.ended).code).toBe(0);
  });
});

function strace(inject: string, output = '/dev/null'): string[] {
  return ['strace', '-f', '-qq', '-o', output, '-e', 'trace=fdatasync', '-e', `inject=${inject}`];
}

/** How often a server with a new journal syncs before it listens. */
async function syncsUntilListening(): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'ackgate-kill-scratch-'));
  const output = join(scratch, 'strace.txt');
  const directory = join(scratch, 'journal');
  const server = await startDemoServer({ directory }, strace('fdatasync:delay_enter=0', output));
  const count = readFileSync(output, 'utf8').match(/fdatasync\(/g)?.length ?? 0;
  server.close();
  await server.ended;
  rmSync(scratch, { recursive: true, force: true });
  return count;
}

function whyNoStrace(): string | null {
  const args = [...strace('fdatasync:delay_enter=0').slice(1), process.execPath, '-e', '0'];
  const { error, status, stderr } = spawnSync('strace', args, { encoding: 'utf8' });
  if (error !== undefined) return 'strace is not installed';
  return status === 0 ? null : `strace does not work here: ${stderr.trim()}`;
}
