// Sets up what is missing, then runs the demo with the arguments given (`npm start -- --seconds 5`).
import './support/node-version.mjs';
import { fileURLToPath } from 'node:url';

const { setUp } = await import('./support/setup.mjs');
if (!(await setUp())) process.exit(1);

// In this process and not in a child: signals and the terminal then reach the demo as if it had been started itself.
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)];
await import(main);
