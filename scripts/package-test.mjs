// Tests the package as users get it: packs it, checks the tarball, installs it into empty projects where nothing can be
// compiled, and runs programs of every kind on several versions of Node, with each sender and with none.
//   node scripts/package-test.mjs                  Node 20, 22, 24 and 26, those that npm has; npm, pnpm and Yarn
//   node scripts/package-test.mjs --node 20,26     these only
//   node scripts/package-test.mjs --all            a Node that can't be had is a failure
//   node scripts/package-test.mjs --quick          this Node only, one installation
//   … --tarball FILE                               that one, in place of packing
//   … --release                                    the binaries of all targets must be in it
//   … --json                                       one JSON document instead of the table
import './support/node-version.mjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { managerCli, nodeOfMajor, thisNode } = await import('./support/package/nodes.mjs');
const { makeReady, ownTargets } = await import('./support/package/ready.mjs');
const { Results } = await import('./support/package/results.mjs');
const { binaries } = await import('./support/package/rules.mjs');
const { inspect, pack } = await import('./support/package/tarball.mjs');
const { useQuickly, managers, useThoroughly, useWithManager } = await import('./support/package/uses.mjs');

const { values: flags } = parseArgs({
  options: {
    node: { type: 'string', default: '20,22,24,26' },
    all: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    release: { type: 'boolean', default: false },
    tarball: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const say = flags.json ? () => {} : (line) => console.log(line);
const results = new Results(say);
const names = flags.release ? Object.keys(binaries) : ownTargets();
const folder = mkdtempSync(join(tmpdir(), 'ackgate-package-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const own = thisNode(folder);

const packed = await packTree();
if (packed !== null) {
  const use = () => (flags.quick ? useQuickly(own, packed, folder, results) : useEverywhere());
  await Promise.all([inspect(packed, names, results), use()]);
}
report();

/** The tarball, or null when there is none to be had. */
async function packTree() {
  let packed = null;
  await results.check('pack', async () => {
    const problems = flags.tarball === undefined ? await makeReady(names) : [];
    if (problems.length > 0) throw new Error(problems.join('\n'));
    packed = await pack(folder, own.npm, flags.tarball);
    return packed.list.filename;
  });
  return packed;
}

async function useEverywhere() {
  for (const major of flags.node.split(',')) {
    let node = null;
    try {
      node = await nodeOfMajor(major, folder);
    } catch (error) {
      say(`left out: Node ${major}: ${error.message}`);
      if (flags.all) await results.check(`Node ${major} can be had`, () => Promise.reject(error));
      continue;
    }
    await useThoroughly(node, packed, folder, results);
  }
  for (const manager of managers) {
    try {
      const cli = await managerCli(manager.spec, folder);
      await useWithManager(own, { ...manager, cli }, packed, folder, results);
    } catch (error) {
      say(`left out: ${error.message}`);
      if (flags.all) await results.check(`${manager.spec} can be had`, () => Promise.reject(error));
    }
  }
}

function report() {
  const { passed, failed, all } = results;
  if (flags.json) {
    const size = packed === null ? null : { packed: packed.list.size, unpacked: packed.list.unpackedSize };
    console.log(JSON.stringify({ ok: failed === 0, passed, failed, size, results: all }));
  } else {
    console.log(`\n${results.table().join('\n')}\n`);
    for (const { what, node, backend, note } of all.filter(({ ok }) => !ok))
      console.log(`failed: ${[node, what, backend].filter((part) => part !== null).join(', ')}: ${note}`);
    console.log(`${passed} passed, ${failed} failed`);
  }
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
