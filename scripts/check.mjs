// Every check that is not a test. All of them run even if one failed; a failing one shows what it printed.
import './support/node-version.mjs';

const { setUp } = await import('./support/setup.mjs');
const { checks } = await import('./support/checks.mjs');
const { inTurn } = await import('./support/in-turn.mjs');

if (!(await setUp())) process.exit(1);

let passed = 0;
let failed = 0;
// Two at a time: all but the C++ ones keep one core busy.
await inTurn(2, Object.entries(checks), async ([name, check]) => {
  const { ok, log = '', skipped } = await check();
  if (skipped !== undefined) {
    console.log(`skipped  ${name}: ${skipped}`);
  } else if (ok) {
    passed++;
    console.log(`ok       ${name}`);
  } else {
    failed++;
    console.log(`failed   ${name}\n${log.trimEnd().replace(/^/gm, '         ')}`);
  }
});
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
