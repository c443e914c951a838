// Kills the example's server again and again under load and checks what it still knows: node scripts/kill-test.mjs --kills 20
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { killCycles } from '../test/support/kill-cycles.mjs';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    backend: { type: 'string', default: 'auto' },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
  console.error('--kills and --seed must be whole numbers');
  process.exit(2);
}
const directory = mkdtempSync(join(tmpdir(), 'ackgate-kill-'));
console.log(`seed ${seed}`);
const result = await killCycles({ kills, seed, backend: values.backend, directory, say: console.log });
const { killedUnderLoad, acknowledged, checked, violations } = result;
console.log(`${result.kills} kills, ${killedUnderLoad} of them under load`);
console.log(
  `${acknowledged} orders acknowledged, ${checked} questions asked, ${violations.length} violations`,
);
if (violations.length === 0) {
  rmSync(directory, { recursive: true, force: true });
} else {
  console.log(`${violations.slice(0, 20).join('\n')}\nthe journal is kept in ${directory}`);
  process.exitCode = 1;
}
