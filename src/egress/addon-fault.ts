import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What Node says of a binary that it did not load. */
interface LoadError {
  readonly code?: unknown;
  readonly message?: unknown;
}

const rebuild =
  'Build it there with `npx node-gyp rebuild -C native` (needs a C++17 compiler, make and Python; docs/BUILDING.md)';

/** What was looked for in the package's `folder`, why it could not be loaded, and what to do, as whole sentences. */
export function explainAddonFault(
  cause: unknown,
  folder: string,
  platform: NodeJS.Platform = process.platform,
): string {
  const { code, message } = (cause ?? {}) as LoadError;
  const text = typeof message === 'string' ? message : String(cause);
  const reason = text.split('\n', 1)[0].trim().replace(/\.+$/, '');
  // As node-gyp-build tells it, which has to find the same file.
  const libc = process.env.LIBC || (existsSync('/etc/alpine-release') ? 'musl' : 'glibc');
  const { arch } = process;
  const machine = platform === 'linux' ? `${platform} ${arch} ${libc}` : `${platform} ${arch}`;
  const binary = `prebuilds/${platform}-${arch}/ackgate.${platform === 'linux' ? `${libc}.` : ''}node`;
  return (
    `the native addon of ackgate could not be loaded on ${machine}: ${reason}. Looked for ${binary} and ` +
    `native/build/Release/ackgate.node in ${folder}. ${wayOut(code, reason, folder, platform)}, or do without a stage: policy and simulator work without it.`
  );
}

function wayOut(code: unknown, reason: string, folder: string, platform: string): string {
  if (!hasSources(platform))
    return `There is no addon for ${platform}: use Linux, or another Unix to build it on`;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return 'Start Node without --no-addons (also in NODE_OPTIONS), and under --permission with --allow-addons';
  }
  if (code === 'ERR_ACCESS_DENIED') return 'Let Node read that folder (--allow-fs-read)';
  if (!isPackage(folder)) {
    return 'That folder is not the package: ackgate has to stay outside of the bundle (mark it as external)';
  }
  if (/failed to map segment|[Oo]peration not permitted/.test(reason)) {
    return 'Its file system may be mounted noexec: move the package to one from which programs may run';
  }
  if (/version `\w+_[\d.]+' not found/.test(reason)) {
    return `This system's libraries are older than those that it was built with. ${rebuild}`;
  }
  return rebuild;
}

/** Whether the addon can be built there at all. */
function hasSources(platform: string): boolean {
  return platform === 'linux' || platform === 'darwin' || platform.endsWith('bsd');
}

/** A bundler moves our code to a folder of its own, where no binary and no sources are. */
function isPackage(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name === 'ackgate';
  } catch (error) {
    // What can't be read may well be it.
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
