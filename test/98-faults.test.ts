import { describe, expect, test } from 'vitest';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { faultRun } from './support/fault-run.mjs';
import { natsFaults, natsWorld } from './support/nats-faults.mjs';
import { postgresFaults, postgresWorld } from './support/postgres-faults.mjs';

/** The quick ones of `npm run faults`, each under load: clients check every response, and ask again for what was acknowledged. */
const engines = [
  { engine: 'PostgreSQL', faults: postgresFaults, makeWorld: postgresWorld, programs: findPostgres() },
  { engine: 'NATS', faults: natsFaults, makeWorld: natsWorld, programs: findNats() },
];

for (const { engine, faults, makeWorld, programs } of engines) {
  if (!programs.found) console.log(`the fault tests of ${engine} are skipped: ${programs.reason}`);
  const quick = faults.filter((fault) => fault.quick).map((fault) => [fault.name, fault] as const);

  // Each has servers of its own, and mostly waits.
  describe.skipIf(!programs.found).concurrent(engine, { timeout: 120_000 }, () => {
    test.each(quick)('%s', async (_, fault) => {
      const world = await makeWorld(fault);
      try {
        const { name, policy } = fault;
        const seed = Math.floor(Math.random() * 1e6);
        const { place, check } = world;
        const result = await faultRun({ name, policy, place, check, seed, fault: fault.fault(world) });
        expect(result.violations, `seed ${seed}`).toEqual([]);
        expect(result.acknowledged).toBeGreaterThan(0);
        expect(result.checked).toBeGreaterThanOrEqual(result.acknowledged);
      } finally {
        await world.close();
      }
    });
  });
}

test('the same clients find what a server lost', async () => {
  // Two journals that know nothing of each other, for one server: what was acknowledged by the first is gone.
  const { mkdtempSync, rmSync } = await import('node:fs');
  const directories = ['a', 'b'].map((name) => mkdtempSync(`/tmp/ackgate-faults-${name}-`));
  const [place, other] = directories.map((directory) => ({ directory }));
  try {
    const result = await faultRun({
      name: 'another server goes on',
      policy: 'local',
      place,
      fault: async (trouble) => {
        await trouble.killServer('SIGKILL');
        return other;
      },
    });
    expect(result.violations.length).toBeGreaterThan(0);
  } finally {
    for (const directory of directories) rmSync(directory, { recursive: true });
  }
}, 60_000);
