// Sets up everything that is missing, and says only what it does. Needs nothing but Node.
import './support/node-version.mjs';

const { setUp } = await import('./support/setup.mjs');
process.exitCode = (await setUp()) ? 0 : 1;
