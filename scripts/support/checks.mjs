import { checkLinks, checkNamedFiles } from './doc-checks.mjs';
import { checkErrorCodes, checkLock, checkPinned, checkWords } from './own-checks.mjs';
import { ensurePackages, missingPackages } from './packages.mjs';
import { runNode } from './run.mjs';

const plain = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' };

/** A check that is a program run by Node: ok when it ends with 0. */
const program =
  (script, ...args) =>
  async () => {
    const { code, text } = await runNode(script, args, { output: 'capture', env: plain, timeoutMs: 600_000 });
    return { ok: code === 0, log: text };
  };

async function checkNative() {
  const reasons = [];
  const missing = process.env.CI ? await ensurePackages('check', (line) => reasons.push(line)) : [];
  if (missing.length > 0) return { ok: false, log: reasons.join('\n') };
  const absent = missingPackages('check').map(([name]) => name);
  if (absent.length > 0) return { skipped: `${absent.join(' and ')} not installed` };
  return program('scripts/check-native.mjs')();
}

/** By the name that is printed. Each returns { ok, log } or { skipped }. */
export const checks = {
  'biome (format, lint)': program('node_modules/@biomejs/biome/bin/biome', 'ci', '.', '--colors=off'),
  'types of src': program('node_modules/typescript/bin/tsc', '-p', '.', '--noEmit'),
  'types of the demo': program(
    'node_modules/typescript/bin/tsc',
    '-p',
    'examples/matching-engine',
    '--noEmit',
  ),
  'types of the request–reply example': program(
    'node_modules/typescript/bin/tsc',
    '-p',
    'examples/request-reply',
    '--noEmit',
  ),
  'types of the tutorial and the migration': program('node_modules/typescript/bin/tsc', '-p', 'examples'),
  'types of the live page': program('node_modules/typescript/bin/tsc', '-p', 'src/admin/page'),
  'types of test': program('node_modules/typescript/bin/tsc', '-p', 'test'),
  'C++ (clang-format, clang-tidy)': checkNative,
  'unused files, exports and dependencies (knip)': program('node_modules/knip/bin/knip.js'),
  'API pages: every public name documented (typedoc)': program(
    'node_modules/typedoc/bin/typedoc',
    ...['--emit', 'none', '--logLevel', 'Warn'],
  ),
  'public names are as committed (docs/api)': program('scripts/api-report.mjs', '--check'),
  'nothing of one machine, no registry': checkWords,
  'docs/ERRORS.md lists the codes': checkErrorCodes,
  'links in the docs (remark)': checkLinks,
  'files that the docs name': checkNamedFiles,
  'versions are exact': checkPinned,
  'package-lock.json is whole': checkLock,
};
