// Builds the addon and the TypeScript sources, each only when something has changed.
import './support/node-version.mjs';

const { buildAddon, buildTypescript } = await import('./support/build.mjs');
const say = (line) => console.error(`build: ${line}`);
const addon = await buildAddon(say);
const typescript = await buildTypescript(say);
process.exitCode = addon && typescript ? 0 : 1;
