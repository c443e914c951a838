import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const entry = join(root, 'scripts/support/echarts-entry.mjs');
const folder = join(root, 'dist/vendor');
const output = join(folder, 'echarts.mjs');
const parts = ['echarts', 'zrender'];

const read = (path) => readFileSync(join(root, path), 'utf8');
const packageOf = (name) => JSON.parse(read(`node_modules/${name}/package.json`));

/** Of everything that decides what the bundle holds. */
function digest() {
  const hash = createHash('sha256')
    .update(readFileSync(entry))
    .update(read('scripts/support/charts-bundle.mjs'));
  for (const name of [...parts, 'esbuild']) hash.update(packageOf(name).version);
  return hash.digest('hex');
}

/**
 * Bundles the part of echarts that draws the what-if page and the soak report into one module below `dist`, with its licences: echarts has
 * 60 MB, which no user of the package should have to install for two pages. Does nothing when it is there and current.
 */
export async function bundleCharts(say) {
  const stamp = join(root, 'node_modules/.cache/ackgate/charts.sha256');
  const now = digest();
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return;
  say('bundling the charts of the pages');
  const { build } = await import('esbuild');
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [entry],
    outfile: output,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    legalComments: 'eof',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'warning',
  });
  writeFileSync(join(folder, 'LICENSES.txt'), licences());
  mkdirSync(join(root, 'node_modules/.cache/ackgate'), { recursive: true });
  writeFileSync(stamp, now);
}

function licences() {
  const texts = parts.map((name) => {
    const files = ['LICENSE', 'NOTICE'].filter((file) => existsSync(join(root, 'node_modules', name, file)));
    const body = files.map((file) => read(`node_modules/${name}/${file}`)).join('\n\n');
    return `${name} ${packageOf(name).version}\n\n${body}`;
  });
  return `echarts.mjs contains parts of the following.\n\n${texts.join('\n\n----\n\n')}`;
}
