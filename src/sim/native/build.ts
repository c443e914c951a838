import { createHash } from 'node:crypto';
import {
  access,
  constants,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyPatches, type Patch } from './patch.js';
import { runProcess } from './process.js';

/** A program that was built, or a sentence that says why there is none. */
export type NativeBuild = { ok: true; binary: string } | { ok: false; reason: string };

export interface NativeBuildOptions {
  /** Edits of the sources, made in a copy of them. */
  patches?: readonly Patch[];
  /** The C++ compiler; `$CXX`, else `c++`. */
  compiler?: string;
  /** The package; its `native/` has the sources. */
  packageDirectory?: string;
}

/** What a program is made of, below `native/`. */
export interface NativeProgram {
  name: string;
  sources: readonly string[];
  /** More for the compiler, and for the linker. */
  defines?: readonly string[];
  link?: readonly string[];
}

const packageDirectory = fileURLToPath(new URL('../../..', import.meta.url));
const compileFlags = ['-std=c++17', '-O2'];
const compileMsMax = 300_000;
/** Two at a time: each takes some 300 MB. */
const compileJobs = 2;

/** The senders, the fake kernel below them and the driver: none of them needs liburing. */
const simProgram: NativeProgram = {
  name: 'sim',
  sources: [
    'pages.cc',
    'posix_sender.cc',
    'result_table.cc',
    'sender_core.cc',
    'uring_sender.cc',
    'sim/fake_kernel.cc',
    'sim/fake_poller.cc',
    'sim/fake_ring.cc',
    'sim/faults.cc',
    'sim/main.cc',
    'sim/report.cc',
    'sim/streams.cc',
    'sim/world.cc',
  ],
};

/**
 * Builds the C++ half of the simulator with the system's compiler, or finds it built: objects are kept by the content
 * of what they are made from, so that a patch costs one of them.
 *
 * Throws `ERR_ACKGATE_INVALID_ARGUMENT` when a patch does not fit the sources.
 */
export function buildNativeSim(options: NativeBuildOptions = {}): Promise<NativeBuild> {
  return buildNative(simProgram, options);
}

/** The same for any program of these sources. */
export async function buildNative(
  program: NativeProgram,
  options: NativeBuildOptions = {},
): Promise<NativeBuild> {
  const root = options.packageDirectory ?? packageDirectory;
  const compiler = options.compiler ?? (process.env.CXX || 'c++');
  const version = await compilerVersion(compiler);
  if (version === null) {
    return {
      ok: false,
      reason: `there is no C++ compiler: ${compiler} could not be run. Install g++ or clang++, or name one in CXX.`,
    };
  }
  const sources = await readSources(join(root, 'native'), program);
  if (sources === null) {
    return {
      ok: false,
      reason: `the C++ sources are not all in ${join(root, 'native')}: install the package again.`,
    };
  }
  applyPatches(sources, options.patches ?? []);
  const directory = await cacheDirectory(root).catch((error: Error) => error);
  if (directory instanceof Error) {
    const reason = `there is no folder for what is compiled: ${directory.message}. Name one that can be written in TMPDIR.`;
    return { ok: false, reason };
  }
  const flags = [...compileFlags, ...(program.defines ?? [])];
  const builder = new Builder(compiler, [version, ...flags].join('\n'), flags, directory, sources);
  return builder.build(program);
}

async function compilerVersion(compiler: string): Promise<string | null> {
  const { code, stdout } = await runProcess(compiler, ['--version'], { timeoutMs: 20_000 });
  return code === 0 ? stdout : null;
}

/** Contents by path below `native/`; null when one is missing. */
async function readSources(directory: string, program: NativeProgram): Promise<Map<string, string> | null> {
  const headers = async (folder: string) => {
    const names = await readdir(join(directory, folder));
    return names.filter((name) => name.endsWith('.h')).map((name) => join(folder, name));
  };
  try {
    const folders = [...new Set(['.', ...program.sources.map(dirname)])];
    const names = [...program.sources, ...(await Promise.all(folders.map(headers))).flat()];
    const contents = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
    return new Map(names.map((name, i) => [name, contents[i]]));
  } catch {
    return null;
  }
}

/** In the package where it can be written, else in a directory for temporary files that is nobody else's. */
async function cacheDirectory(root: string): Promise<string> {
  const own = join(root, 'build', 'sim-native');
  try {
    await mkdir(own, { recursive: true });
    await access(own, constants.W_OK);
    return own;
  } catch {
    const shared = join(tmpdir(), `ackgate-sim-native-${process.getuid?.() ?? 0}`);
    await mkdir(shared, { mode: 0o700 }).catch(unlessThere);
    const { uid, mode } = await lstat(shared);
    const safe = uid === (process.getuid?.() ?? uid) && (mode & 0o077) === 0;
    return safe ? shared : mkdtemp(join(tmpdir(), 'ackgate-sim-native-'));
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

class Builder {
  readonly #compiler: string;
  readonly #settings: string;
  readonly #flags: readonly string[];
  readonly #directory: string;
  readonly #sources: Map<string, string>;
  readonly #headers: string;

  constructor(
    compiler: string,
    settings: string,
    flags: readonly string[],
    directory: string,
    sources: Map<string, string>,
  ) {
    this.#compiler = compiler;
    this.#settings = settings;
    this.#flags = flags;
    this.#directory = directory;
    this.#sources = sources;
    const headers = [...sources].filter(([name]) => name.endsWith('.h')).sort();
    this.#headers = digest(...headers.flat());
  }

  async build(program: NativeProgram): Promise<NativeBuild> {
    const objects = program.sources.map((name) => this.#objectOf(name));
    const binary = join(this.#directory, `${program.name}-${digest(...objects, ...(program.link ?? []))}`);
    if (await exists(binary)) return { ok: true, binary };
    const tree = await mkdtemp(join(this.#directory, 'tree-'));
    try {
      return await this.#buildIn(tree, program, objects, binary);
    } finally {
      await rm(tree, { recursive: true, force: true });
    }
  }

  #objectOf(name: string): string {
    const key = digest(this.#settings, this.#headers, this.#sources.get(name)!);
    return join(this.#directory, `${basename(name, '.cc')}-${key}.o`);
  }

  async #buildIn(
    tree: string,
    program: NativeProgram,
    objects: readonly string[],
    binary: string,
  ): Promise<NativeBuild> {
    for (const [name, content] of this.#sources) {
      await mkdir(dirname(join(tree, name)), { recursive: true });
      await writeFile(join(tree, name), content);
    }
    const queue = program.sources.map((name, i) => ({ name, object: objects[i] }));
    let problem: string | null = null;
    const work = async () => {
      for (let next = queue.pop(); next !== undefined && problem === null; next = queue.pop()) {
        if (await exists(next.object)) continue;
        const made = join(tree, basename(next.object));
        const failed = await this.#run([...this.#flags, '-c', join(tree, next.name), '-o', made]);
        // Under its name only when it is whole: others may build at the same time.
        if (failed === null) await rename(made, next.object);
        else problem = failed;
      }
    };
    await Promise.all(Array.from({ length: compileJobs }, work));
    const linked = join(tree, 'linked');
    const link = [...objects, ...(program.link ?? []), '-pthread', '-o', linked];
    const failed = problem ?? (await this.#run(link));
    if (failed !== null) return { ok: false, reason: failed };
    await rename(linked, binary);
    return { ok: true, binary };
  }

  /** Null, or why it failed. */
  async #run(args: readonly string[]): Promise<string | null> {
    const { code, stderr } = await runProcess(this.#compiler, args, { timeoutMs: compileMsMax });
    if (code === 0) return null;
    const lines = stderr.trim().split('\n');
    const first = lines.find((line) => line.includes('error')) ?? lines[0];
    return `${this.#compiler} could not build the C++ half of the simulator: ${first}`;
  }
}

function digest(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('hex').slice(0, 20);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
