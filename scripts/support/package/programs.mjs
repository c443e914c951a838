import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../run.mjs';

const require = createRequire(import.meta.url);
const { exchange } = require('../../../test/fixtures/package/client.cjs');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

/** What every program of the matrix prints when all was well. */
function checkServers(report, backend) {
  for (const [name, { requests, bytes, backend: used }] of Object.entries(report)) {
    if (used !== backend) throw new Error(`${name}: the stage runs on ${used} instead of ${backend}`);
    if (!(requests > 0 && bytes > requests)) throw new Error(`${name}: ${requests} requests, ${bytes} bytes`);
  }
  if (Object.keys(report).length !== 2) throw new Error(`printed ${JSON.stringify(report)}`);
}

/** Everything of test/fixtures/package. */
export const files = [
  ...['program.mjs', 'program.cjs', 'servers.cjs', 'client.cjs', 'client.d.cts'],
  ...['program.ts', 'every-entry.ts', 'tsconfig.json'],
  ...['entries.mjs', 'without-addon.mjs', 'peers.mjs'],
];

/** The programs of the matrix by what the table calls them, as the file that runs. */
export const programs = {
  'ESM, import': 'program.mjs',
  'CommonJS, require()': 'program.cjs',
  'TypeScript, nodenext': 'nodenext/program.js',
  'TypeScript, bundler': 'bundler/program.js',
  'esbuild, packages external': 'bundled/program.mjs',
};

/** Compiles what has to be compiled. The same output runs on every Node. */
export async function compilePrograms(project, results, { thorough }) {
  // Checking the declarations of everybody's packages, ours among them, takes four times as long: once is enough.
  const modes = {
    nodenext: ['--module', 'nodenext'],
    bundler: ['--module', 'esnext', '--moduleResolution', 'bundler', '--skipLibCheck'],
    ...(thorough ? { node16: ['--module', 'node16', '--skipLibCheck'] } : {}),
  };
  await Promise.all(
    Object.entries(modes).map(([name, args]) =>
      results.check(`TypeScript compiles a program, types of every entry point, ${name}`, async () => {
        await project.node([tsc, '-p', '.', ...args, '--outDir', name]);
        project.take(['client.cjs'], name);
      }),
    ),
  );
  await results.check('esbuild bundles a program', async () => {
    const { build } = await import('esbuild');
    await build({
      entryPoints: [join(project.folder, 'program.mjs')],
      outfile: join(project.folder, programs['esbuild, packages external']),
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      logLevel: 'silent',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    });
  });
}

/** The senders to test: both, unless this machine forbids io_uring, which is said. */
export async function backendsOf(project, node, results) {
  let backends = ['uring', 'posix'];
  const ask = async () => {
    const { stdout } = await project.ackgate(['doctor', '--json']);
    const { uring, posix } = JSON.parse(stdout);
    if (!posix.usable) throw new Error(`posix is not usable: ${posix.cause}`);
    if (uring.usable) return 'uring and posix';
    backends = ['posix'];
    return `posix only; no io_uring here: ${uring.cause}`;
  };
  await results.check('senders of this machine', ask, { node });
  return backends;
}

/** One row of the matrix for each program. */
export async function runMatrix(project, node, backends, results, wanted = Object.entries(programs)) {
  for (const [what, file] of wanted) {
    await Promise.all(
      backends.map((backend) =>
        results.check(what, async () => checkServers(await project.json(file, backend), backend), {
          node,
          backend,
        }),
      ),
    );
  }
}

/** Compiles the same where the optional peers are installed, for our types say less without theirs. */
export async function compileWithPeers(project) {
  await project.node([tsc, '-p', '.', '--module', 'nodenext', '--noEmit', '--skipLibCheck']);
}

/** Every public entry point, by import and require(). */
export async function checkEntries(project) {
  const got = await project.json('entries.mjs');
  const wrong = Object.entries(got).filter(([, names]) => !(names > 0));
  if (wrong.length > 0) throw new Error(wrong.map(([name, why]) => `${name}: ${why}`).join('\n'));
  return `${Object.keys(got).length} entry points`;
}

/** Whether what needs an optional peer says so without it, and finds it when it is there. */
export async function checkPeers(project, installed) {
  const got = await project.json('peers.mjs');
  const missing = 'ERR_ACKGATE_PEER_MISSING';
  const wrong = Object.entries(got).filter(([, code]) =>
    installed ? code === missing || !/^(works|ERR_ACKGATE_\w+)$/.test(code) : code !== missing,
  );
  if (wrong.length > 0) throw new Error(JSON.stringify(got));
  return Object.values(got).join(', ');
}

/** What is promised of a package without its binaries. */
export async function checkWithoutAddon(project) {
  const got = await project.json('without-addon.mjs');
  const expected = { policy: 'persisted>=2', simulated: true, refused: 'ERR_ACKGATE_ADDON_MISSING' };
  if (JSON.stringify(got) !== JSON.stringify(expected)) throw new Error(JSON.stringify(got));
}

/** The command line, as a user calls it. */
export async function checkCommands(project, { version }) {
  const expectJson = async (args, check, code = 0) => {
    const { stdout } = await project.ackgate([...args, '--json'], code);
    const answer = JSON.parse(stdout);
    if (!check(answer)) throw new Error(`ackgate ${args.join(' ')} printed ${stdout.slice(0, 500)}`);
  };
  const { stdout } = await project.ackgate(['--version']);
  if (stdout.trim() !== version) throw new Error(`--version printed ${stdout}`);
  const asked = ['policy', 'persisted>=2', '--primary', '500', '--replica', '480/480', '--replica', '10/0'];
  await expectJson(asked, (answer) => answer.durablePos === 480);
  await expectJson(['demo', '--seconds', '1', '--clients', '8'], () => true);
  await expectJson(['sim', '--seeds', '20'], (answer) => answer.ok === true && answer.seeds === 20);
  await expectJson(['no-such-command'], (answer) => answer.error !== undefined, 2);
  const doctor = await project.npx('ackgate', 'doctor', '--json');
  return `doctor: ${JSON.parse(doctor.stdout).backend}`;
}

/** The README's example, word for word from the packed README, with a client against it. */
export async function checkReadme(project) {
  const readme = readFileSync(join(project.installed, 'README.md'), 'utf8');
  const block = /<!-- test: this example is run word for word -->\n```js\n([\s\S]*?)```/.exec(readme);
  if (block === null) throw new Error('the packed README has no example that is marked to be run');
  project.write('readme.mjs', block[1]);
  const port = await freePort();
  const stop = new AbortController();
  const server = project.start('readme.mjs', { PORT: String(port) }, stop.signal);
  try {
    await Promise.race([
      answered(port),
      server.then(({ stderr }) => Promise.reject(new Error(`it ended: ${stderr}`))),
    ]);
  } finally {
    stop.abort();
    await server;
  }
}

/** Connects as soon as somebody listens; whoever waits for this bounds it. */
async function answered(port) {
  for (;;) {
    try {
      return await exchange(port);
    } catch (error) {
      if (error.code !== 'ECONNREFUSED') throw error;
      await sleep(20);
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
