// Sets up what is missing, then runs all tests, TypeScript and C++. With arguments, vitest gets them and the C++
// tests are left out: `npm test -- test/20-policy.test.ts`.
import './support/node-version.mjs';

const { setUp, say } = await import('./support/setup.mjs');
const { ensurePackages, welcomeGroups } = await import('./support/packages.mjs');
const { runAll, runVitestWith } = await import('./support/suites.mjs');

if (!(await setUp())) process.exit(1);
// Tests that need what is in another group say how to get it.
for (const group of welcomeGroups()) await ensurePackages(group, say);

const args = process.argv.slice(2);
if (args.length > 0) {
  process.exitCode = await runVitestWith(args);
} else {
  const counts = await runAll();
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const failed = counts.reduce((sum, count) => sum + count.failed, 0);
  console.log(
    `TypeScript: ${counts[0].passed} passed, ${counts[0].failed} failed, ${counts[0].skipped} skipped`,
  );
  console.log(`C++: ${counts[1].passed} passed, ${counts[1].failed} failed`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
