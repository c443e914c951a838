// Where the C compiler finds liburing: `have` prints 1 or 0, `link` what to link (a static archive when there is
// one). binding.gyp and the build scripts ask here, so that both see the same.
import { spawnSync } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';

const compiler = process.env.CC || 'cc';

function run(args, input) {
  return spawnSync(compiler, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
}

/** The header is new enough when it knows DEFER_TASKRUN (liburing 2.3). */
function haveHeader() {
  if (process.platform !== 'linux') return false;
  const source = '#include <liburing.h>\n#ifndef IORING_SETUP_DEFER_TASKRUN\n#error too old\n#endif\n';
  return run(['-E', '-xc', '-'], source).status === 0;
}

function archive() {
  const path = run(['-print-file-name=liburing.a'], '').stdout?.trim() ?? '';
  return isAbsolute(path) ? path : null;
}

/** What is there: `{ have: boolean, link: string }`. */
export function findLiburing() {
  const have = haveHeader();
  return { have, link: have ? (archive() ?? '-luring') : '' };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = findLiburing();
  console.log(process.argv[2] === 'have' ? (found.have ? 1 : 0) : found.link);
}
