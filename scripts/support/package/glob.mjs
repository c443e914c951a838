/**
 * Whether a path matches a glob of `*` (within a folder), `**` (folders, or none) and `{a,b}`. Node's own is not in every
 * Node that this runs on.
 */
export function matchesGlob(path, glob) {
  let pattern = '';
  for (const [part] of glob.matchAll(/\*\*\/|\*\*|\*|\{[^}]*\}|[^*{]+/g)) {
    if (part === '**/') pattern += '(?:.*/)?';
    else if (part === '**') pattern += '.*';
    else if (part === '*') pattern += '[^/]*';
    else if (part.startsWith('{')) pattern += `(?:${part.slice(1, -1).split(',').map(literal).join('|')})`;
    else pattern += literal(part);
  }
  return new RegExp(`^${pattern}$`).test(path);
}

const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
