import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const sources = join(root, 'src/admin/page');
const folder = join(root, 'dist/admin');
const output = join(folder, 'page.html');
const stampFolder = join(root, 'node_modules/.cache/ackgate');
const stamp = join(stampFolder, 'page.sha256');

const versionOf = (name) =>
  JSON.parse(readFileSync(join(root, `node_modules/${name}/package.json`), 'utf8')).version;

/** Of everything that decides what the page holds. The policy is a part of it. */
function digest() {
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  for (const part of ['admin/page', 'policy']) {
    const from = join(root, 'src', part);
    for (const name of readdirSync(from).sort())
      hash.update(`${name}\0`).update(readFileSync(join(from, name)));
  }
  for (const name of ['uplot', 'esbuild']) hash.update(versionOf(name));
  return hash.digest('hex');
}

/**
 * Bundles the live page, with its charts and styles, into one document below `dist`: users of the package neither
 * build it nor does it load anything. Does nothing when it is there and current.
 */
export async function bundlePage(say) {
  const now = digest();
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return;
  say('bundling the live page');
  const { build } = await import('esbuild');
  const common = {
    bundle: true,
    minify: true,
    write: false,
    target: 'es2022',
    legalComments: 'none',
    charset: 'ascii',
  };
  const bundled = async (options) => {
    const { outputFiles } = await build({ ...common, ...options, logLevel: 'warning' });
    return outputFiles[0].text.trimEnd();
  };
  const script = await bundled({
    entryPoints: [join(sources, 'main.ts')],
    format: 'iife',
    tsconfig: join(sources, 'tsconfig.json'),
  });
  const style = await bundled({
    stdin: {
      contents: "@import 'uplot/dist/uPlot.min.css';\n@import './page.css';",
      resolveDir: sources,
      loader: 'css',
    },
  });
  // Inside of a string "</script" would end the element.
  for (const [name, text] of Object.entries({ script, style })) {
    if (text.toLowerCase().includes(`</${name}`)) throw new Error(`the page's ${name} holds its own end tag`);
  }
  const html = readFileSync(join(sources, 'index.html'), 'utf8')
    .replace('/*style*/', () => style)
    .replace('/*script*/', () => script);
  mkdirSync(folder, { recursive: true });
  const licence = readFileSync(join(root, 'node_modules/uplot/LICENSE'), 'utf8');
  writeFileSync(
    join(folder, 'page.LICENSES.txt'),
    `page.html contains uPlot ${versionOf('uplot')}.\n\n${licence}`,
  );
  writeFileSync(output, html);
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(stamp, now);
}
