import { existsSync, statSync } from 'node:fs';
import { root } from '../run.mjs';
import { faultsOf, glibcNeeded, inspectBinary } from './inspect.mjs';
import { binaryOf, glibcFloor } from './targets.mjs';

/** Above any glibc: for a binary that only this machine has to run. */
const anyGlibc = '999';

/**
 * Looks at a target's binary: `{ facts, sizeBytes, faults }`. `published` asks that it run on the oldest glibc that the
 * package promises; without it, a newer one may be needed, as what this machine's compiler makes does.
 */
export function checkBinary(target, { folder = root, published = true } = {}) {
  const path = binaryOf(folder, target);
  if (!existsSync(path)) return { facts: null, sizeBytes: 0, faults: ['is not there'] };
  const facts = inspectBinary(path);
  const sizeBytes = statSync(path).size;
  const glibcMax = published ? glibcFloor : anyGlibc;
  return { facts, sizeBytes, faults: faultsOf(facts, sizeBytes, target, { glibcMax }) };
}

/** One line about a binary, and one for each fault. */
export function describe(target, { facts, sizeBytes, faults }) {
  const glibc = facts === null ? '' : glibcNeeded(facts);
  const needs =
    facts === null ? '' : `needs ${facts.needed.join(', ')}${glibc === '' ? '' : `, glibc ${glibc}`}`;
  const head = facts === null ? target.file : `${target.file}: ${sizeBytes} bytes, ${needs}`;
  return [head, ...faults.map((fault) => `  ${fault}`)].join('\n');
}
