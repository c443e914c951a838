// Where the C compiler finds liburing: `have` prints 1 or 0, `link` what to link (a static archive when there is
// one), `include` the folder of its headers when the compiler has to be told. binding.gyp and the build scripts ask
// here, so that all see the same. LIBURING_ARCHIVE and LIBURING_INCLUDE name a build of one's own.
import { spawnSync } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';

const compiler = process.env.CC || 'cc';
const own = { archive: process.env.LIBURING_ARCHIVE ?? '', include: process.env.LIBURING_INCLUDE ?? '' };

function run(args, input) {
  return spawnSync(compiler, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
}

/** The header is new enough when it knows DEFER_TASKRUN (liburing 2.3). */
function haveHeader() {
  if (process.platform !== 'linux') return false;
  const source = '#include <liburing.h>\n#ifndef IORING_SETUP_DEFER_TASKRUN\n#error too old\n#endif\n';
  const include = own.include === '' ? [] : [`-I${own.include}`];
  return run([...include, '-E', '-xc', '-'], source).status === 0;
}

function archive() {
  if (own.archive !== '') return own.archive;
  const path = run(['-print-file-name=liburing.a'], '').stdout?.trim() ?? '';
  return isAbsolute(path) ? path : null;
}

/** What is there: `{ have: boolean, link: string, include: string }`. */
export function findLiburing() {
  const have = haveHeader();
  return { have, link: have ? (archive() ?? '-luring') : '', include: have ? own.include : '' };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = findLiburing();
  console.log(process.argv[2] === 'have' ? (found.have ? 1 : 0) : found[process.argv[2]]);
}
