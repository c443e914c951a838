import { parseArgs } from 'node:util';
import { ownTarget, targets } from './targets.mjs';

const options = {
  target: { type: 'string', multiple: true },
  all: { type: 'boolean' },
  build: { type: 'boolean', default: true },
  'build-if-stale': { type: 'boolean' },
  try: { type: 'boolean' },
  'try-core': { type: 'boolean' },
  fetch: { type: 'boolean' },
};

/**
 * What a command line asks for: `{ chosen, own, build, ifStale, tries, core, fetch }`. `own` is true when nothing was said about
 * targets: this machine's, with its own compiler. Throws with what to say instead.
 */
export function parseArguments(args, mine = ownTarget() ?? null) {
  const { values } = parseArgs({ args, options, allowNegative: true, strict: true });
  const named = values.target ?? [];
  const names = targets.map(({ name }) => name);
  for (const name of named) {
    if (!names.includes(name)) throw new Error(`--target ${name}: there are ${names.join(', ')}`);
  }
  if (values.all && named.length > 0)
    throw new Error('--all and --target say different things: give one of them');
  const own = !values.all && named.length === 0;
  if (own && mine === null) {
    throw new Error(
      `no binary is made for ${process.platform} ${process.arch}: docs/BUILDING.md says how to build there; ` +
        '--all builds those of the package',
    );
  }
  return {
    chosen: own ? [mine] : values.all ? targets : targets.filter(({ name }) => named.includes(name)),
    own,
    build: values.build,
    ifStale: values['build-if-stale'] === true,
    tries: values.try === true || values['try-core'] === true,
    core: values['try-core'] === true,
    fetch: values.fetch === true,
  };
}
