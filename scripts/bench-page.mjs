// Makes docs/BENCHMARKS.md and the charts in docs/benchmarks/ from the newest result of each bench in bench/results/.
//   --folder FOLDER   another place with bench/results/; the page is written below it too
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import './support/node-version.mjs';

const { chartsFolder } = await import('./support/bench/benches.mjs');
const { pageFiles } = await import('./support/bench/page.mjs');
const { root } = await import('./support/run.mjs');

const { values } = parseArgs({ options: { folder: { type: 'string', default: root } } });
const folder = resolve(values.folder);
const files = pageFiles(folder);
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  console.log(path);
}
// Charts of what is no longer measured.
const old = existsSync(join(folder, chartsFolder)) ? readdirSync(join(folder, chartsFolder)) : [];
for (const name of old.filter((one) => one.endsWith('.svg') && !(`${chartsFolder}/${one}` in files))) {
  rmSync(join(folder, chartsFolder, name));
}
